package kube

import (
	"context"
	"fmt"
	"sync"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// Absent tells which of the objects that the query names one by one are not in the view,
// as TYPE/NAME. A selection may be empty for good reasons, but what is called by its name
// is expected to be there.
func (c *Catalog) Absent(ctx context.Context, q Query) ([]string, error) {
	var named []term
	for _, t := range q.include {
		if t.name != "" {
			named = append(named, t)
		}
	}
	sels, there := make([]etcdwalk.Selection, len(named)), make([]bool, len(named))
	var ranges []etcdwalk.Range
	for i, t := range named {
		var err error
		if sels[i], err = q.resolver(c).resolve(ctx, []term{t}, nil); err != nil {
			return nil, err
		}
		ranges = append(ranges, sels[i].Ranges...)
	}
	var mu sync.Mutex
	err := leap(ctx, c.view, c.inUse(etcdwalk.Union(ranges...)), func(key []byte) []byte {
		mu.Lock()
		defer mu.Unlock()
		for i, sel := range sels {
			there[i] = there[i] || sel.Ranges.Contains(key) && sel.TakesKey(key)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for what is called by its name: %w", err)
	}
	var absent []string
	for i, t := range named {
		if !there[i] {
			absent = append(absent, fmt.Sprintf("%s/%s", t.typed, t.name))
		}
	}
	return absent, nil
}

// AbsentNamespaces tells which of the namespaces that the query names are not in the view,
// with those that they may have been meant to be. A namespace is there if it has a
// Namespace object or any key: an archive of a part may lack the object.
func (c *Catalog) AbsentNamespaces(ctx context.Context, q Query) ([]string, error) {
	suggestions, err := c.suggestNamespaces(ctx, q)
	if err != nil {
		return nil, err
	}
	var absent []string
	for _, name := range q.namespaces {
		near, missing := suggestions[name]
		if !missing {
			continue
		}
		there, err := c.any(ctx, Query{layout: q.layout, namespaces: []string{name}})
		if err != nil {
			return nil, err
		}
		if there {
			continue
		}
		text := fmt.Sprintf("namespace %q", name)
		if len(near) > 0 {
			text += " (did you mean " + orList(near) + "?)"
		}
		absent = append(absent, text)
	}
	return absent, nil
}

// suggestNamespaces says, for each namespace typed that the view has no
// Namespace object of, which ones it has with a name like it.
func (c *Catalog) suggestNamespaces(ctx context.Context, q Query) (map[string][]string, error) {
	if len(q.namespaces) == 0 {
		return nil, nil
	}
	there := map[string]bool{}
	for i := range c.layout.spaces {
		names, err := c.namespacesIn(ctx, &c.layout.spaces[i])
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			there[name] = true
		}
	}
	suggestions := map[string][]string{}
	for _, name := range q.namespaces {
		if !there[name] {
			suggestions[name] = nearest(name, there)
		}
	}
	return suggestions, nil
}
