package kube

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// Splits are good places to end a request within the layout: the compiled-in
// kinds, and the namespaces that the view has objects of. A user who may not
// read those gets none: a walk is slower without, and no different. Prefixes
// without a namespace are commonly unused, and are not cut.
func (l *Layout) Splits(ctx context.Context, view etcdwalk.View) (etcdwalk.Splits, error) {
	var splits etcdwalk.Splits
	for i := range l.spaces {
		names, err := l.spaces[i].namespaces(ctx, view)
		denied := errors.Is(err, etcdwalk.ErrDenied)
		if err != nil && !denied {
			return splits, err
		}
		for _, name := range names {
			splits.Namespaces = append(splits.Namespaces, []byte(name+"/"))
		}
		for _, p := range l.spaces[i].places {
			if len(names) > 0 || denied {
				splits.Kinds = append(splits.Kinds, p.class.Range.Start)
			}
		}
	}
	slices.SortFunc(splits.Namespaces, bytes.Compare)
	slices.SortFunc(splits.Kinds, bytes.Compare)
	splits.Namespaces = slices.CompactFunc(splits.Namespaces, bytes.Equal) // two prefixes may have the same
	return splits, nil
}

// namespaces are the names of the Namespace objects in the space.
func (s *space) namespaces(ctx context.Context, view etcdwalk.View) (names []string, err error) {
	dir := s.prefix + namespace + "/"
	for e, err := range view.Walk(ctx, etcdwalk.Selection{Ranges: etcdwalk.Ranges{etcdwalk.Prefix(dir)}}) {
		if err != nil {
			return names, fmt.Errorf("read the names of the namespaces: %w", err)
		}
		if name := string(e.Key[len(dir):]); isNamespace(name) {
			names = append(names, name)
		}
	}
	return names, nil
}
