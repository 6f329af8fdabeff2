// Package kube knows what a key means to Kubernetes, and which value belongs under it.
//
// The nouns:
//
//   - A [Kind] is a resource that is stored, with the names that kubectl gives
//     it. The kinds compiled into kube-apiserver and into OpenShift's API servers
//     are tables; custom ones are found in the view at hand.
//   - A [Layout] is the prefixes that a keyspace uses. It parses keys into an
//     [Object], classifies them, and says in which order, and whether at all,
//     they may be written.
//   - A [Filter] is a selection as an operator types it. It is compiled into a
//     [Query], which a view resolves to key ranges.
//   - A [Catalog] is what queries have to know of a view for that, read once: its
//     custom kinds and its namespaces.
//
// Caveats and lifetimes:
//
//   - Parsing never decides whether an entry is kept. A key that is no object's
//     is opaque: it is archived, counted and restored byte for byte.
//   - Prefixes and ranges end in a slash: "machines" is a prefix of
//     "machinesets".
//   - The group in a stored value may differ from the group a client asked for.
//   - Nothing that is returned points into the key or value it was read from.
//   - No error holds any of a value but the names in its metadata.
//
// What a value means is package object's. The layout is described in Kubernetes' own
// sources: the paths in test/integration/etcd/data.go, the names in api/discovery.
package kube
