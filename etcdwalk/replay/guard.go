package replay

import (
	"bytes"
	"context"
	"fmt"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// SameLineage tells with an [etcdwalk.ErrRefused] why mod revisions of the archive and
// of the target, which are known to be of one cluster, do not compare, so that
// the policy Newer has no meaning.
func SameLineage(archive, target etcdwalk.Info) error {
	refuse := func(what, got, want any) error {
		return fmt.Errorf("mod revisions do not compare: the archive's %s is %v, the target's %v%.0w", what, got, want, etcdwalk.ErrRefused)
	}
	switch {
	case archive.ClusterID != target.ClusterID:
		return refuse("cluster id", archive.ClusterID, target.ClusterID)
	case archive.ClusterID == 0:
		return fmt.Errorf("mod revisions do not compare: etcd's cluster id is not known%.0w", etcdwalk.ErrRefused)
	case archive.API != target.API:
		return refuse("API", archive.API, target.API)
	case target.Revision < archive.Revision:
		return fmt.Errorf("mod revisions do not compare: the archive is of revision %d, the target was turned back to %d%.0w",
			archive.Revision, target.Revision, etcdwalk.ErrRefused)
	}
	return nil
}

// Foreign finds the first key that the target holds in the scope and that the
// source would not have put there: the source does not hold it, or with
// another value, or only one of them under a lease. The source is walked no further
// than the target, if that can count its keys.
func Foreign(ctx context.Context, target, source etcdwalk.View, scope etcdwalk.Selection) (key []byte, found bool, err error) {
	left, err := target.Count(ctx, scope)
	if err != nil {
		return nil, false, fmt.Errorf("count the keys of the target: %w", err)
	}
	if left < 0 { // it cannot count
		there, err := etcdwalk.Any(ctx, target, scope)
		if !there || err != nil {
			return nil, false, err
		}
	}
	if left == 0 {
		return nil, false, nil
	}
	for pair, err := range etcdwalk.Merge(ctx, target, source, scope) {
		if err != nil {
			return nil, false, fmt.Errorf("compare the target with the source: %w", err)
		}
		if pair.A == nil {
			continue
		}
		if pair.B == nil || Decide(Fail, *pair.B, pair.A) != Same {
			return bytes.Clone(pair.Key()), true, nil
		}
		if left--; left == 0 {
			break
		}
	}
	return nil, false, nil
}
