package replay

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// What a batch may hold, and how many values of the target are looked at
// together, since each may be as large as a request.
const (
	batchKeys  = 128
	batchBytes = 1 << 20
	lookupKeys = 32
)

// A pass is one walk over the source: the Sink that collects entries into
// batches. The two passes differ in how they settle a batch.
type pass struct {
	Job
	settle func(context.Context, []*item) error
	tally  Tally
	leases leases

	earlier []etcdwalk.Selection // those that are done
	batch   []*item
	bytes   int64 // of the batch
}

var _ etcdwalk.Sink = (*pass)(nil)

func newPass(j Job) *pass {
	return &pass{Job: j, tally: newTally(), leases: leases{known: map[int64]*lease{}}}
}

// walk takes the selections in order. A batch never reaches over the end of one.
func (p *pass) walk(ctx context.Context) error {
	for i, sel := range p.Selections {
		p.earlier = p.Selections[:i]
		if _, err := etcdwalk.Copy(ctx, p, p.Source, sel, nil); err != nil {
			return err
		}
		if err := p.flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Put takes the next entry. What the target need not be asked about is
// recorded at once.
func (p *pass) Put(ctx context.Context, e etcdwalk.Entry) error {
	for _, sel := range p.earlier {
		if sel.Ranges.Contains(e.Key) && sel.Takes(e) {
			return fmt.Errorf("key %q is in two selections: %w", e.Key, etcdwalk.ErrInvariant)
		}
	}
	outcome, reason, err := p.screen(ctx, e)
	if err != nil {
		return err
	}
	if outcome != "" {
		return p.record(e, Record{Outcome: outcome, Reason: reason})
	}
	if len(p.batch) == batchKeys || len(p.batch) > 0 && p.bytes+e.Size() > batchBytes {
		if err := p.flush(ctx); err != nil {
			return err
		}
	}
	p.batch = append(p.batch, &item{want: e.Clone()})
	p.bytes += e.Size()
	return nil
}

// screen judges an entry by itself; an empty outcome lets it pass.
func (p *pass) screen(ctx context.Context, e etcdwalk.Entry) (Outcome, string, error) {
	if p.Rule != nil {
		switch outcome, reason := p.Rule(e); outcome {
		case "":
		case Excluded, Refused:
			return outcome, reason, nil
		default:
			return "", "", fmt.Errorf("a rule says %q of key %q; it may only exclude and refuse", outcome, e.Key)
		}
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

// flush settles the batch.
func (p *pass) flush(ctx context.Context) error {
	if len(p.batch) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	err := p.settle(ctx, p.batch)
	p.batch, p.bytes = nil, 0
	return err
}

func (p *pass) record(e etcdwalk.Entry, r Record) error {
	r.Key = e.Key
	p.tally.add(r, e.Size())
	if p.Record == nil {
		return nil
	}
	if err := p.Job.Record(r); err != nil {
		return fmt.Errorf("recording the outcome of key %q: %w", e.Key, err)
	}
	return nil
}

// foresee settles a batch of the plan: it looks, and records.
func (p *pass) foresee(ctx context.Context, items []*item) error {
	if err := p.retry(ctx, func() error { return p.look(ctx, items) }); err != nil {
		return err
	}
	for _, it := range items {
		if err := p.record(it.want, it.Record); err != nil {
			return err
		}
	}
	return nil
}

// look reads what the target holds under the keys, and decides about each.
func (p *pass) look(ctx context.Context, items []*item) error {
	heads, err := p.Target.Heads(ctx, keys(items))
	if err != nil {
		return fmt.Errorf("looking for %d keys from %q on: %w", len(items), items[0].want.Key, err)
	}
	if len(heads) != len(items) {
		return fmt.Errorf("the target tells of %d keys, asked for %d: %w", len(heads), len(items), etcdwalk.ErrInvariant)
	}
	var there []*item
	for i, it := range items {
		if heads[i] == 0 {
			it.decide(p.Policy, nil)
			continue
		}
		there = append(there, it)
	}
	for some := range slices.Chunk(there, lookupKeys) {
		found, err := p.Target.Lookup(ctx, keys(some))
		if err != nil {
			return fmt.Errorf("reading %d keys from %q on: %w", len(some), some[0].want.Key, err)
		}
		if len(found) != len(some) {
			return fmt.Errorf("the target tells of %d keys, asked for %d: %w", len(found), len(some), etcdwalk.ErrInvariant)
		}
		for i, it := range some {
			it.decide(p.Policy, found[i])
		}
	}
	return nil
}

func keys(items []*item) [][]byte {
	keys := make([][]byte, len(items))
	for i, it := range items {
		keys[i] = it.want.Key
	}
	return keys
}

// An item is an entry on its way to an outcome.
type item struct {
	want etcdwalk.Entry
	// Record is what was decided last. Created and Replaced are intentions
	// until arrived.
	Record
	seen    int64 // the mod revision that was decided upon
	arrived bool  // a write whose answer was lost was found in the store

	lease  int64 // of the last write
	lost   bool  // the answer to the last write was lost
	losses int
	races  int
}

// decide takes what the target holds under the key; nil: nothing.
func (it *item) decide(policy Policy, have *etcdwalk.Entry) {
	if it.losses > 0 && have != nil && have.ModRevision > it.seen &&
		have.Lease == it.lease && bytes.Equal(have.Value, it.want.Value) {
		it.arrived, it.lost, it.Revision = true, false, have.ModRevision
		return
	}
	action := Decide(policy, it.want, have)
	it.Record = Record{Outcome: outcomes[action]}
	it.seen, it.lost = 0, false
	if have == nil {
		return
	}
	it.seen, it.Revision = have.ModRevision, have.ModRevision
	if action == Keep || action == Conflict {
		it.Reason = difference(policy, it.want, *have)
	}
}

// outcomes is the outcome that each action leads to.
var outcomes = map[Action]Outcome{
	Create:   Created,
	Same:     Unchanged,
	Replace:  Replaced,
	Keep:     Skipped,
	Conflict: Conflicting,
}

// pending tells whether the item is still to be written.
func (it *item) pending() bool {
	return !it.arrived && (it.Outcome == Created || it.Outcome == Replaced)
}

// lose notes that nobody knows what became of the last write.
func (it *item) lose() {
	it.lost = true
	it.losses++
}

// difference says why the target's entry is not simply the same.
func difference(policy Policy, want, have etcdwalk.Entry) string {
	switch {
	case !bytes.Equal(want.Value, have.Value) && policy == Newer:
		return "the target holds another value, as new or newer"
	case !bytes.Equal(want.Value, have.Value):
		return "the target holds another value"
	case have.Lease != 0:
		return "the target holds the same value, but under a lease"
	default:
		return "the target holds the same value, but without its lease"
	}
}
