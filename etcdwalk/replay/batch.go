package replay

import (
	"bytes"
	"time"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// What a batch may hold, and how many values of the target are looked at
// together, since each may be as large as a request.
const (
	batchKeys  = 128
	batchBytes = 1 << 20
	lookupKeys = 32
)

// A batch is what is settled together: entries that follow each other in the
// walk. While it is in flight it belongs to the goroutine that settles it,
// before and after that to the walk's. It is used again and again.
type batch struct {
	selection int // that the entries are of
	items     []*item
	bytes     int64

	// guess: the target is taken to hold none of the keys, without a look.
	// since is a revision that the target had before that.
	guess bool
	since int64

	there bool          // the target was found to hold one of the keys
	took  time.Duration // the target took for the writes
	ended time.Time     // when it was settled
	err   error         // why the pass must stop
	done  chan struct{} // closed when the batch is settled

	store [batchKeys]item // what items point to
	arena []byte          // what their keys and values lie in
}

func newBatch() *batch { return &batch{arena: make([]byte, 0, batchBytes)} }

// clear empties the batch for its next use.
func (b *batch) clear() {
	clear(b.store[:len(b.items)])
	b.items, b.arena, b.bytes = b.items[:0], b.arena[:0], 0
	b.there, b.took = false, 0
}

// add takes a copy of e, and of what its key was in the source.
func (b *batch) add(e etcdwalk.Entry, from []byte) {
	it := &b.store[len(b.items)]
	*it = item{want: b.keep(e), from: bytes.Clone(from)}
	b.items = append(b.items, it)
	b.bytes += e.Size()
}

// keep copies e into the arena. One that is too large for it, and so alone in
// its batch, gets memory of its own.
func (b *batch) keep(e etcdwalk.Entry) etcdwalk.Entry {
	if int(e.Size()) > cap(b.arena)-len(b.arena) {
		return e.Clone()
	}
	key := len(b.arena)
	value := key + len(e.Key)
	b.arena = append(append(b.arena, e.Key...), e.Value...)
	e.Key, e.Value, e.Record = b.arena[key:value:value], b.arena[value:len(b.arena):len(b.arena)], nil
	return e
}

// An item is an entry on its way to a fate.
type item struct {
	want etcdwalk.Entry
	from []byte // its key in the source, if it is another
	// Line is what was decided last. Created and Replaced are intentions
	// until arrived, or until the batch is settled.
	Line
	seen    int64 // the mod revision that was decided upon
	since   int64 // if that was guessed: a revision that the target had before
	arrived bool  // a write whose answer was lost was found in the store

	ours bool // the target held a form of it that the job had made

	lease  int64 // of the last write
	lost   bool  // the answer to the last write was lost
	losses int
	races  int
}

// decide takes what the target holds under the key; nil: nothing.
func (it *item) decide(j *Job, have *etcdwalk.Entry) {
	policy := j.policy(it.want.Key)
	action := Decide(policy, it.want, have)
	alike := have != nil && action != Same && j.Alike != nil && (it.want.Lease == 0) == (have.Lease == 0) && j.Alike(it.want, *have)
	if it.losses > 0 && have != nil && have.ModRevision > max(it.seen, it.since) &&
		have.Lease == it.lease && (alike || bytes.Equal(have.Value, it.want.Value)) {
		it.arrived, it.lost, it.Revision = true, false, have.ModRevision
		return
	}
	if it.ours = have != nil && j.Ours != nil && j.Ours(it.want, *have); it.ours {
		it.Line, it.lost = Line{Fate: Created, Revision: have.ModRevision}, false
		it.seen, it.arrived = have.ModRevision, alike || action == Same
		return
	}
	moved := have != nil && j.Planned > 0 && have.ModRevision > j.Planned && action == Replace
	switch {
	case alike:
		action = Same
	case moved:
		action = Conflict
	}
	it.Line = Line{Fate: fates[action]}
	it.seen, it.lost = 0, false
	if have == nil {
		return
	}
	it.seen, it.Revision = have.ModRevision, have.ModRevision
	switch {
	case alike:
		it.Reason = "only its status differs"
	case moved:
		it.Reason = "it was written since the plan was made"
	case action == Keep, action == Conflict:
		it.Reason = difference(policy, it.want, *have)
	}
}

// fates is the fate that each action leads to.
var fates = map[Action]Fate{
	Create:   Created,
	Same:     Unchanged,
	Replace:  Replaced,
	Keep:     Skipped,
	Conflict: Conflicting,
}

// pending tells whether the item is still to be written.
func (it *item) pending() bool {
	return !it.arrived && (it.Fate == Created || it.Fate == Replaced)
}

// lose notes that nobody knows what became of the last write.
func (it *item) lose() {
	it.lost = true
	it.losses++
}

// difference says why the target's entry is not simply the same.
func difference(policy Policy, want, have etcdwalk.Entry) string {
	switch {
	case !bytes.Equal(want.Value, have.Value) && policy == Newer:
		return "the target holds another value, as new or newer"
	case !bytes.Equal(want.Value, have.Value):
		return "the target holds another value"
	case have.Lease != 0:
		return "the target holds the same value, but under a lease"
	default:
		return "the target holds the same value, but without its lease"
	}
}

func keys(items []*item) [][]byte {
	keys := make([][]byte, len(items))
	for i, it := range items {
		keys[i] = it.want.Key
	}
	return keys
}

func writes(items []*item) []etcdwalk.Write {
	writes := make([]etcdwalk.Write, len(items))
	for i, it := range items {
		writes[i] = etcdwalk.Write{Key: it.want.Key, Value: it.want.Value, Lease: it.lease, Seen: it.seen}
	}
	return writes
}
