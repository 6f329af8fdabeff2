package ferry

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// A choice is what a query has selected in a cluster, at one revision.
type choice struct {
	query   kube.Query
	layout  *kube.Layout
	view    etcdwalk.View
	catalog *kube.Catalog // of the view
	sel     etcdwalk.Selection
	total   int64 // keys in the ranges of sel; less than 0: not known
	// outside is what lies beside the prefixes of a query that takes all that lies
	// under them: who means to have everything should hear of the rest. Nil: it
	// cannot be known, or a part was asked for.
	outside *etcdwalk.Outside
	alarms  []etcdwalk.Alarm // at the beginning
	spread  *kube.Spread     // to be shown what is taken
	// compared is how many members were found to hold the same, if that was asked for.
	compared int
}

// choose opens the cluster at its newest revision and resolves the query there. A
// cluster that calls itself corrupt is refused, unless that is accepted.
func choose(ctx context.Context, source etcdwalk.Source, q kube.Query, acceptCorrupt bool) (_ *choice, err error) {
	layout := q.Layout()
	c := &choice{query: q, layout: layout}
	if c.view, err = source.Open(ctx, etcdwalk.Newest, layout.Scope()); err != nil {
		return nil, err
	}
	if c.alarms, err = alarmsOf(ctx, c.view); err != nil {
		return nil, err
	}
	if err := soundSource(c.alarms, acceptCorrupt); err != nil {
		return nil, err
	}
	c.catalog = q.Catalog(c.view)
	if c.sel, err = c.catalog.Resolve(ctx, q); err != nil {
		return nil, err
	}
	if c.spread, err = c.catalog.Spread(ctx, q); err != nil {
		return nil, err
	}
	if c.sel.Splits, err = c.catalog.Splits(ctx); err != nil {
		return nil, err
	}
	if q.Open() {
		if c.outside, err = layout.Outside(ctx, c.view); err != nil {
			return nil, err
		}
	}
	c.total, err = c.view.Count(ctx, c.sel)
	return c, err
}

// toCome is how many keys a walk will take; 0 if that is not known.
func (c *choice) toCome() int64 {
	if c.sel.Match != nil || c.sel.Values != nil {
		return 0
	}
	return max(0, c.total)
}

// expected refuses a choice that lacks something that was called by its name,
// or holds no key at all.
func (c *choice) expected(ctx context.Context) error {
	if err := named(ctx, c.query, c.catalog); errors.Is(err, ErrEmpty) {
		return fmt.Errorf("%w in the cluster; nothing was backed up", err)
	} else if err != nil {
		return err
	}
	if c.total == 0 {
		return empty(c.query)
	}
	return nil
}

// named refuses a query that calls something by its name which is not there:
// a mistyped namespace must not be missing from every backup without a word.
func named(ctx context.Context, q kube.Query, catalog *kube.Catalog) error {
	absent, err := catalog.Absent(ctx, q)
	if err != nil {
		return err
	}
	namespaces, err := catalog.AbsentNamespaces(ctx, q)
	if err != nil {
		return err
	}
	return notFound(append(absent, namespaces...), ErrEmpty)
}

// notFound is an error of that class if anything is absent.
func notFound(absent []string, class error) error {
	if len(absent) == 0 {
		return nil
	}
	return fmt.Errorf("%s not found%.0w", strings.Join(absent, ", "), class)
}

// empty says that a query has found no key.
func empty(q kube.Query) error {
	if q.Whole() {
		return fmt.Errorf("there is no key under the prefixes of Kubernetes; if the API server uses another --etcd-prefix, name it with --prefix%.0w", ErrEmpty)
	}
	return fmt.Errorf("nothing matches the selection%.0w", ErrEmpty)
}
