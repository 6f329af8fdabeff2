// Package undo keeps what it takes to take a change of a cluster back, and takes it back.
//
// Before a cluster is changed, [Keeper.Keep] saves two objects in a store, under one name: the
// file of the plan, which says what is to become of each key, and a small archive of what the
// keys hold that are to be replaced or deleted. The archive is encrypted; the key of the plan's
// digests lies in it, so that who has not its identity can try out no guess of a value.
//
// An [Undo] plans from these what is to be done: what was created is deleted, what was replaced
// or deleted is put back, each only where it is still what the change made of it, but for its
// status. The rest is left to who has written it since, and told. An undo is a change, and can be
// taken back itself.
package undo
