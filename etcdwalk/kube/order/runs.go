package order

import (
	"bytes"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// Runs are keys in an order of their own, as selections that follow one another: in each
// the keys ascend. That needs some 100 bytes a run, and nothing of a key.
type Runs struct {
	ranges etcdwalk.Ranges // of each run from its first key to its last
	last   []byte
}

// Add takes the next key, and tells the run that it is in.
func (r *Runs) Add(key []byte) (run int) {
	if r.last == nil || bytes.Compare(key, r.last) <= 0 {
		r.ranges = append(r.ranges, etcdwalk.Range{Start: bytes.Clone(key)})
	}
	run, r.last = len(r.ranges)-1, bytes.Clone(key)
	r.ranges[run].End = etcdwalk.After(key)
	return run
}

// Part ends the run: the next key begins another.
func (r *Runs) Part() { r.last = nil }

// Selections are the runs. Of tells of a key the run that it is in; of one that is in none, less
// than 0.
func (r *Runs) Selections(of func(key []byte) (run int)) []etcdwalk.Selection {
	all := make([]etcdwalk.Selection, len(r.ranges))
	for run, keys := range r.ranges {
		all[run] = etcdwalk.Selection{Ranges: etcdwalk.Ranges{keys}, Match: func(key []byte) bool { return of(key) == run }}
	}
	return all
}
