package ferry

import (
	"context"
	"iter"
	"unicode/utf8"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd2"
)

// across judges an entry that goes from one API to another: directories exist in
// v2 only, and v2 keeps text only. It returns why not; empty: it passes.
func across(from, to etcdwalk.API, e etcdwalk.Entry) (excluded, refused string) {
	switch {
	case from == etcdwalk.V2 && to == etcdwalk.V3 && etcd2.IsDirectory(e.Key):
		return "API v3 has no directories", ""
	case to == etcdwalk.V2 && !utf8.Valid(e.Value):
		return "", "API v2 would damage the value: it is not text in UTF-8"
	case to == etcdwalk.V2 && from != etcdwalk.V2 && (etcd2.IsDirectory(e.Key) || !utf8.Valid(e.Key) || e.Key[0] != '/'):
		return "", "no leaf of API v2 can have this key"
	}
	return "", ""
}

// A mortality is a view of an archive of API v2 in which each key lives no longer
// than the directories that it lies in, as it did there.
type mortality struct {
	*Archive
}

// Walk implements etcdwalk.View.
func (m mortality) Walk(ctx context.Context, sel etcdwalk.Selection) iter.Seq2[etcdwalk.Entry, error] {
	return func(yield func(etcdwalk.Entry, error) bool) {
		for e, err := range m.Archive.Walk(ctx, sel) {
			if err == nil {
				e, err = m.shorten(ctx, e)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// shorten gives an entry the lease of the directory that ends first, if it would
// live longer.
func (m mortality) shorten(ctx context.Context, e etcdwalk.Entry) (etcdwalk.Entry, error) {
	ids := []int64{e.Lease}
	for dir := range etcd2.Above(e.Key) {
		if id := m.mortals[string(dir)]; id != 0 {
			ids = append(ids, id)
		}
	}
	if len(ids) == 1 {
		return e, nil
	}
	leases, err := m.Leases(ctx, ids)
	if err != nil {
		return e, err
	}
	for i, lease := range leases[1:] {
		if own := leases[0]; e.Lease == 0 || lease.Remaining < own.Remaining {
			e.Lease, e.Record, leases[0] = ids[i+1], nil, lease
		}
	}
	return e, nil
}
