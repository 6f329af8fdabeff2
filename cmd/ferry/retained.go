package ferry

import (
	"bytes"
	"context"
	"fmt"
	"iter"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// retained is a view in which some volumes have the reclaim policy Retain. To all that
// compares with the view they are so: a second restore finds them unchanged.
type retained struct {
	etcdwalk.View
	values map[string][]byte // by key; one that was encrypted anew is never the same twice
}

// Walk implements [etcdwalk.View].
func (v retained) Walk(ctx context.Context, sel etcdwalk.Selection) iter.Seq2[etcdwalk.Entry, error] {
	return func(yield func(etcdwalk.Entry, error) bool) {
		for e, err := range v.View.Walk(ctx, sel) {
			if value, is := v.values[string(e.Key)]; is && err == nil {
				e.Value, e.Record = value, nil
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// retain gives those selected volumes the policy Retain whose disk would be deleted. What
// the target holds alike is left as it is.
func (r Restore) retain(ctx context.Context, p *Planned) error {
	p.Retained, p.retained = nil, map[string][]byte{}
	if !r.RetainVolumes || p.checks == nil {
		return nil
	}
	volumes, err := rangesOf(ctx, p, p.job.Source, "persistentvolumes")
	if err != nil {
		return err
	}
	sel := p.sel.Within(volumes)
	if len(sel.Ranges) == 0 {
		return nil
	}
	var batch []etcdwalk.Entry
	for e, err := range r.allowed(ctx, p, p.job.Source, sel) {
		if err != nil {
			return fmt.Errorf("read the volumes of the source: %w", err)
		}
		if batch = append(batch, e.Clone()); len(batch) == watchKeys {
			if err := r.retainSome(ctx, p, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	if err := r.retainSome(ctx, p, batch); err != nil {
		return err
	}
	p.job.Source = retained{p.job.Source, p.retained}
	return nil
}

func (r Restore) retainSome(ctx context.Context, p *Planned, volumes []etcdwalk.Entry) error {
	reclaimed, err := p.checks.Reclaimed(ctx, volumes)
	if err != nil {
		return fmt.Errorf("look for the claims of the volumes: %w", err)
	}
	keys := make([][]byte, len(volumes))
	for i, e := range volumes {
		keys[i] = e.Key
	}
	found, err := r.Target.Lookup(ctx, keys)
	if err != nil {
		return fmt.Errorf("look which volumes the cluster has: %w", err)
	}
	for i, e := range volumes {
		action := replay.Decide(r.Policy, e, found[i])
		if !reclaimed[i] || action == replay.Same || found[i] != nil && p.job.Alike(e, *found[i]) {
			continue
		}
		value, err := p.query.Opener().RetainVolume(ctx, e.Key, e.Value)
		switch {
		case err == nil:
			p.retained[string(e.Key)] = value
		case action != replay.Keep:
			return fmt.Errorf("key %s: give the volume the reclaim policy Retain: %w; leave it out with --exclude%.0w", quoted(e.Key), err, etcdwalk.ErrRefused)
		}
	}
	return nil
}

// retains takes what is to become of a key.
func (p *Planned) retains(line replay.Line) {
	if _, is := p.retained[string(line.Key)]; is && line.Fate.Changes() {
		p.Retained = append(p.Retained, bytes.Clone(line.Key))
	}
}
