package order

import (
	"bytes"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// Runs are keys in an order of their own, as selections that follow one another: in each
// the keys ascend. That needs some 100 bytes a run, and nothing of a key.
type Runs struct {
	ranges etcdwalk.Ranges // of each run from its first key to behind its last
}

// Add takes the next key, and tells the run that it is in.
func (r *Runs) Add(key []byte) (run int) {
	if n := len(r.ranges); n == 0 || bytes.Compare(key, r.ranges[n-1].End) < 0 {
		r.ranges = append(r.ranges, etcdwalk.Range{Start: bytes.Clone(key)})
	}
	run = len(r.ranges) - 1
	r.ranges[run].End = etcdwalk.After(key)
	return run
}

// Selections are the runs. Of tells of a key the run that it is in, if it is in one.
func (r *Runs) Selections(of func(key []byte) (run int, is bool)) []etcdwalk.Selection {
	all := make([]etcdwalk.Selection, len(r.ranges))
	for run, keys := range r.ranges {
		all[run] = etcdwalk.Selection{Ranges: etcdwalk.Ranges{keys}, Match: func(key []byte) bool {
			in, is := of(key)
			return is && in == run
		}}
	}
	return all
}
