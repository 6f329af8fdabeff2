package kube

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// Splits are good places to end a request: the compiled-in
// kinds, and the namespaces that the view has objects of. A user who may not
// read those gets none: a walk is slower without, and no different. Prefixes
// without a namespace are commonly unused, and are not cut.
func (c *Catalog) Splits(ctx context.Context) (etcdwalk.Splits, error) {
	var splits etcdwalk.Splits
	spaces := c.layout.spaces
	for i := range spaces {
		names, err := c.namespacesIn(ctx, &spaces[i])
		denied := errors.Is(err, etcdwalk.ErrDenied)
		if err != nil && !denied {
			return splits, err
		}
		for _, name := range names {
			splits.Namespaces = append(splits.Namespaces, []byte(name+"/"))
		}
		for _, p := range spaces[i].places {
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

// namespacesIn are the names of the Namespace objects in a space.
func (c *Catalog) namespacesIn(ctx context.Context, s *space) ([]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	names, known := c.namespaces[s.prefix]
	if known {
		return names, nil
	}
	dir := s.prefix + namespace + "/"
	err := leap(ctx, c.view, etcdwalk.Ranges{etcdwalk.Prefix(dir)}, func(key []byte) []byte {
		if name := string(key[len(dir):]); isNamespace(name) {
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the names of the namespaces: %w", err)
	}
	c.namespaces[s.prefix] = names
	return names, nil
}
