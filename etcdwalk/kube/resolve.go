package kube

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// A resolver turns the terms of one filter into a selection.
type resolver struct {
	layout     *Layout
	namespaces []string
	catalog    *Catalog
}

// A pick is a set of keys: all that is in some ranges, and objects of some
// kinds that go by a name, whatever their namespace, or by a pattern.
type pick struct {
	ranges []etcdwalk.Range
	named  map[string]map[string]bool // where the kind's keys begin, name
	globs  []glob
}

// A glob is the objects of a kind whose names match a pattern.
type glob struct {
	dir       string // where the kind's keys begin
	namespace string // empty: any, or the kind has none
	pattern   string
}

// isGlob tells whether a name is a pattern: no object that people name has these in it.
func isGlob(name string) bool { return strings.ContainsAny(name, "*?[") }

func badGlob(name string) bool {
	_, err := path.Match(name, "")
	return err != nil
}

func (r *resolver) resolve(ctx context.Context, include, exclude []term) (etcdwalk.Selection, error) {
	var in pick
	var err error
	switch {
	case len(include) > 0:
		in, err = r.pick(ctx, include)
	case len(r.namespaces) > 0:
		in, err = r.allIn(ctx, r.namespaces)
	default:
		in.ranges = r.layout.scope
	}
	if err != nil {
		return etcdwalk.Selection{}, err
	}
	out, err := r.pick(ctx, exclude)
	if err != nil {
		return etcdwalk.Selection{}, err
	}
	return r.layout.selection(in, out), nil
}

// pick is what the terms name, in the namespaces asked for.
func (r *resolver) pick(ctx context.Context, terms []term) (pick, error) {
	var p pick
	for i, t := range terms {
		kinds, err := r.kinds(ctx, t)
		if errors.Is(err, ErrUnknownKind) && i > 0 && t.name == "" && terms[i-1].name == "" {
			return pick{}, fmt.Errorf("%w; an object of that name is written %s/%s", err, terms[i-1].typed, t.typed)
		}
		if err != nil {
			return pick{}, err
		}
		for i := range kinds {
			r.pickOf(&p, &kinds[i], t.name)
		}
	}
	return p, nil
}

// pickOf picks what is of a kind, or the objects of it that go by a name or pattern.
func (r *resolver) pickOf(p *pick, k *Kind, name string) {
	switch {
	case isGlob(name):
		r.pickGlob(p, k, name)
	case k.path == namespace && name == "" && len(r.namespaces) > 0:
		// kubectl would take all of them; here that could overwrite all.
		for _, ns := range r.namespaces {
			p.add(r.layout, k, "", ns)
		}
	case k.Namespaced && len(r.namespaces) > 0:
		for _, ns := range r.namespaces {
			p.add(r.layout, k, ns, name)
		}
	case k.Namespaced && name != "":
		p.addNamed(r.layout, k, name)
	default:
		p.add(r.layout, k, "", name)
	}
}

// pickGlob picks objects by a pattern, in the namespaces asked for.
func (r *resolver) pickGlob(p *pick, k *Kind, pattern string) {
	namespaces := []string{""}
	if k.Namespaced && len(r.namespaces) > 0 {
		namespaces = r.namespaces
	}
	for _, dir := range r.layout.dirs(k) {
		for _, ns := range namespaces {
			p.globs = append(p.globs, glob{dir, ns, pattern})
		}
	}
}

// allIn is all that lies in the namespaces, with their Namespace objects. Which
// custom resources are namespaced does not matter: no key of one that is not
// has a namespace's name where a namespace would be.
func (r *resolver) allIn(ctx context.Context, namespaces []string) (pick, error) {
	present, err := r.catalog.present(ctx)
	if err != nil {
		return pick{}, err
	}
	var p pick
	kinds := slices.Concat(slices.DeleteFunc(Known(), func(k Kind) bool { return !k.Namespaced }), present)
	for _, ns := range namespaces {
		for i := range kinds {
			p.add(r.layout, &kinds[i], ns, "")
		}
		p.add(r.layout, &Kind{path: namespace}, "", ns)
	}
	p.ranges = etcdwalk.Union(p.ranges...).Intersect(r.catalog.used)
	return p, nil
}

// add picks what is of a kind, in the namespace if there is one, or only the object
// that is named.
func (p *pick) add(l *Layout, k *Kind, ns, name string) {
	for _, dir := range l.dirs(k) {
		if ns != "" {
			dir += ns + "/"
		}
		if name == "" {
			p.ranges = append(p.ranges, etcdwalk.Prefix(dir))
		} else {
			p.ranges = append(p.ranges, etcdwalk.Key([]byte(dir+name)))
		}
	}
}

func (p *pick) addNamed(l *Layout, k *Kind, name string) {
	if p.named == nil {
		p.named = map[string]map[string]bool{}
	}
	for _, dir := range l.dirs(k) {
		if p.named[dir] == nil {
			p.named[dir] = map[string]bool{}
		}
		p.named[dir][name] = true
	}
}

// names tells whether the key is that of an object picked by its name.
func (p *pick) names(l *Layout, key []byte) bool {
	s, ok := l.locate(key)
	if !ok {
		return false
	}
	namespace, name, ok := s.names()
	if !ok {
		return false
	}
	if p.named[string(s.dir)][name] {
		return true
	}
	return slices.ContainsFunc(p.globs, func(g glob) bool {
		matches, _ := path.Match(g.pattern, name) // a bad pattern has been refused
		return g.dir == string(s.dir) && (g.namespace == "" || g.namespace == namespace) && matches
	})
}

// selection is what in holds and out does not. It needs to look at each key only
// where a name without a namespace was typed.
func (l *Layout) selection(in, out pick) etcdwalk.Selection {
	whole := etcdwalk.Union(in.ranges...)
	walked := slices.Clone(in.ranges)
	for dir := range in.named {
		walked = append(walked, etcdwalk.Prefix(dir))
	}
	for _, g := range in.globs {
		if g.namespace != "" {
			g.dir += g.namespace + "/"
		}
		walked = append(walked, etcdwalk.Prefix(g.dir))
	}
	sel := etcdwalk.Selection{
		Ranges: etcdwalk.Union(walked...).Intersect(l.scope).Subtract(etcdwalk.Union(out.ranges...)),
	}
	if len(in.named)+len(out.named)+len(in.globs)+len(out.globs) > 0 {
		sel.Match = func(key []byte) bool {
			return (whole.Contains(key) || in.names(l, key)) && !out.names(l, key)
		}
	}
	return sel
}
