// Package object knows what a value means that a kube-apiserver stored: its encoding,
// its metadata, and the object that it is.
//
// The nouns:
//
//   - An [Encoding] is how a value is stored. Each value tells its own: one store can
//     hold all of them at once.
//   - [Meta] is what an object says of itself, read without decoding the
//     rest, for walks over a whole keyspace. [Read] reads it.
//   - An [Object] is a decoded value: the tree that the API shows, and the names of what
//     the types compiled in do not know. What only reads decodes; what writes to a
//     cluster passes bytes. Its substance is what two objects are compared by.
//   - An [Opener] opens values that are encrypted at rest. A [Redactor] hides what
//     Secrets guard.
//
// It is the only home of k8s.io. Values come from anywhere: whatever they are, a
// function here returns an error and never panics, and its errors repeat no byte of a
// value.
package object
