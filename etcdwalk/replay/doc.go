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
//   - A journal.File binds an apply to its plan.
//
// The two passes of a Job:
//
//  1. Plan walks the source, asks the target what it holds, decides, and
//     counts; and writes a line of each key into the file. To the target it writes
//     nothing. A dry run ends here.
//  2. Apply walks again, beside the lines of the file, in batches. What the plan
//     wanted to be written it writes without a look, each key guarded by the
//     revision that the plan saw, and settles: where somebody else has written
//     meanwhile it looks. Was it only the status of an object, the key is written
//     all the same, under the new revision; else it has Moved, and is left to them.
//     A write whose answer was lost is read back; who met an unavailable target
//     waits and tries again.
//
// Several batches may be in flight at once. The walk's goroutine collects them,
// each is settled by a goroutine of its own, and they land in their order: only
// then, and by the walk, are their fates told. So what has a fate is
// always a beginning of the walk.
//
// The selections are written in their order, with a barrier between them. The
// order of the keys within a selection is not promised; the lines are in the order of
// the walk. Memory holds the batches in flight and one more, however long the
// source is.
//
// Caveats:
//
//   - The package never puts blindly, and deletes nothing but what it is told to.
//   - An apply that stopped can be run again: what is there counts as the same.
//   - A key under a lease is never written without one.
package replay
