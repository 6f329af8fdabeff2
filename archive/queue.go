package archive

import (
	"runtime"
	"slices"
)

// workers is how many segments are worked on side by side: one for each core,
// up to four, since each costs a few MiB of memory.
func workers() int { return min(4, runtime.GOMAXPROCS(0)) }

// packers is how many segments are packed side by side: a core is left to who
// delivers the entries, often an etcd on the same machine.
func packers() int { return max(1, min(4, runtime.GOMAXPROCS(0)-1)) }

// A queue runs jobs side by side and gives their items back in the order in
// which they were started. It belongs to one goroutine. Each job has a goroutine
// of its own, which ends with it: so nothing is left to stop when the last job
// is done.
type queue[T any] struct {
	most  int       // items in use
	jobs  []*job[T] // the oldest first
	items int       // in use: from start to free
	bytes int64     // of those
	spare []*T      // not in use
}

type job[T any] struct {
	item *T
	done chan struct{} // closed when item and err are the queue's again
	err  error
}

// room tells whether a job of size bytes may start, so that memory stays
// bounded. Ordinary ones are counted, huge ones count for more; one that is
// alone may have any size.
func (q *queue[T]) room(size int64) bool {
	return q.items == 0 || q.items < q.most && q.bytes+size <= int64(q.most)*segmentSize
}

// start begins a job of size bytes. The item is the job's until next.
func (q *queue[T]) start(item *T, size int64, work func(*T) error) {
	j := &job[T]{item: item, done: make(chan struct{})}
	q.jobs = append(q.jobs, j)
	q.items, q.bytes = q.items+1, q.bytes+size
	go func() {
		defer close(j.done)
		j.err = work(item)
	}()
}

// empty tells that no job is left to wait for.
func (q *queue[T]) empty() bool { return len(q.jobs) == 0 }

// ready tells whether next would return at once.
func (q *queue[T]) ready() bool {
	if q.empty() {
		return false
	}
	select {
	case <-q.jobs[0].done:
		return true
	default:
		return false
	}
}

// next waits for the oldest job and returns its item and its error. There must
// be one.
func (q *queue[T]) next() (*T, error) {
	j := q.jobs[0]
	<-j.done
	q.jobs = slices.Delete(q.jobs, 0, 1)
	return j.item, j.err
}

// drain waits for all jobs, whatever becomes of them.
func (q *queue[T]) drain() {
	for _, j := range q.jobs {
		<-j.done
	}
	q.jobs = nil
}

// item returns one that is not in use, with what its last job left in it.
func (q *queue[T]) item() *T {
	if len(q.spare) == 0 {
		return new(T)
	}
	last := len(q.spare) - 1
	item := q.spare[last]
	q.spare = q.spare[:last]
	return item
}

// free takes back an item that next returned, and the size of its job.
func (q *queue[T]) free(item *T, size int64) {
	q.items, q.bytes = q.items-1, q.bytes-size
	q.spare = append(q.spare, item)
}
