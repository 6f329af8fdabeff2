package kube

import (
	"context"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// A Query is a selection that makes sense: a [Filter], compiled. The zero value takes
// everything under the default prefixes.
type Query struct {
	words            Filter
	layout           *Layout // nil: that of the default prefixes
	include, exclude []term
	namespaces       []string
	without          []string       // namespaces
	labels           *object.Labels // nil: all
	fields           *object.Fields // nil: all
	opener           *object.Opener
}

// Words are those that the query was compiled from.
func (q Query) Words() Filter { return q.words }

// Layout is that of the query's prefixes.
func (q Query) Layout() *Layout {
	if q.layout == nil {
		return defaultLayout()
	}
	return q.layout
}

// Under is the query under these prefixes, if it names none of its own. Errors are
// [ErrFilter].
func (q Query) Under(prefixes ...string) (Query, error) {
	if len(q.words.Prefixes) > 0 || len(prefixes) == 0 {
		return q, nil
	}
	var err error
	q.words.Prefixes = prefixes
	q.layout, err = NewLayout(prefixes...)
	return q, err
}

// CallsOne tells whether the query is one object's name, and no pattern: it may be in
// several namespaces.
func (q Query) CallsOne() bool {
	return len(q.include) == 1 && q.include[0].name != "" && !isGlob(q.include[0].name)
}

// Narrow tells whether anything is left out of what lies under the prefixes.
func (q Query) Narrow() bool { return !q.Open() || len(q.exclude) > 0 }

// Open tells whether all is taken that lies under the prefixes, but for what is
// excluded by its kind or name.
func (q Query) Open() bool {
	return len(q.include)+len(q.namespaces)+len(q.without) == 0 && q.labels == nil && q.fields == nil
}

// Opener opens values that are sealed at rest; nil without keys.
func (q Query) Opener() *object.Opener { return q.opener }

// Opening is the query with what opens values that are sealed at rest, for its labels.
func (q Query) Opening(opener *object.Opener) Query {
	q.opener = opener
	return q
}

// Resolve turns the query into key ranges. It walks the view only for names
// that are not compiled in, and then only over what tells names: the custom
// resource definitions, and one key of each custom resource. Errors are
// [ErrUnknownKind], [ErrFilter] for a word that means several custom resources, or the
// view's own.
func (q Query) Resolve(ctx context.Context, view etcdwalk.View) (etcdwalk.Selection, error) {
	return q.Catalog(view).Resolve(ctx, q)
}

// Resolve is that of a query in the catalog's view.
func (c *Catalog) Resolve(ctx context.Context, q Query) (etcdwalk.Selection, error) {
	sel, err := q.resolve(ctx, q.resolver(c), q.include)
	if err != nil {
		return sel, err
	}
	if q.labels != nil {
		sel.Values = &labelled{layout: c.layout, selector: *q.labels, opener: q.opener, sealed: map[string]int{}}
	}
	sel.Splits.Kinds = c.kinds()
	return sel, nil
}

// resolver resolves what the query names, in its namespaces.
func (q Query) resolver(c *Catalog) *resolver {
	return &resolver{layout: c.layout, namespaces: q.namespaces, catalog: c}
}

// resolve is what the terms select, by the keys alone.
func (q Query) resolve(ctx context.Context, r *resolver, include []term) (etcdwalk.Selection, error) {
	sel, err := r.resolve(ctx, include, q.exclude)
	if err != nil {
		return sel, err
	}
	if len(q.without) > 0 {
		out, err := r.allIn(ctx, q.without)
		if err != nil {
			return sel, err
		}
		sel.Ranges = sel.Ranges.Subtract(etcdwalk.Union(out.ranges...))
	}
	if q.fields != nil {
		sel.Match = q.byFields(sel)
	}
	return sel, nil
}

// byFields is what a selection takes of the objects that the fields select.
func (q Query) byFields(sel etcdwalk.Selection) func(key []byte) bool {
	layout := q.Layout()
	return func(key []byte) bool {
		o, ok := layout.Parse(key)
		return ok && q.fields.Match(o.Namespace, o.Name) && sel.TakesKey(key)
	}
}

// any tells whether the query selects a key.
func (c *Catalog) any(ctx context.Context, q Query) (bool, error) {
	sel, err := c.Resolve(ctx, q)
	if err != nil {
		return false, err
	}
	return etcdwalk.Any(ctx, c.view, sel)
}
