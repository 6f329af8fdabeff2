package kube

import (
	"context"
	"slices"
	"strings"
)

// A Reference is how one object names another.
type Reference struct {
	Group, Kind string // "apps", "ReplicaSet"
	// Namespace is that of the object that refers; the other may be in none.
	Namespace, Name string
}

// A Finder finds the keys of objects that others refer to. It may be used by several at
// once.
type Finder struct {
	known   []Kind // that are compiled in
	catalog *Catalog
}

// Finder makes a Finder for the catalog's view, out of which it reads the definitions of
// custom resources once it has to.
func (c *Catalog) Finder() *Finder { return &Finder{known: Known(), catalog: c} }

// Key is the key of the object that one under a prefix refers to; nil if its kind is not
// known, or has a namespace where there is none.
func (f *Finder) Key(ctx context.Context, prefix string, r Reference) ([]byte, error) {
	is := func(k Kind) bool { return k.Kind == r.Kind && k.inGroup(r.Group) }
	kinds := f.known
	i := slices.IndexFunc(kinds, is)
	if i < 0 {
		custom, err := f.catalog.all(ctx)
		if err != nil {
			return nil, err
		}
		if kinds, i = custom, slices.IndexFunc(custom, is); i < 0 {
			return nil, nil
		}
	}
	k := kinds[i]
	dirs := f.catalog.layout.dirs(&k)
	at := slices.IndexFunc(dirs, func(dir string) bool { return strings.HasPrefix(dir, prefix) })
	switch {
	case at < 0, k.Namespaced && r.Namespace == "", !isName(r.Name):
		return nil, nil
	case k.Namespaced:
		return []byte(dirs[at] + r.Namespace + "/" + r.Name), nil
	}
	return []byte(dirs[at] + r.Name), nil
}
