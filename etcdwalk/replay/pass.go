package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/time/rate"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay/journal"
)

// A pass is one walk over the source: the Sink that collects entries into
// batches and sends them off. The two passes differ in where an item begins, and in how a
// batch is settled.
type pass struct {
	Job
	begin  func(context.Context, etcdwalk.Entry) (item, error)
	settle func(context.Context, *batch) error
	note   func(*item) error                  // told of each item that has its fate; nil: nobody is
	lines  func() (journal.Line, error, bool) // of the plan, for an apply
	given  func() (journal.Line, error, bool) // of a plan that was made before, for a plan
	width  int                                // batches in flight
	pace   *pace                              // nil: batches are full
	rate   *rate.Limiter                      // nil: writes are not limited
	tally  Tally
	leases *leases

	landed landed // the keys that entries became; nil without a Transform

	current int    // selection
	next    *batch // being collected
	lost    []byte // the key of a line whose entry did not come into a batch
	spare   []*batch
	flights
}

var _ etcdwalk.Sink = (*pass)(nil)

func newPass(j Job) *pass {
	p := &pass{Job: j, width: 1, tally: newTally(), leases: newLeases(), next: newBatch()}
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

// Put takes the next entry.
func (p *pass) Put(ctx context.Context, e etcdwalk.Entry) error {
	for _, sel := range p.Selections[:p.current] {
		if sel.Ranges.Contains(e.Key) && sel.TakesKey(e.Key) {
			return fmt.Errorf("key %q is in two selections%.0w", e.Key, etcdwalk.ErrInvariant)
		}
	}
	it, err := p.begin(ctx, e)
	if err != nil {
		return err
	}
	size := it.size
	if it.settled() {
		it.want.Value, size = nil, int64(len(it.want.Key))
	}
	keys, most := p.pace.limits()
	if p.rate != nil {
		keys = min(keys, max(1, p.QPS/ticks))
	}
	if n := len(p.next.items); n >= keys || n > 0 && p.next.bytes+size > most {
		if err := p.flush(ctx); err != nil {
			p.lost = bytes.Clone(it.want.Key)
			return err
		}
	}
	p.next.add(it)
	return nil
}

// screen begins an item of a plan: it judges an entry by itself. An item without a fate is
// to be looked at.
func (p *pass) screen(ctx context.Context, e etcdwalk.Entry) (it item, err error) {
	if it.Fate, it.Reason, err = p.judge(e); err != nil {
		return it, err
	}
	if it.Fate == "" && e.Lease != 0 {
		if it.Fate, it.Reason, err = p.lapsed(ctx, e); err != nil {
			return it, err
		}
	}
	if it.want, it.from, err = p.transform(e); err != nil {
		return it, err
	}
	if it.from != nil && it.Fate == "" {
		if it.Fate, it.Reason, err = p.judge(it.want); err != nil {
			return it, err
		}
	}
	it.size = it.want.Size()
	if it.Fate == "" {
		err = p.landOn(it.want.Key, it.from)
	}
	return it, err
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

// lapsed tells of an entry under a lease whether that keeps it from being written.
func (p *pass) lapsed(ctx context.Context, e etcdwalk.Entry) (Fate, string, error) {
	if !p.Regrant {
		return Leased, "it is under a lease", nil
	}
	l, err := p.leases.of(ctx, p.Source, e.Lease)
	if err != nil || l.ttl > 0 {
		return "", "", err
	}
	return Expired, "its lease is " + string(l.state), nil
}

// tell tells what became of an item.
func (p *pass) tell(it *item) error {
	if p.note != nil {
		if err := p.note(it); err != nil {
			return err
		}
	}
	r := it.Line
	r.Key, r.From, r.Bytes, r.Since = it.want.Key, it.from, it.size, it.want.ModRevision
	p.tally.add(r)
	if p.Report == nil {
		return nil
	}
	if err := p.Job.Report(r); err != nil {
		return fmt.Errorf("find out what became of key %q: %w", r.Key, err)
	}
	return nil
}

// foresee settles a batch of the plan: it looks. Of a batch that cannot be
// looked at nothing is told.
func (p *pass) foresee(ctx context.Context, b *batch) error {
	unknown := slices.DeleteFunc(slices.Clone(b.items), (*item).settled)
	if len(unknown) == 0 {
		return nil
	}
	err := p.retry(ctx, func() error {
		if err := p.look(ctx, unknown, (*item).decide); err != nil {
			return err
		}
		return p.check(ctx, unknown)
	})
	if err != nil {
		b.items = b.items[:0]
		return err
	}
	for _, it := range unknown {
		if it.pending() && it.Fate != Deleted {
			it.digests.Wanted = p.Digest(it.want)
		}
	}
	return nil
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

// look reads what the target holds under the keys, and lets each item take it.
func (p *pass) look(ctx context.Context, items []*item, take func(it *item, j *Job, have *etcdwalk.Entry)) error {
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
			take(it, &p.Job, nil)
			continue
		}
		there = append(there, it)
	}
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
			take(it, &p.Job, found[i])
		}
	}
	return nil
}
