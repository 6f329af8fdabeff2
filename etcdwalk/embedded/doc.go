// Package embedded runs an etcd inside the process: for the demo, the drill, and
// tests.
//
// The nouns:
//
//   - A [Server] is one etcd member, a cluster of its own, that listens on
//     loopback only. It has what a real one has: write-ahead log, fsync, leases,
//     compaction on request.
//
// Caveats and lifetimes:
//
//   - A Server is for throw-away data. It starts empty and never opens what an
//     earlier one left behind; its folder is the caller's to remove, after
//     Close.
//   - Anyone on the machine can connect while it runs: there is no TLS and no
//     password. The port is the system's choice.
//   - Every Server is a cluster with an id of its own, so two of them count as
//     two clusters.
//   - It takes larger requests than etcd does by default, so that whatever a
//     real cluster held fits. Use a real etcd to test limits.
//   - Where etcd would end the process because it cannot go on (a full disk
//     under its log), it panics instead, with the reason.
package embedded
