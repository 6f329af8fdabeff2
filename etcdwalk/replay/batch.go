package replay

import (
	"bytes"
	"time"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay/journal"
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
	items []*item
	bytes int64

	took  time.Duration // the target took for the writes
	ended time.Time     // when it was settled
	err   error         // why the pass must stop
	done  chan struct{} // closed when the batch is settled

	store [batchKeys]item // what items point to
	arena []byte          // what their keys and values lie in
}

// firstArena is what a batch has room for at first, in bytes: few need more.
const firstArena = 128 << 10

func newBatch() *batch { return &batch{arena: make([]byte, 0, firstArena)} }

// clear empties the batch for its next use.
func (b *batch) clear() {
	clear(b.store[:len(b.items)])
	b.items, b.arena, b.bytes, b.took = b.items[:0], b.arena[:0], 0, 0
}

// add takes an item, with a copy of its entry and of what its key was in the source.
func (b *batch) add(it item) {
	it.want, it.from = b.keep(it.want), bytes.Clone(it.from)
	b.bytes += it.want.Size()
	kept := &b.store[len(b.items)]
	*kept = it
	b.items = append(b.items, kept)
}

// keep copies e into the arena. Where that is full, a larger one takes its place, up to
// what a batch may hold; the items keep the old one alive. An entry that is too large for any,
// and so alone in its batch, gets memory of its own.
func (b *batch) keep(e etcdwalk.Entry) etcdwalk.Entry {
	size := int(e.Size())
	if size > batchBytes {
		return e.Clone()
	}
	if size > cap(b.arena)-len(b.arena) {
		b.arena = make([]byte, 0, min(batchBytes, max(2*cap(b.arena), size)))
	}
	key := len(b.arena)
	value := key + len(e.Key)
	b.arena = append(append(b.arena, e.Key...), e.Value...)
	e.Key, e.Value, e.Record = b.arena[key:value:value], b.arena[value:len(b.arena):len(b.arena)], nil
	return e
}

// An item is an entry on its way to a fate.
type item struct {
	want etcdwalk.Entry // without its value, if it is not to be written
	size int64          // of the key and the value
	from []byte         // its key in the source, if it is another
	// Line is what was decided last. Created and Replaced are intentions
	// until arrived, or until the batch is settled.
	Line
	digests journal.Line   // of which only the digests count
	held    journal.Digest // of what the target holds, if a plan that was made before is followed
	seen    int64          // the mod revision under which it is written
	arrived bool           // a write whose answer was lost was found in the store

	lease  int64 // of the last write
	raced  bool  // the last write met another revision than seen
	lost   bool  // the answer to the last write was lost
	losses int
	races  int
}

// onlyStatus is why an object that was written since is unchanged.
const onlyStatus = "only its status differs"

// decide takes what the target holds under the key when the plan is made; nil: nothing.
func (it *item) decide(j *Job, have *etcdwalk.Entry) {
	if j.Given != nil && have != nil {
		it.held = j.Digest(*have)
	}
	if j.Delete != nil && j.Delete(it.want) {
		it.decideDelete(j, have)
		return
	}
	policy := j.policy(it.want.Key)
	action := Decide(policy, it.want, have)
	alike := have != nil && action != Same && j.Alike != nil && (it.want.Lease == 0) == (have.Lease == 0) && j.Alike(it.want, *have)
	if j.Still != nil && action != Same && !alike {
		if why := j.Still(it.want, have); why != "" {
			it.move(revision(have), why)
			return
		}
	}
	if have == nil {
		it.Line = Line{Fate: fates[action]}
		return
	}
	ours := j.Ours != nil && j.Ours(it.want, *have)
	switch {
	case ours && (alike || action == Same):
		action = Same
	case ours:
		action = Create
	case alike:
		action = Same
	}
	it.Line = Line{Fate: fates[action], Revision: have.ModRevision}
	switch {
	case it.pending():
		it.digests.Seen = j.Digest(*have)
	case alike:
		it.Reason = onlyStatus
	case action == Keep, action == Conflict:
		it.Reason = difference(policy, it.want, *have)
	}
}

// decideDelete takes what the target holds under a key that is to be deleted.
func (it *item) decideDelete(j *Job, have *etcdwalk.Entry) {
	if have == nil {
		it.Line = Line{Fate: Unchanged, Reason: goneAlready}
		return
	}
	if j.Still != nil {
		if why := j.Still(it.want, have); why != "" {
			it.move(have.ModRevision, why)
			return
		}
	}
	it.Line, it.seen, it.digests.Seen = Line{Fate: Deleted, Revision: have.ModRevision}, have.ModRevision, j.Digest(*have)
}

// goneAlready is why a key that is to be deleted is unchanged.
const goneAlready = "it is not there"

func revision(e *etcdwalk.Entry) int64 {
	if e == nil {
		return 0
	}
	return e.ModRevision
}

// fates is the fate that each action leads to.
var fates = map[Action]Fate{
	Create:   Created,
	Same:     Unchanged,
	Replace:  Replaced,
	Keep:     Skipped,
	Conflict: Conflicting,
}

// settled tells whether nothing is to be done about the item any more.
func (it *item) settled() bool { return it.Fate != "" && !it.pending() }

// pending tells whether the item is still to be written.
func (it *item) pending() bool {
	return !it.arrived && it.Fate.Changes()
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
		if it.Fate == Deleted {
			writes[i] = etcdwalk.Write{Key: it.want.Key, Seen: it.seen, Delete: true}
			continue
		}
		writes[i] = etcdwalk.Write{Key: it.want.Key, Value: it.want.Value, Lease: it.lease, Seen: it.seen}
	}
	return writes
}
