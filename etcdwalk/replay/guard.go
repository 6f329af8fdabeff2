package replay

import (
	"bytes"
	"context"
	"fmt"
	"iter"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// SameLineage tells with an [etcdwalk.ErrRefused] why mod revisions of the archive and
// of the target, which are known to be of one cluster, do not compare, so that
// the policy Newer has no meaning.
func SameLineage(archive, target etcdwalk.Info) error {
	refuse := func(what, got, want any) error {
		return fmt.Errorf("mod revisions do not compare: the archive's %s is %v, the target's %v: %w", what, got, want, etcdwalk.ErrRefused)
	}
	switch {
	case archive.ClusterID != target.ClusterID:
		return refuse("cluster id", archive.ClusterID, target.ClusterID)
	case archive.ClusterID == 0:
		return fmt.Errorf("mod revisions do not compare: etcd's cluster id is not known: %w", etcdwalk.ErrRefused)
	case archive.API != target.API:
		return refuse("API", archive.API, target.API)
	case target.Revision < archive.Revision:
		return fmt.Errorf("mod revisions do not compare: the archive is of revision %d, the target was turned back to %d: %w",
			archive.Revision, target.Revision, etcdwalk.ErrRefused)
	}
	return nil
}

// Foreign finds the first key that the target holds in the scope and that the
// source would not have put there: the source does not hold it, or with
// another value, or only one of them under a lease. What ignore, which may be
// nil, takes does not count. Both are walked once and side by side; an empty
// target costs no walk over the source.
func Foreign(ctx context.Context, target, source etcdwalk.View, scope etcdwalk.Selection, ignore func(etcdwalk.Entry) bool) (key []byte, found bool, err error) {
	next, stop := iter.Pull2(source.Walk(ctx, scope))
	defer stop()
	ours := follower{ranges: scope.Ranges, next: next}
	var order etcdwalk.Order
	for theirs, err := range target.Walk(ctx, scope) {
		if err == nil {
			err = order.Check(scope.Ranges, theirs.Key)
		}
		if err != nil {
			return nil, false, fmt.Errorf("walking the target: %w", err)
		}
		if ignore != nil && ignore(theirs) {
			continue
		}
		want, err := ours.at(theirs.Key)
		if err != nil {
			return nil, false, fmt.Errorf("walking the source: %w", err)
		}
		if want == nil || Decide(Fail, *want, &theirs) != Same {
			return bytes.Clone(theirs.Key), true, nil
		}
	}
	return nil, false, ctx.Err()
}

// A follower goes over a walk no faster than it is asked to.
type follower struct {
	next   func() (etcdwalk.Entry, error, bool)
	ranges etcdwalk.Ranges
	order  etcdwalk.Order

	entry   etcdwalk.Entry // the last one taken
	started bool
	ended   bool
}

// at gives the entry under key, nil if there is none. Keys must ascend.
func (f *follower) at(key []byte) (*etcdwalk.Entry, error) {
	for !f.ended && (!f.started || bytes.Compare(f.entry.Key, key) < 0) {
		e, err, ok := f.next()
		if ok && err == nil {
			err = f.order.Check(f.ranges, e.Key)
		}
		if err != nil {
			return nil, err
		}
		f.entry, f.started, f.ended = e, true, !ok
	}
	if f.ended || !bytes.Equal(f.entry.Key, key) {
		return nil, nil
	}
	return &f.entry, nil
}
