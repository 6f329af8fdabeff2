package kube

import (
	"context"
	"fmt"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// Absent tells which of the things that the filter names one by one are not in
// the view: objects as TYPE/NAME, and namespaces, with those that they may have
// been meant to be. A selection may be empty for good reasons, but what is
// called by its name is expected to be there. A namespace is there if it has a
// Namespace object or any key: an archive of a part may lack the object.
func (f Filter) Absent(ctx context.Context, view etcdwalk.View) ([]string, error) {
	terms, err := parseTerms(f.Include)
	if err != nil {
		return nil, err
	}
	var absent []string
	for _, t := range terms {
		if t.name == "" {
			continue
		}
		one := Filter{Include: []string{t.typed + "/" + t.name}, Namespaces: f.Namespaces, Prefixes: f.Prefixes}
		there, err := one.any(ctx, view)
		if err != nil {
			return nil, err
		}
		if !there {
			absent = append(absent, fmt.Sprintf("%s/%s", t.typed, t.name))
		}
	}
	namespaces, err := f.absentNamespaces(ctx, view)
	return append(absent, namespaces...), err
}

func (f Filter) absentNamespaces(ctx context.Context, view etcdwalk.View) ([]string, error) {
	suggestions, err := f.suggestNamespaces(ctx, view)
	if err != nil {
		return nil, err
	}
	names, err := parseNamespaces(f.Namespaces)
	if err != nil {
		return nil, err
	}
	var absent []string
	for _, name := range names {
		near, missing := suggestions[name]
		if !missing {
			continue
		}
		there, err := Filter{Namespaces: []string{name}, Prefixes: f.Prefixes}.any(ctx, view)
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
func (f Filter) suggestNamespaces(ctx context.Context, view etcdwalk.View) (map[string][]string, error) {
	layout, err := NewLayout(f.Prefixes...)
	if err != nil {
		return nil, err
	}
	typed, err := parseNamespaces(f.Namespaces)
	if err != nil || len(typed) == 0 {
		return nil, err
	}
	there := map[string]bool{}
	for i := range layout.spaces {
		names, err := layout.spaces[i].namespaces(ctx, view)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			there[name] = true
		}
	}
	suggestions := map[string][]string{}
	for _, name := range typed {
		if !there[name] {
			suggestions[name] = nearest(name, there)
		}
	}
	return suggestions, nil
}

// any tells whether the filter selects a key.
func (f Filter) any(ctx context.Context, view etcdwalk.View) (bool, error) {
	sel, err := f.Resolve(ctx, view)
	if err != nil {
		return false, err
	}
	for _, err := range view.Walk(ctx, sel) {
		return err == nil, err
	}
	return false, nil
}
