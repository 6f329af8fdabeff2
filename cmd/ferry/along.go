package ferry

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/order"
)

// along are the keys of the source that are to be taken along with what is selected, and
// are not yet.
func (r Restore) along(ctx context.Context, p *Planned, source etcdwalk.View, seen *order.Survey) ([][]byte, error) {
	along, err := r.alongside(ctx, p, source)
	if err != nil {
		return nil, fmt.Errorf("look for the IPAddresses of the selection: %w", err)
	}
	if r.WithOwners {
		missing, err := r.missing(ctx, p, source)
		if err != nil {
			return nil, fmt.Errorf("look for what the selection needs: %w", err)
		}
		along = append(along, missing...)
	}
	if r.WithOwned {
		owned, err := r.owned(ctx, p, source, seen)
		if err != nil {
			return nil, fmt.Errorf("look for what the selection owns: %w", err)
		}
		along = append(along, owned...)
	}
	slices.SortFunc(along, bytes.Compare)
	return slices.CompactFunc(along, bytes.Equal), nil
}

// missing are the keys of the source that what is selected needs and the target has not.
func (r Restore) missing(ctx context.Context, p *Planned, source etcdwalk.View) ([][]byte, error) {
	var batch []etcdwalk.Write
	var wanted []etcdwalk.Range
	ask := func() error {
		keys, err := p.checks.Missing(ctx, batch)
		for _, key := range keys {
			wanted = append(wanted, etcdwalk.Key(key))
		}
		batch = batch[:0]
		return err
	}
	for e, err := range r.allowed(ctx, p, source, p.sel) {
		if err != nil {
			return nil, err
		}
		e = e.Clone()
		if batch = append(batch, etcdwalk.Write{Key: e.Key, Value: e.Value}); len(batch) == watchKeys {
			if err := ask(); err != nil {
				return nil, err
			}
		}
	}
	if err := ask(); err != nil {
		return nil, err
	}
	return p.others(ctx, source, etcdwalk.Union(wanted...), func(etcdwalk.Entry) bool { return true })
}

// owned are the keys of the source that what is selected owns.
func (r Restore) owned(ctx context.Context, p *Planned, source etcdwalk.View, seen *order.Survey) ([][]byte, error) {
	meta, rule := p.metaOf(ctx), r.rule(p, false)
	return p.others(ctx, source, p.layout.Scope(), func(e etcdwalk.Entry) bool {
		if fate, _ := rule(e); fate != "" {
			return false
		}
		namespace := p.layout.Classify(e.Key).Namespace
		for _, o := range meta(e).Owners {
			if seen.Holds(namespace, o) {
				return true
			}
		}
		return false
	})
}

// others are the keys of the source in some ranges that are not selected, and wanted.
func (p *Planned) others(ctx context.Context, source etcdwalk.View, ranges etcdwalk.Ranges, wanted func(etcdwalk.Entry) bool) (keys [][]byte, err error) {
	if len(ranges) == 0 {
		return nil, nil
	}
	for e, err := range source.Walk(ctx, etcdwalk.Selection{Ranges: ranges}) {
		if err != nil {
			return nil, err
		}
		if !(p.sel.Ranges.Contains(e.Key) && p.sel.Takes(e)) && wanted(e) {
			keys = append(keys, bytes.Clone(e.Key))
		}
	}
	return keys, nil
}

// with is a selection and some keys more.
func with(sel etcdwalk.Selection, keys [][]byte) etcdwalk.Selection {
	more, ranges := map[string]bool{}, slices.Clone(sel.Ranges)
	for _, key := range keys {
		more[string(key)] = true
		ranges = append(ranges, etcdwalk.Key(key))
	}
	within, match := sel.Ranges, sel.Match
	sel.Ranges = etcdwalk.Union(ranges...)
	if match != nil {
		sel.Match = func(key []byte) bool { return more[string(key)] || within.Contains(key) && match(key) }
	}
	if sel.Values != nil {
		sel.Values = companions{sel.Values, more}
	}
	return sel
}

// companions are what a Chooser wants, and some keys more.
type companions struct {
	etcdwalk.Chooser
	more map[string]bool
}

// Choose implements [etcdwalk.Chooser].
func (c companions) Choose(e etcdwalk.Entry) bool {
	return c.more[string(e.Key)] || c.Chooser.Choose(e)
}
