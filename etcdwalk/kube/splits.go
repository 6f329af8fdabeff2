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
// read those gets none: a walk is slower without, and no different.
func (l *Layout) Splits(ctx context.Context, view etcdwalk.View) (etcdwalk.Splits, error) {
	var splits etcdwalk.Splits
	for _, s := range l.spaces {
		for _, p := range s.places {
			splits.Kinds = append(splits.Kinds, p.class.Range.Start, p.class.Range.End)
		}
	}
	names, err := l.namespaces(ctx, view)
	if err != nil && !errors.Is(err, etcdwalk.ErrDenied) {
		return etcdwalk.Splits{}, err
	}
	for name := range names {
		splits.Namespaces = append(splits.Namespaces, []byte(name+"/"))
	}
	for _, places := range []*[][]byte{&splits.Kinds, &splits.Namespaces} {
		slices.SortFunc(*places, bytes.Compare)
		*places = slices.CompactFunc(*places, bytes.Equal)
	}
	return splits, nil
}

// namespaces are the names of the Namespace objects in the view.
func (l *Layout) namespaces(ctx context.Context, view etcdwalk.View) (map[string]bool, error) {
	names := map[string]bool{}
	for e, err := range view.Walk(ctx, etcdwalk.Selection{Ranges: etcdwalk.Union(l.under(namespace)...)}) {
		if err != nil {
			return names, fmt.Errorf("reading the names of the namespaces: %w", err)
		}
		if object, ok := l.Parse(e.Key); ok {
			names[object.Name] = true
		}
	}
	return names, nil
}
