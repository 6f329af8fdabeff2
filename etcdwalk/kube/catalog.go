package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// A Catalog is what queries under the same prefixes have to know of a view: the kinds that
// are not compiled in, and the namespaces. It reads each once, when it is asked first, and may
// be used by several at once.
type Catalog struct {
	layout *Layout
	view   etcdwalk.View
	opener *object.Opener // of definitions that are encrypted at rest

	mu            sync.Mutex
	used          etcdwalk.Ranges // the prefixes with keys, as far as they are in scope
	custom        []Kind          // all of them
	stored        []Kind          // those with keys
	read, scanned bool            // whether custom is filled; whether used and stored are

	categories map[string][]Kind   // of the custom kinds
	namespaces map[string][]string // by prefix, of the Namespace objects
}

// Catalog makes the catalog of a view, for the query and others under its prefixes.
func (q Query) Catalog(view etcdwalk.View) *Catalog {
	return &Catalog{layout: q.Layout(), view: view, opener: q.opener, namespaces: map[string][]string{}}
}

// kind finds the kind that a term names. A name in full is never ambiguous. OpenShift
// has words that others use as well, such as "images" and "routes": which is meant is
// known only from the view, unless the group is typed.
func (r *resolver) kind(ctx context.Context, t term) (Kind, error) {
	for i := range table {
		if t.means(&table[i]) {
			return table[i], nil
		}
	}
	own := openshiftKind(t)
	if own != nil && t.group != "" {
		return *own, nil
	}
	custom, err := r.catalog.all(ctx)
	if err != nil {
		return Kind{}, err
	}
	var found []Kind
	for _, k := range custom {
		full, meant := k.Name() == strings.ToLower(t.typed), t.means(&k)
		if i := slices.IndexFunc(openshift, func(o Kind) bool { return o.Name() == k.Name() }); i >= 0 {
			k = openshift[i] // which is more than the custom resource
		}
		if full {
			return k, nil
		}
		if meant {
			found = append(found, k)
		}
	}
	if own != nil && !slices.ContainsFunc(found, func(k Kind) bool { return k.Name() == own.Name() }) {
		there := len(found) == 0
		if !there {
			if there, err = r.catalog.holds(ctx, own); err != nil {
				return Kind{}, err
			}
		}
		if there {
			found = append(found, *own)
		}
	}
	return t.only(found, custom)
}

// only is the one kind that was found.
func (t term) only(found, custom []Kind) (Kind, error) {
	switch len(found) {
	case 0:
		return Kind{}, unknownKind(t, slices.Concat(table, openshift, custom))
	case 1:
		return found[0], nil
	}
	var names []string
	for i := range found {
		names = append(names, found[i].Name())
	}
	slices.Sort(names)
	return Kind{}, fmt.Errorf("%q may be %s: write one of them%.0w", t.typed, orList(names), ErrFilter)
}

// holds tells whether the view has keys of a kind.
func (c *Catalog) holds(ctx context.Context, k *Kind) (bool, error) {
	var p pick
	p.add(c.layout, k, "", "")
	return etcdwalk.Any(ctx, c.view, etcdwalk.Selection{Ranges: etcdwalk.Union(p.ranges...).Intersect(c.layout.scope)})
}

// all are the kinds that are defined in the view, and those that have keys in
// it, by path: a definition may be missing from an archive of a part.
func (c *Catalog) all(ctx context.Context) ([]Kind, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.read {
		return c.custom, nil
	}
	if err := c.scan(ctx); err != nil {
		return nil, err
	}
	c.categories = map[string][]Kind{}
	all := slices.Clone(c.stored)
	sel := etcdwalk.Selection{Ranges: etcdwalk.Union(c.layout.under(crdPath)...)}
	for e, err := range c.view.Walk(ctx, sel) {
		if err != nil {
			return nil, fmt.Errorf("read the custom resource definitions: %w", err)
		}
		object, ok := c.layout.Parse(e.Key)
		if !ok {
			continue
		}
		i := slices.IndexFunc(all, func(k Kind) bool { return k.Name() == object.Name })
		if i < 0 {
			plural, group, _ := strings.Cut(object.Name, ".")
			all, i = append(all, Kind{Plural: plural, Group: group, path: group + "/" + plural}), len(all)
		}
		c.define(ctx, &all[i], e)
	}
	c.custom, c.read = all, true
	return all, nil
}

// DefinitionKey is the key that the definition of a custom resource's kind has, under the
// prefix of the class; nil if the class is none of a custom resource.
func DefinitionKey(class etcdwalk.Class) []byte {
	if class.Prefix == "" || !strings.Contains(class.Kind, ".") {
		return nil
	}
	for i := range table {
		if table[i].Name() == class.Kind {
			return nil
		}
	}
	return []byte(class.Prefix + crdPath + "/" + class.Kind)
}

// define takes names, scope and categories out of a custom resource definition. One
// that cannot be read leaves the kind as it is: a definition is named after the
// plural and the group, so these are known at least.
func (c *Catalog) define(ctx context.Context, k *Kind, e etcdwalk.Entry) {
	value, err := c.opener.Open(ctx, e.Key, e.Value)
	if err != nil {
		return
	}
	var crd struct {
		Spec struct {
			Group string `json:"group"`
			Scope string `json:"scope"`
			Names struct {
				Plural     string   `json:"plural"`
				Singular   string   `json:"singular"`
				ShortNames []string `json:"shortNames"`
				Kind       string   `json:"kind"`
				Categories []string `json:"categories"`
			} `json:"names"`
		} `json:"spec"`
	}
	if object.EncodingOf(value) != object.JSON || json.Unmarshal(value, &crd) != nil {
		return
	}
	spec := crd.Spec
	if spec.Group != k.Group || spec.Names.Plural != k.Plural {
		return
	}
	k.Kind, k.Namespaced = spec.Names.Kind, spec.Scope == "Namespaced"
	k.short = strings.ToLower(strings.Join(spec.Names.ShortNames, " "))
	if singular := strings.ToLower(spec.Names.Singular); singular != strings.ToLower(k.Kind) {
		k.short += " " + singular
	}
	for _, category := range spec.Names.Categories {
		c.categories[category] = append(c.categories[category], *k)
	}
}

// present are the kinds that are not compiled in and have keys in the view.
func (c *Catalog) present(ctx context.Context) ([]Kind, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.scan(ctx)
	return c.stored, err
}

// scan goes over the gaps between the compiled-in kinds, below prefixes in use, and leaps
// over the rest of a kind as soon as it has met its first key.
func (c *Catalog) scan(ctx context.Context) error {
	if c.scanned {
		return nil
	}
	if err := c.findUsed(ctx); err != nil {
		return err
	}
	var mu sync.Mutex
	found := map[string]Kind{} // by where their keys begin
	err := leap(ctx, c.view, c.layout.gaps().Intersect(c.used), func(key []byte) []byte {
		k, here := c.kindAt(key)
		if k.path == "" {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		found[string(here.Start)] = k
		return here.End
	})
	if err != nil {
		return fmt.Errorf("look for custom resources: %w", err)
	}
	byPath := map[string]bool{}
	for _, dir := range slices.Sorted(maps.Keys(found)) {
		if k := found[dir]; !byPath[k.path] {
			byPath[k.path] = true
			c.stored = append(c.stored, k)
		}
	}
	c.scanned = true
	return nil
}

// inUse leaves out what lies under prefixes that are known to have no keys.
func (c *Catalog) inUse(ranges etcdwalk.Ranges) etcdwalk.Ranges {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.scanned {
		return ranges
	}
	return ranges.Intersect(c.used)
}

// kinds are the places at which compiled-in kinds begin, below prefixes that are known to be
// in use.
func (c *Catalog) kinds() (places [][]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.scanned {
		return nil
	}
	for _, s := range c.layout.spaces {
		for _, p := range s.places {
			if c.used.Contains(p.class.Range.Start) {
				places = append(places, p.class.Range.Start)
			}
		}
	}
	slices.SortFunc(places, bytes.Compare)
	return places
}

// findUsed looks for one key below each prefix. Of the default ones all but one
// are commonly unused, and each range to be walked costs requests.
func (c *Catalog) findUsed(ctx context.Context) error {
	var below []etcdwalk.Range
	for _, s := range c.layout.spaces {
		below = append(below, etcdwalk.Ranges{etcdwalk.Prefix(s.prefix)}.Intersect(c.layout.scope)...)
	}
	var mu sync.Mutex
	var used []etcdwalk.Range
	err := leap(ctx, c.view, etcdwalk.Union(below...), func(key []byte) []byte {
		i := slices.IndexFunc(below, func(r etcdwalk.Range) bool { return r.Contains(key) })
		mu.Lock()
		defer mu.Unlock()
		used = append(used, below[i])
		return below[i].End
	})
	if err != nil {
		return fmt.Errorf("look which prefixes have keys: %w", err)
	}
	c.used = etcdwalk.Union(used...)
	return nil
}

// kindAt is the resource that a key belongs to, and its range; none if it belongs to none.
func (c *Catalog) kindAt(key []byte) (Kind, etcdwalk.Range) {
	s, ok := c.layout.locate(key)
	if !ok || !holdsObjects(s.path) {
		return Kind{}, etcdwalk.Range{}
	}
	group, plural := s.resource()
	k := Kind{Plural: plural, Group: group, path: string(s.path), Namespaced: bytes.IndexByte(s.rest, '/') >= 0}
	return k, etcdwalk.Prefix(string(s.dir))
}
