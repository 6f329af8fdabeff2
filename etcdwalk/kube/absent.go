package kube

import (
	"context"
	"fmt"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// Absent tells which of the objects that the query names one by one are not in the view,
// as TYPE/NAME. A selection may be empty for good reasons, but what is called by its name
// is expected to be there.
func (q Query) Absent(ctx context.Context, view etcdwalk.View) ([]string, error) {
	var absent []string
	for _, t := range q.include {
		if t.name == "" {
			continue
		}
		there, err := Query{layout: q.layout, include: []term{t}, namespaces: q.namespaces}.any(ctx, view)
		if err != nil {
			return nil, err
		}
		if !there {
			absent = append(absent, fmt.Sprintf("%s/%s", t.typed, t.name))
		}
	}
	return absent, nil
}

// AbsentNamespaces tells which of the namespaces that the query names are not in the view,
// with those that they may have been meant to be. A namespace is there if it has a
// Namespace object or any key: an archive of a part may lack the object.
func (q Query) AbsentNamespaces(ctx context.Context, view etcdwalk.View) ([]string, error) {
	suggestions, err := q.suggestNamespaces(ctx, view)
	if err != nil {
		return nil, err
	}
	var absent []string
	for _, name := range q.namespaces {
		near, missing := suggestions[name]
		if !missing {
			continue
		}
		there, err := Query{layout: q.layout, namespaces: []string{name}}.any(ctx, view)
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
func (q Query) suggestNamespaces(ctx context.Context, view etcdwalk.View) (map[string][]string, error) {
	if len(q.namespaces) == 0 {
		return nil, nil
	}
	layout := q.Layout()
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
	for _, name := range q.namespaces {
		if !there[name] {
			suggestions[name] = nearest(name, there)
		}
	}
	return suggestions, nil
}
