package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// A pass is one walk over the source: the Sink that collects entries into
// batches and sends them off. The two passes differ in how they settle a batch.
type pass struct {
	Job
	settle func(context.Context, *batch) error
	width  int   // batches in flight
	pace   *pace // nil: batches are full
	tally  Tally
	leases *leases
	// absent tells of each selection whether the target holds none of its
	// keys: a plan finds it out, an apply rests on it.
	absent []bool

	landed landed // the keys that entries became; nil without a Transform

	current int    // selection
	next    *batch // being collected
	spare   []*batch
	flights
}

var _ etcdwalk.Sink = (*pass)(nil)

func newPass(j Job) *pass {
	p := &pass{Job: j, width: 1, tally: newTally(), leases: newLeases(), absent: make([]bool, len(j.Selections)), next: newBatch()}
	if j.Transform != nil {
		p.landed = landed{}
	}
	return p
}

// walk takes the selections in order. A batch never reaches over the end of
// one, and none of the next is sent before all is settled. When it returns,
// nothing is in flight. Whether the walk sees first that ctx has ended, or what a
// batch in flight came to, is chance: its error tells both.
func (p *pass) walk(ctx context.Context) error {
	flying, halt := context.WithCancelCause(ctx)
	defer halt(nil)
	p.halt = halt
	err := p.collect(flying)
	if err != nil {
		halt(err)
	}
	for len(p.air) > 0 {
		err = both(err, p.land()) // it came to this while the walk was stopping
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() == nil && ended(err): // by us
		return context.Cause(flying)
	case ctx.Err() != nil && !errors.Is(err, ctx.Err()):
		return fmt.Errorf("%w%.0w", err, ctx.Err()) // the words are the reason's
	}
	return err
}

func (p *pass) collect(ctx context.Context) error {
	for i, sel := range p.Selections {
		p.current = i
		if _, err := etcdwalk.Copy(ctx, p, p.Source, sel, nil); err != nil {
			return err
		}
		if err := p.flush(ctx); err != nil {
			return err
		}
	}
	for len(p.air) > 0 {
		if err := p.land(); err != nil {
			return err
		}
	}
	return nil
}

// Put takes the next entry. What the target need not be asked about is
// told at once.
func (p *pass) Put(ctx context.Context, e etcdwalk.Entry) error {
	for _, sel := range p.Selections[:p.current] {
		if sel.Ranges.Contains(e.Key) && sel.TakesKey(e.Key) {
			return fmt.Errorf("key %q is in two selections%.0w", e.Key, etcdwalk.ErrInvariant)
		}
	}
	fate, reason, err := p.screen(ctx, e)
	if err != nil {
		return err
	}
	e, from, err := p.transform(e)
	if err != nil {
		return err
	}
	if from != nil && fate == "" {
		if fate, reason, err = p.judge(e); err != nil {
			return err
		}
	}
	if fate != "" {
		return p.tell(e, Line{From: from, Fate: fate, Reason: reason})
	}
	if err := p.landOn(e.Key, from); err != nil {
		return err
	}
	keys, size := p.pace.limits()
	if n := len(p.next.items); n >= keys || n > 0 && p.next.bytes+e.Size() > size {
		if err := p.flush(ctx); err != nil {
			return err
		}
	}
	p.next.add(e, from)
	return nil
}

// judge asks the rule about an entry; an empty fate lets it pass.
func (p *pass) judge(e etcdwalk.Entry) (Fate, string, error) {
	if p.Rule == nil {
		return "", "", nil
	}
	switch fate, reason := p.Rule(e); fate {
	case "", Excluded, Refused:
		return fate, reason, nil
	default:
		return "", "", fmt.Errorf("a rule says %q of key %q; it may only exclude and refuse", fate, e.Key)
	}
}

// screen judges an entry by itself; an empty fate lets it pass.
func (p *pass) screen(ctx context.Context, e etcdwalk.Entry) (Fate, string, error) {
	if fate, reason, err := p.judge(e); err != nil || fate != "" {
		return fate, reason, err
	}
	if e.Lease == 0 {
		return "", "", nil
	}
	if !p.Regrant {
		return Leased, "it is under a lease", nil
	}
	l, err := p.leases.of(ctx, p.Source, e.Lease)
	if err != nil || l.ttl > 0 {
		return "", "", err
	}
	return Expired, "its lease is " + string(l.state), nil
}

func (p *pass) tell(e etcdwalk.Entry, r Line) error {
	r.Key, r.Bytes, r.Since = e.Key, e.Size(), e.ModRevision
	p.tally.add(r)
	if p.Report == nil {
		return nil
	}
	if err := p.Job.Report(r); err != nil {
		return fmt.Errorf("find out what became of key %q: %w", e.Key, err)
	}
	return nil
}

// foresee settles a batch of the plan: it looks. Of a batch that cannot be
// looked at nothing is told.
func (p *pass) foresee(ctx context.Context, b *batch) error {
	err := p.retry(ctx, func() error {
		if err := p.look(ctx, b, b.items); err != nil {
			return err
		}
		return p.check(ctx, b.items)
	})
	if err != nil {
		b.items = b.items[:0]
	}
	return err
}

// check refuses of what would be written what the job's Check objects to.
func (p *pass) check(ctx context.Context, items []*item) error {
	if p.Check == nil {
		return nil
	}
	var pending []*item
	for _, it := range items {
		if it.pending() {
			pending = append(pending, it)
		}
	}
	if len(pending) == 0 {
		return nil
	}
	reasons, err := p.Check(ctx, writes(pending))
	if err != nil {
		return fmt.Errorf("check %d keys from %q on: %w", len(pending), pending[0].want.Key, err)
	}
	for i, it := range pending {
		if reasons[i] != "" {
			it.Fate, it.Reason = Refused, reasons[i]
		}
	}
	return nil
}

// look reads what the target holds under the keys, and decides about each.
func (p *pass) look(ctx context.Context, b *batch, items []*item) error {
	heads, err := p.Target.Heads(ctx, keys(items))
	if err != nil {
		return fmt.Errorf("look for %d keys from %q on: %w", len(items), items[0].want.Key, err)
	}
	if len(heads) != len(items) {
		return fmt.Errorf("the target tells of %d keys, asked for %d%.0w", len(heads), len(items), etcdwalk.ErrInvariant)
	}
	var there []*item
	for i, it := range items {
		if heads[i] == 0 {
			it.decide(&p.Job, nil)
			continue
		}
		there = append(there, it)
	}
	b.there = b.there || len(there) > 0
	for some := range slices.Chunk(there, lookupKeys) {
		found, err := p.Target.Lookup(ctx, keys(some))
		if err != nil {
			return fmt.Errorf("read %d keys from %q on: %w", len(some), some[0].want.Key, err)
		}
		if len(found) != len(some) {
			return fmt.Errorf("the target tells of %d keys, asked for %d%.0w", len(found), len(some), etcdwalk.ErrInvariant)
		}
		for i, it := range some {
			if found[i] != nil && p.Found != nil {
				p.Found(*found[i])
			}
			it.decide(&p.Job, found[i])
		}
	}
	return nil
}
