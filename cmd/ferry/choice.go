package ferry

import (
	"context"
	"fmt"
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// A choice is what a filter has selected in a cluster, at one revision.
type choice struct {
	filter kube.Filter
	layout *kube.Layout
	view   Snapshot
	sel    etcdwalk.Selection
	total  int64 // keys in the ranges of sel; less than 0: not known
	// outside is what lies beside the prefixes of a filter that takes all that lies
	// under them: who means to have everything should hear of the rest. Nil: it
	// cannot be known, or a part was asked for.
	outside *etcdwalk.Outside
	alarms  []etcdwalk.Alarm // at the beginning
	// compared is how many members were found to hold the same, if that was asked for.
	compared int
}

// choose opens the cluster at its newest revision and resolves the filter there. A
// cluster that calls itself corrupt is refused, unless that is accepted.
func choose(ctx context.Context, pin Pin, filter kube.Filter, acceptCorrupt bool) (*choice, error) {
	layout, err := kube.NewLayout(filter.Prefixes...)
	if err != nil {
		return nil, err
	}
	c := &choice{filter: filter, layout: layout}
	if c.view, err = pin(ctx, layout.Scope()); err != nil {
		return nil, err
	}
	if c.alarms, err = alarmsOf(ctx, c.view); err != nil {
		return nil, err
	}
	if err := soundSource(c.alarms, acceptCorrupt); err != nil {
		return nil, err
	}
	if c.sel, err = filter.Resolve(ctx, c.view); err != nil {
		return nil, err
	}
	if c.sel.Splits, err = layout.Splits(ctx, c.view); err != nil {
		return nil, err
	}
	if filter.Open() {
		if c.outside, err = layout.Outside(ctx, c.view); err != nil {
			return nil, err
		}
	}
	c.total, err = c.view.Count(ctx, c.sel)
	return c, err
}

// expected refuses a choice that lacks something that was called by its name,
// or holds no key at all.
func (c *choice) expected(ctx context.Context) error {
	if err := named(ctx, c.filter, c.view); err != nil {
		return err
	}
	if c.total == 0 {
		return empty(c.filter)
	}
	return nil
}

// named refuses a filter that calls something by its name which is not there:
// a mistyped namespace must not be missing from every backup without a word.
func named(ctx context.Context, filter kube.Filter, view etcdwalk.View) error {
	absent, err := filter.Absent(ctx, view)
	if err != nil || len(absent) == 0 {
		return err
	}
	return fmt.Errorf("not there: %s: %w", strings.Join(absent, ", "), ErrEmpty)
}

// empty says that a filter has found no key.
func empty(filter kube.Filter) error {
	if filter.Whole() {
		return fmt.Errorf("there is no key under the prefixes of Kubernetes; if the API server uses another --etcd-prefix, name it with --prefix: %w", ErrEmpty)
	}
	return fmt.Errorf("no key is selected: %w", ErrEmpty)
}
