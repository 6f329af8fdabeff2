// Package etcd3 is a cluster over etcd's v3 API, as a source and as a target.
//
//   - A [Cluster] is a set of endpoints of one etcd cluster, dialled once: an
//     etcdwalk.Source.
//   - A [View] is its keyspace at one revision, an etcdwalk.View.
//   - A [Target] writes to it under guards, an etcdwalk.Target.
//
// Reading. [Cluster.Pin] fixes a revision with a linearizable read; all else is
// read at that revision, from whichever member answers, ascending and without
// sort options. Servers that have it (3.7) send a range as a stream; everything
// else, and whatever a stream leaves over when it breaks, is read in pages of
// about 1 MiB, one of them ahead. A page ends soon behind what it can bring,
// since servers count all that they are asked about. Of many ranges, those with
// little between them are read together, and small ones that follow each other
// are asked for at once. Records are passed on in
// the bytes that came, yet nothing that a server says is believed unchecked: the
// cluster's id, the order of keys, the range, the revisions and the number of
// keys must fit, or the walk ends with etcdwalk.ErrInvariant.
//
// Trying again. Every request has a deadline. Reads are repeated while the
// cause may pass, within a budget of time without progress. The client's own
// repetition is switched off, since it may send a write twice: a write goes
// out again only if it is certain that it did not take effect.
//
// Caveats and lifetimes:
//
//   - A View whose revision was compacted away ends with etcdwalk.ErrCompacted.
//     It never moves to another revision; the caller opens a new View.
//   - Rights are never stretched: a range that may not be read as a whole is
//     not read in part.
//   - Views and Targets live as long as their Cluster. All three may be used by
//     several goroutines.
//   - The package writes to no terminal. gRPC's own logger, which is global,
//     is the program's to silence.
package etcd3
