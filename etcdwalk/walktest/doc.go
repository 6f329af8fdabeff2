// Package walktest holds what the tests of kubeferry's walks and restores
// share: a [View] and a [Target] in memory, and the suites that every driver
// must pass, these two included. Only tests may import it.
//
//   - [View] is a keyspace at one moment, given as a list or made up on the way.
//     The bytes it yields are spoilt at the next step, so that who keeps them
//     is found out.
//   - [Target] is a store with etcd's revisions, guards, leases and limits. A
//     hook lets another writer in; faults are injected by a function and
//     counted. A test must look at the count: a fault that never fired proves
//     nothing.
//   - [Views], [Pinned] and [Targets] are the suites.
//   - [Corpus] is a keyspace with every kind of odd key; [Diff] compares whole
//     keyspaces.
package walktest
