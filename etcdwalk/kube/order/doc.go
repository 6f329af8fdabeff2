// Package order says in which order objects are written, so that no controller of a living
// cluster undoes it.
//
// A [Survey] is told of each object that is to be written. It remembers who there is and
// who owns whom, by hashes: 8 bytes an object, 24 a reference. What follows from it, [Survey.Ranks]:
//
//   - Kinds of which objects own objects of another come before that other, whatever their
//     rank. Kinds that own each other, or themselves, are written together, in as many
//     walks as the owners are deep.
//   - Between kinds that do not own each other their ranks decide: what others need comes
//     first, what may block others comes last (see base).
//   - The Namespace objects of namespaces that the target has not come after what lies in
//     them: until then every creation in them is refused, so that nobody interferes.
//
// Owners are known by kind, namespace, name and UID together, as Kubernetes' garbage
// collector knows them (kubernetes: pkg/controller/garbagecollector): an owner with a
// namespace is none of an object in another namespace, or in none.
package order
