package ferry

import (
	"runtime"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// Bounds of what is decoded together: entries, and bytes of their keys and values.
const (
	lookEntries = 64
	lookBytes   = 256 << 10
)

// A lookQueue decodes entries side by side, and hands them on in their order. It belongs to
// one goroutine.
type lookQueue struct {
	see   func(found, []byte) (Seen, []byte) // by several at once
	tell  func(Seen) error                   // in order
	most  int                                // batches
	jobs  []chan seenBatch                   // the oldest first
	next  []found                            // being collected
	size  int64
	spare [][]byte // memory for texts
}

// A seenBatch is what has been decoded together, and the memory that its texts are in.
type seenBatch struct {
	seen []Seen
	text []byte
}

// spareText bounds, in bytes, the memory for the texts of a batch that is used again.
const spareText = 4 << 20

// A found entry is one that is the queue's own, with what is known of it so far.
type found struct {
	etcdwalk.Class
	etcdwalk.Entry
	definition *object.Object
}

func newLookQueue(see func(found, []byte) (Seen, []byte), tell func(Seen) error) *lookQueue {
	return &lookQueue{see: see, tell: tell, most: min(4, runtime.GOMAXPROCS(0)) + 4}
}

// add takes an entry, whose bytes it does not keep.
func (q *lookQueue) add(class etcdwalk.Class, e etcdwalk.Entry, definition *object.Object) error {
	if len(q.next) == lookEntries || len(q.next) > 0 && q.size+e.Size() > lookBytes {
		if err := q.begin(); err != nil {
			return err
		}
	}
	q.next, q.size = append(q.next, found{class, e.Clone(), definition}), q.size+e.Size()
	return nil
}

// begin has a batch decoded, and hands on the oldest where there is no room for more.
func (q *lookQueue) begin() error {
	batch, done := q.next, make(chan seenBatch, 1)
	q.next, q.size = nil, 0
	q.jobs = append(q.jobs, done)
	var text []byte
	if n := len(q.spare); n > 0 {
		text, q.spare = q.spare[n-1], q.spare[:n-1]
	}
	go func() {
		seen := make([]Seen, len(batch))
		for i, f := range batch {
			seen[i], text = q.see(f, text)
		}
		done <- seenBatch{seen, text}
	}()
	if len(q.jobs) < q.most {
		return nil
	}
	return q.hand()
}

// hand waits for the oldest batch and tells of it.
func (q *lookQueue) hand() error {
	oldest := q.jobs[0]
	q.jobs = q.jobs[1:]
	batch := <-oldest
	for _, s := range batch.seen {
		if err := q.tell(s); err != nil {
			return err
		}
	}
	if cap(batch.text) <= spareText {
		q.spare = append(q.spare, batch.text[:0])
	}
	return nil
}

// end tells of all that is left. Batches that nobody waits for end by themselves.
func (q *lookQueue) end() error {
	if len(q.next) > 0 {
		if err := q.begin(); err != nil {
			return err
		}
	}
	for len(q.jobs) > 0 {
		if err := q.hand(); err != nil {
			return err
		}
	}
	return nil
}
