package undo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// ErrUnstable: what was taken back did not stay so.
var ErrUnstable = errors.New("it did not stay")

// An Aftermath is what became of what an undo did, while the controllers of a living cluster
// had time to answer.
type Aftermath struct {
	Seconds float64 `json:"seconds"`
	Looks   int     `json:"looks"`
	Count   int64   `json:"lost"` // keys that are not as they were left
	Lost    []Loss  `json:"losses"`
}

// A Loss is a key that is not as the undo left it.
type Loss struct {
	Key  string `json:"key"`
	What string `json:"what"`
}

// maxLosses bounds what is remembered by name.
const maxLosses = 1000

// lookAt are the moments after a change at which it is looked again. The garbage collector
// took up to six seconds, controllers one.
var lookAt = [...]time.Duration{time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second}

// LookAgain looks at what a change has written several times, until the time is over, and tells
// before each look how long it has watched. A cluster that does not answer is looked at the next
// time: the last look counts.
func LookAgain(ctx context.Context, during time.Duration, tell func(watched time.Duration), look func() error) (watched time.Duration, looks int, err error) {
	begun := time.Now()
	moments := slices.DeleteFunc(slices.Clone(lookAt[:]), func(at time.Duration) bool { return at >= during })
	moments = append(moments, during)
	for i, at := range moments {
		tell(time.Since(begun))
		select {
		case <-ctx.Done():
			return time.Since(begun), looks, ctx.Err()
		case <-time.After(time.Until(begun.Add(at))):
		}
		err := look()
		switch {
		case errors.Is(err, etcdwalk.ErrUnavailable) && i < len(moments)-1:
			continue
		case err != nil:
			return time.Since(begun), looks, err
		}
		looks++
	}
	return time.Since(begun), looks, nil
}

// Alive tells whether API servers keep signs of life in the target. That there are none
// proves nothing.
func (u Undo) Alive(ctx context.Context, p *Planned) (bool, error) {
	return p.layout.Alive(ctx, u.Cluster)
}

// Watch looks again, until the time is over, whether what an apply deleted stays away, and
// what it put back stays, but for its status.
func (u Undo) Watch(ctx context.Context, p *Planned, during time.Duration) (Aftermath, error) {
	a := Aftermath{Lost: []Loss{}}
	watched, looks, err := LookAgain(ctx, during, func(time.Duration) {}, func() (err error) {
		lost, count, err := u.look(ctx, p)
		if err == nil {
			a.Lost, a.Count = lost, count
		}
		return err
	})
	a.Seconds, a.Looks = watched.Seconds(), looks
	if err != nil {
		return a, fmt.Errorf("look again at what was taken back: %w", err)
	}
	if a.Count > 0 {
		return a, fmt.Errorf("%d keys that were taken back are not as they were left: a controller, or somebody, has written them%.0w", a.Count, ErrUnstable)
	}
	return a, nil
}

// look goes over what was written, once.
func (u Undo) look(ctx context.Context, p *Planned) (lost []Loss, count int64, err error) {
	lost = []Loss{}
	lose := func(key []byte, what string) {
		if count++; len(lost) < maxLosses {
			lost = append(lost, Loss{string(key), what})
		}
	}
	for batch, err := range p.written(ctx) {
		if err != nil {
			return lost, count, err
		}
		keys := make([][]byte, len(batch))
		for i, e := range batch {
			keys[i] = e.Key
		}
		found, err := u.Target.Lookup(ctx, keys)
		if err != nil {
			return lost, count, err
		}
		for i, e := range batch {
			switch deleted := p.job.Delete(e); {
			case deleted && found[i] != nil:
				lose(e.Key, "it is there again")
			case deleted:
			case found[i] == nil && e.Lease == 0:
				lose(e.Key, "it is gone")
			case found[i] != nil && p.job.Digest(e) != p.job.Digest(*found[i]):
				lose(e.Key, "it was written again")
			}
		}
	}
	return lost, count, nil
}

// written are the entries of which the apply says that it wrote or deleted their keys, some
// at a time.
func (p *Planned) written(ctx context.Context) func(yield func([]etcdwalk.Entry, error) bool) {
	return func(yield func([]etcdwalk.Entry, error) bool) {
		var batch []etcdwalk.Entry
		for _, sel := range p.job.Selections {
			for e, err := range p.job.Source.Walk(ctx, sel) {
				if err != nil {
					yield(nil, err)
					return
				}
				if !p.wrote[p.change.hash(e.Key)] {
					continue
				}
				if batch = append(batch, e.Clone()); len(batch) == lookKeys {
					if !yield(batch, nil) {
						return
					}
					batch = nil
				}
			}
		}
		if len(batch) > 0 {
			yield(batch, nil)
		}
	}
}

// noting remembers which keys an apply wrote or deleted.
func (p *Planned) noting(report func(replay.Line) error) func(replay.Line) error {
	p.wrote = map[uint64]bool{}
	return func(line replay.Line) error {
		if line.Fate.Changes() {
			p.wrote[p.change.hash(line.Key)] = true
		}
		if report == nil {
			return nil
		}
		return report(line)
	}
}
