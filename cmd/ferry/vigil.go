package ferry

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// API servers write their signs of life every ten seconds, under leases of fifteen. One
// look finds a server that went down a moment ago, and misses one that has not found the
// new etcd yet: so they are watched for.

// Mark tells of the target what its watch is to begin with: its present revision.
func (r Restore) Mark(ctx context.Context) (etcdwalk.Info, error) {
	view, err := r.Cluster.Open(ctx, etcdwalk.Newest, r.Query.Layout().Heartbeats())
	if err != nil {
		return etcdwalk.Info{}, fmt.Errorf("begin to watch for signs of API servers: %w", err)
	}
	return view.Info(), nil
}

// A sign is a key by which an API server shows that it lives, or that it did.
type sign struct {
	key []byte // nil: none was found
	put bool   // during the watch; else it was there before, and still is
}

// A vigil watches a target for signs of life, from a moment on.
type vigil struct {
	cluster etcdwalk.Source
	layout  *kube.Layout
	begun   etcdwalk.Info
	during  time.Duration
	before  []byte             // a sign that was there when it was looked for first
	refuse  func(string) error // makes an error of what was seen
}

// keep begins a vigil, if the target is to be watched and can be: only in API v3 servers keep
// signs of life under leases.
func (r Restore) keep(p *Planned, before []byte, refuse func(seen string) error) bool {
	if r.WatchSigns <= 0 || p.Target.API != etcdwalk.V3 {
		return false
	}
	begun := r.Begun
	if begun.Taken.IsZero() {
		begun = p.Target
	}
	p.vigil = &vigil{r.Cluster, p.layout, begun, r.WatchSigns, before, refuse}
	return true
}

// look finds a sign that was put since the watch began, or else one that is there.
func (v *vigil) look(ctx context.Context) (found sign, err error) {
	beats, signs := v.layout.Heartbeats(), v.layout.LiveSigns()
	view, err := v.cluster.Open(ctx, etcdwalk.Newest, beats)
	if err != nil {
		return sign{}, err
	}
	for e, err := range view.Walk(ctx, etcdwalk.Selection{Ranges: beats}) {
		switch {
		case err != nil:
			return sign{}, err
		case e.ModRevision > v.begun.Revision:
			return sign{bytes.Clone(e.Key), true}, nil
		case found.key == nil && signs.Contains(e.Key):
			found.key = bytes.Clone(e.Key)
		}
	}
	return found, nil
}

// await looks until the time is over, and refuses what shows that it lives. A sign that is
// still there then gets a fifth of the time more: etcd takes a moment to drop what has
// expired.
func (v *vigil) await(ctx context.Context, progress Progress) error {
	step := min(time.Second, v.during/5)
	for tell := told(progress); ; {
		found, err := v.look(ctx)
		watched := time.Since(v.begun.Taken)
		switch {
		case err != nil:
			return fmt.Errorf("watch for signs of API servers: %w", err)
		case found.put, found.key != nil && watched >= v.during+v.during/5:
			return v.refuse(found.words(watched))
		case found.key == nil && watched >= v.during:
			return nil
		}
		tell(Watching, int64(min(watched, v.during)/time.Second), int64(v.during/time.Second))
		pause := step
		if left := v.during - watched; left > 0 {
			pause = min(step, left)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

func (s sign) words(watched time.Duration) string {
	if s.put {
		return fmt.Sprintf("it wrote key %s within the last %.0f s", quoted(s.key), max(1, watched.Seconds()))
	}
	return fmt.Sprintf("its key %s is still there after %.0f s", quoted(s.key), watched.Seconds())
}

// silence waits until the target was watched for long enough, if it is.
func (r Restore) silence(ctx context.Context, p *Planned) error {
	if p.vigil == nil {
		return nil
	}
	begun := time.Now()
	err := p.vigil.await(ctx, r.Progress)
	p.Waited = time.Since(begun)
	if err != nil {
		return err
	}
	p.Watched = time.Since(p.vigil.begun.Taken)
	if p.vigil.before != nil {
		p.Doubts = append(p.Doubts, fmt.Sprintf("a kube-apiserver used the target until seconds ago: its key %s has expired, and none was written for %.0f s, so it is taken to be stopped", quoted(p.vigil.before), p.Watched.Seconds()))
	}
	return nil
}

// stillSilent looks once more, before the first write: who is asked may take long to answer.
func (p *Planned) stillSilent(ctx context.Context) error {
	if p.vigil == nil {
		return nil
	}
	found, err := p.vigil.look(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("look for signs of API servers: %w", err)
	case found.key != nil:
		return p.vigil.refuse(found.words(time.Since(p.vigil.begun.Taken)))
	}
	return nil
}
