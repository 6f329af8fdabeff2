package ferry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/need"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/replay/journal"
)

// adopt writes what its controllers are to adopt: without owners, so that nobody collects
// it, and before the controllers are there, so that they need not make it anew. What it
// leaves behind if it is interrupted, the same restore finishes.
func (r Restore) adopt(ctx context.Context, p *Planned) (written int64, err error) {
	if p.checks == nil {
		return 0, nil
	}
	adoptions := p.checks.Adoptions()
	if len(adoptions) == 0 {
		return 0, nil
	}
	first := p.job
	if first.Given = nil; r.given != nil {
		rule := first.Rule
		first.Rule = func(e etcdwalk.Entry) (replay.Fate, string) {
			if !p.creates[p.written.hash(e.Key)] {
				return replay.Excluded, "the plan that is followed does not create it"
			}
			return rule(e)
		}
	}
	if first.File, err = journal.Temporary(r.Spool); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, first.File.Close()) }()
	first.Selections, first.Policy, first.Report, first.Ours = nil, replay.Skip, nil, nil
	for _, sel := range slices.Backward(p.ranks) { // what is owned before what owns it
		first.Selections = append(first.Selections, sel.Within(adoptions))
	}
	first.Transform = func(e etcdwalk.Entry) (etcdwalk.Entry, error) {
		value, err := object.WithoutOwners(e.Value)
		e.Value = value
		return e, err
	}
	plan, err := first.Plan(ctx)
	if err != nil {
		return 0, fmt.Errorf("look for what is to be adopted: %w", err)
	}
	done, err := first.Apply(ctx, plan)
	if written = done.Counts[replay.Created]; err != nil && written > 0 {
		err = fmt.Errorf("%d objects are there without their owners until the same command is run again: %w", written, err)
	}
	return written, err
}

// madeMeanwhile tells whether a controller has made an object since the plan looked, as it
// does of what is in each namespace: nobody has written it, and nothing is lost with it.
func (p *Planned) madeMeanwhile(have etcdwalk.Entry) bool {
	return have.CreateRevision > p.Target.Revision && p.layout.Furnishes(have.Key)
}

// ours tells whether what a key holds was made meanwhile, or is what adopt has made of an
// entry, which its controller may have adopted since.
func (r Restore) ours(ctx context.Context, p *Planned) func(want, have etcdwalk.Entry) bool {
	if p.checks == nil {
		return nil
	}
	return func(want, have etcdwalk.Entry) bool {
		if bytes.Equal(want.Value, have.Value) {
			return p.checks.Adopted(want.Key) // and its controller has taken it already
		}
		if p.madeMeanwhile(have) {
			return true
		}
		if !need.Adoptable(p.layout.Classify(want.Key).Kind) {
			return false // of others nobody makes such a form but on purpose
		}
		a, errWant := p.meta(ctx, want)
		b, errHave := p.meta(ctx, have)
		if errWant != nil || errHave != nil || len(a.Owners) == 0 || a.UID != b.UID || !p.checks.Adopted(want.Key) && len(b.Owners) > 0 {
			return false
		}
		one, errWant := p.query.Opener().Decode(ctx, want.Key, want.Value)
		other, errHave := p.query.Opener().Decode(ctx, have.Key, have.Value)
		return errWant == nil && errHave == nil && one.EqualButOwners(other)
	}
}
