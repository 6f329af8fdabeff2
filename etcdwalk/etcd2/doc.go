// Package etcd2 is a cluster over etcd's v2 API, as a source and as a target. The
// API is that of etcd 2, and of 3.x up to 3.5 with --enable-v2.
//
//   - A [Cluster] is a set of endpoints of one etcd cluster, dialled once: an
//     etcdwalk.Source.
//   - A [View] is its tree as an ordered keyspace, an etcdwalk.View.
//   - A [Target] writes to it under guards, an etcdwalk.Target.
//
// How the tree is told in keys is package tree's. The modified and created index of
// a node are its revisions; there is no version. A TTL is a lease of our own,
// whose id is the node's modified index.
//
// Reading. The API reads no past, and has no pages. One recursive answer is one
// moment: the store makes it under one lock. So each kind is read with one request
// for its directory, with quorum. A View begins with an index of the store; if
// any answer after that tells another one, somebody has written in between, and
// [View.Outcome] says that the entries are not of one moment. Memory is bounded
// by the largest answer, and answers above a limit are refused.
//
// Caveats:
//
//   - Nodes whose name begins with an underscore are in no listing: they are read
//     only by their own key.
//   - Values and keys are text to this API. What is not UTF-8 was replaced by
//     U+FFFD when it was written, or is when it is read; a Target refuses it.
//   - A write goes to one node per request, and never without a guard.
package etcd2
