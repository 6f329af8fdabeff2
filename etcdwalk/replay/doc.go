// Package replay puts the entries of a view back into a cluster, key by key,
// under a guard.
//
// The nouns:
//
//   - An etcdwalk.Target is the cluster that is written to.
//   - A [Policy] says what happens to a key that the target holds with another
//     value, and [Decide] is the whole of that table.
//   - A [Job] is what is to be replayed, and how.
//   - A [Fate] is what becomes of a key. Each key has exactly one in a
//     plan, and exactly one in an apply; a [Line] tells it.
//
// The two passes of a Job:
//
//  1. Plan walks the source, asks the target what it holds, decides, and
//     counts. It writes nothing. A dry run ends here.
//  2. Apply walks again in batches. For each it looks, decides anew, writes
//     what is to be written, each key guarded by the revision it was seen at,
//     and settles: who lost a race is looked at and decided again; whose answer
//     was lost is read back; who met an unavailable target waits and tries
//     again. Where the target seems to hold none of the keys, a batch is written
//     without a look, each key guarded by its absence; the keys that are there
//     after all are looked at then.
//
// Several batches may be in flight at once. The walk's goroutine collects them,
// each is settled by a goroutine of its own, and they land in their order: only
// then, and by the walk, are their fates told. So what has a fate is
// always a beginning of the walk.
//
// The selections are written in their order, with a barrier between them. The
// order of the keys within a selection is not promised, nor is the order of
// the lines. Memory holds the batches in flight and one more, however long the
// source is.
//
// Caveats:
//
//   - The package never puts blindly and never deletes.
//   - An apply that stopped can be run again: what is there counts as the same.
//   - A key under a lease is never written without one.
package replay
