package cmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry/undo"
	"github.com/kubeferry/kubeferry/cmd/flags"
)

// take plans, shows, asks and takes back.
func (o *undoOptions) take(ctx context.Context, cluster *flags.Cluster, u undo.Undo) (err error) {
	p, err := u.Plan(ctx)
	defer func() { err = errors.Join(err, p.Close()) }()
	if err != nil {
		return fmt.Errorf("nothing was written: %w", err)
	}
	o.show(cluster, p)
	writes := p.Counts.Changes()
	if o.dryRun || writes == 0 {
		return left(p.Counts)
	}
	if !o.yes {
		if err := sure(ctx, o.s, fmt.Sprintf("Take back %s in %s?", console.Count(writes, "key"), cluster.Address), "--yes"); err != nil {
			return err
		}
	}
	done, err := u.Apply(ctx, p)
	result := undoResult{Change: p.Change, Made: p.Made, Target: p.Target, Plan: p.Tally, Applied: &done, Keys: noteworthy(done.Tally), Undo: p.Kept}
	o.s.Result = result
	o.s.Data("Done:   %s", countsText(done.Counts))
	if p.Kept != "" {
		o.s.Data("Undo:   kubeferry undo %s takes this back", p.Kept)
	}
	if err != nil {
		naming{say: o.s.Data, planned: p}.examples(done.Tally)
		return fmt.Errorf("%s written or deleted; kubeferry undo %s finishes the rest: %w", wereKeys(done.Counts.Changes()), p.Change, err)
	}
	result.Watched, err = o.watch(ctx, u, p)
	o.s.Result = result
	return errors.Join(left(done.Counts), err)
}

// watch looks again at what was taken back, if the cluster lives.
func (o *undoOptions) watch(ctx context.Context, u undo.Undo, p *undo.Planned) (*undo.Aftermath, error) {
	if o.watching.never {
		return nil, nil
	}
	alive, err := u.Alive(ctx, p)
	if err != nil || !alive && !o.s.Typed("watch-for") {
		return nil, err
	}
	o.s.Talk("Looking for %s whether it stays so; Ctrl-C ends that.", o.watching.during)
	a, err := u.Watch(ctx, p, o.watching.during)
	for i, loss := range a.Lost {
		if i == mostLosses {
			o.s.Data("  … and %d more", a.Count-mostLosses)
			break
		}
		o.s.Data("  %s: %s", p.Name([]byte(loss.Key)), loss.What)
	}
	return &a, err
}
