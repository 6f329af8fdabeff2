// Package etcdwalk is the domain of kubeferry: what a keyspace is, and how it
// moves.
//
// The nouns:
//
//   - An [Entry] is one key with its value, as etcd stores it.
//   - A [View] is a keyspace at one moment.
//   - A [Source] opens views: a cluster, an archive.
//   - A [Sink] takes entries. An archive being written is a sink.
//   - A [Target] is a cluster that is written to, one guarded [Write] a key.
//   - A [Selection] says which keys are wanted, as key ranges.
//   - [Copy] moves the selected entries of a View into a Sink, [Merge] walks two
//     Views side by side. Every command of kubeferry is one of these.
//
// The errors of all that is behind these are classes: see [ErrUnavailable] and its
// neighbours. A driver's own errors each wrap one.
//
// Caveats and lifetimes:
//
//   - The bytes of an Entry belong to the walk that yields it and are valid
//     until its next step. [Entry.Clone] keeps them.
//   - A View never mixes moments. One that cannot be read any further at its
//     moment ends with [ErrCompacted]; the story above it opens a new View.
//   - Keys are bytes. They are never normalised and never become file names.
//
// The package knows neither etcd's clients nor Kubernetes' resources: the
// drivers below it (etcd3, etcd2) and the package kube do.
package etcdwalk
