package walktest

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"sync/atomic"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// A View is an etcdwalk.View over entries in memory. Its fields may be set
// until the first walk.
type View struct {
	About etcdwalk.Info
	// TTLs tells of leases; those that are not in it are LeaseUnknown.
	TTLs map[int64]etcdwalk.Lease
	// Err, if set, ends a walk that has yielded ErrAfter entries.
	Err      error
	ErrAfter int

	n     int
	at    func(i int) etcdwalk.Entry
	fired atomic.Int64
}

var (
	_ etcdwalk.Source = (*View)(nil)
	_ etcdwalk.View   = (*View)(nil)
)

// A Source is a function as an etcdwalk.Source.
type Source func(ctx context.Context, at etcdwalk.Moment, ranges etcdwalk.Ranges) (etcdwalk.View, error)

// Open implements etcdwalk.Source.
func (s Source) Open(ctx context.Context, at etcdwalk.Moment, ranges etcdwalk.Ranges) (etcdwalk.View, error) {
	return s(ctx, at, ranges)
}

// NewView makes a view of copies of the entries, sorted by key.
func NewView(entries ...etcdwalk.Entry) *View {
	sorted := Sorted(entries)
	return Generated(len(sorted), func(i int) etcdwalk.Entry { return sorted[i] })
}

// Generated makes a view of n entries that are made when the walk comes to
// them. The keys must ascend, unless a lying view is what the test wants.
func Generated(n int, at func(i int) etcdwalk.Entry) *View {
	return &View{
		About: etcdwalk.Info{API: etcdwalk.V3, ClusterID: 0xc1, KubeSystemUID: "uid-1", ServerVersion: "3.6.0", Revision: 1000},
		n:     n, at: at,
	}
}

// Open implements etcdwalk.Source: the view is the only one that it holds.
func (v *View) Open(_ context.Context, at etcdwalk.Moment, _ etcdwalk.Ranges) (etcdwalk.View, error) {
	if at != etcdwalk.Newest && int64(at) != v.About.Revision {
		return nil, fmt.Errorf("revision %d: %w", at, fs.ErrNotExist)
	}
	return v, nil
}

// Count implements etcdwalk.View.
func (v *View) Count(_ context.Context, sel etcdwalk.Selection) (n int64, _ error) {
	for i := range v.n {
		if sel.Ranges.Contains(v.at(i).Key) {
			n++
		}
	}
	return n, nil
}

// Info implements etcdwalk.View.
func (v *View) Info() etcdwalk.Info { return v.About }

// Fired tells how many walks ended with Err.
func (v *View) Fired() int { return int(v.fired.Load()) }

// Walk implements etcdwalk.View.
func (v *View) Walk(ctx context.Context, sel etcdwalk.Selection) iter.Seq2[etcdwalk.Entry, error] {
	return func(yield func(etcdwalk.Entry, error) bool) {
		var key, value []byte
		yielded := 0
		for i := range v.n {
			if v.Err != nil && yielded == v.ErrAfter {
				break
			}
			e := v.at(i)
			if !sel.Ranges.Contains(e.Key) || !sel.Takes(e) {
				continue
			}
			if err := ctx.Err(); err != nil {
				yield(etcdwalk.Entry{}, err)
				return
			}
			key, value = append(key[:0], e.Key...), append(value[:0], e.Value...)
			e.Key, e.Value, e.Record = key, value, nil
			if !yield(e, nil) {
				return
			}
			spoil(key)
			spoil(value)
			yielded++
		}
		err := ctx.Err()
		if v.Err != nil && yielded == v.ErrAfter {
			v.fired.Add(1)
			err = v.Err
		}
		if err != nil {
			yield(etcdwalk.Entry{}, err)
		}
	}
}

// Leases implements etcdwalk.View.
func (v *View) Leases(ctx context.Context, ids []int64) ([]etcdwalk.Lease, error) {
	leases := make([]etcdwalk.Lease, len(ids))
	for i, id := range ids {
		lease, ok := v.TTLs[id]
		if !ok {
			lease = etcdwalk.Lease{ID: id, State: etcdwalk.LeaseUnknown}
		}
		leases[i] = lease
	}
	return leases, ctx.Err()
}

// Everything selects the whole keyspace.
func Everything() etcdwalk.Selection {
	return etcdwalk.Selection{Ranges: etcdwalk.Ranges{{}}}
}

// Sorted are copies of the entries, by key.
func Sorted(entries []etcdwalk.Entry) []etcdwalk.Entry {
	sorted := make([]etcdwalk.Entry, len(entries))
	for i, e := range entries {
		sorted[i] = e.Clone()
	}
	slices.SortFunc(sorted, func(a, b etcdwalk.Entry) int { return bytes.Compare(a.Key, b.Key) })
	return sorted
}

// spoil overwrites bytes that nobody may use any more.
func spoil(b []byte) {
	for i := range b {
		b[i] = 0xdd
	}
}
