package ferry

import (
	"context"
	"fmt"
	"maps"
	"slices"
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
	total  int64 // keys in the ranges of sel
}

// choose opens the cluster at its newest revision and resolves the filter there.
func choose(ctx context.Context, pin Pin, filter kube.Filter) (*choice, error) {
	layout, err := kube.NewLayout(filter.Prefixes...)
	if err != nil {
		return nil, err
	}
	c := &choice{filter: filter, layout: layout}
	if c.view, err = pin(ctx, layout.Scope()); err != nil {
		return nil, err
	}
	if c.sel, err = filter.Resolve(ctx, c.view); err != nil {
		return nil, err
	}
	for _, r := range c.sel.Ranges {
		n, err := c.view.Count(ctx, r)
		if err != nil {
			return nil, err
		}
		c.total += n
	}
	return c, nil
}

// empty is the error of a choice without a key.
func (c *choice) empty(ctx context.Context) error { return empty(ctx, c.filter, c.view) }

// empty says that a filter has found no key in a view, and why that may be.
func empty(ctx context.Context, filter kube.Filter, view etcdwalk.View) error {
	if filter.Whole() {
		return fmt.Errorf("there is no key under the prefixes of Kubernetes; if the API server uses another --etcd-prefix, name it with --prefix: %w", ErrEmpty)
	}
	near, err := filter.SuggestNamespaces(ctx, view)
	if err != nil {
		return err
	}
	var reasons []string
	for _, name := range slices.Sorted(maps.Keys(near)) {
		reason := fmt.Sprintf("there is no namespace %q", name)
		if len(near[name]) > 0 {
			reason += "; did you mean " + strings.Join(near[name], " or ") + "?"
		}
		reasons = append(reasons, reason)
	}
	if len(reasons) == 0 {
		reasons = []string{"no key is selected"}
	}
	return fmt.Errorf("%s: %w", strings.Join(reasons, ", "), ErrEmpty)
}
