// Package tree is how the tree of API v2 is told in keys: the one convention that
// views, archives and targets share. It speaks to no server.
//
//   - A leaf is a key.
//   - A directory is a key that ends in a slash, with an empty value. It is told only
//     if it is empty or has a TTL: all others come to be with what lies in them.
//   - A TTL is a lease with an id of the view's own. What lies in a directory lives no
//     longer than the directory does.
//
// [Flat] is a tree as a store can hold it that has no directories.
package tree

import (
	"bytes"
	"context"
	"iter"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// Is tells whether the keyspace behind an API is a tree.
func Is(api etcdwalk.API) bool { return api == etcdwalk.V2 }

// IsDirectory tells whether a key of a tree stands for a directory.
func IsDirectory(key []byte) bool { return bytes.HasSuffix(key, []byte("/")) }

// Above are the keys of the directories that a key lies in, the outermost first.
// They share its bytes.
func Above(key []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for at := 1; at < len(key); at++ {
			if key[at-1] == '/' && !yield(key[:at]) {
				return
			}
		}
	}
}

// Flat is a view of a tree in which each key lives no longer than the directories that
// it lies in, as it did there. Its keys are the tree's, directories included.
func Flat(view etcdwalk.View) etcdwalk.View { return flat{view} }

type flat struct{ etcdwalk.View }

// Walk implements etcdwalk.View. Directories come before what lies in them. Those
// outside of the selection count as well, and are read too.
func (f flat) Walk(ctx context.Context, sel etcdwalk.Selection) iter.Seq2[etcdwalk.Entry, error] {
	return func(yield func(etcdwalk.Entry, error) bool) {
		var above ttls
		for e, err := range f.View.Walk(ctx, etcdwalk.Selection{Ranges: withDirectories(sel.Ranges), Splits: sel.Splits}) {
			if err == nil {
				e, err = above.shorten(ctx, f.View, e)
			}
			if err == nil && !(sel.Ranges.Contains(e.Key) && sel.Takes(e)) {
				continue
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// withDirectories adds the directories above ranges to them. A directory above a key
// of a range that does not lie in the range lies above the range's first key.
func withDirectories(ranges etcdwalk.Ranges) etcdwalk.Ranges {
	all := append([]etcdwalk.Range(nil), ranges...)
	for _, r := range ranges {
		for dir := range Above(r.Start) {
			all = append(all, etcdwalk.Key(dir))
		}
	}
	return etcdwalk.Union(all...)
}

// ttls are the directories with a TTL above the last key, the outermost first.
type ttls []ttl

type ttl struct {
	dir   []byte
	lease etcdwalk.Lease
}

// shorten gives an entry the lease of the directory that ends first, if it would live
// longer.
func (m *ttls) shorten(ctx context.Context, view etcdwalk.View, e etcdwalk.Entry) (etcdwalk.Entry, error) {
	for len(*m) > 0 && !bytes.HasPrefix(e.Key, (*m)[len(*m)-1].dir) {
		*m = (*m)[:len(*m)-1]
	}
	if len(*m) == 0 && (e.Lease == 0 || !IsDirectory(e.Key)) {
		return e, nil
	}
	own := etcdwalk.Lease{ID: e.Lease}
	if e.Lease != 0 {
		told, err := view.Leases(ctx, []int64{e.Lease})
		if err != nil {
			return e, err
		}
		own = told[0]
	}
	for _, above := range *m {
		if own.ID == 0 || above.lease.Remaining < own.Remaining {
			own = above.lease
		}
	}
	if IsDirectory(e.Key) && e.Lease != 0 {
		*m = append(*m, ttl{bytes.Clone(e.Key), own})
	}
	if own.ID != e.Lease {
		e.Lease, e.Record = own.ID, nil
	}
	return e, nil
}
