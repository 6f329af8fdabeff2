package ferry

import (
	"context"
	"fmt"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// collected refuses a restore of owners while the garbage collector is at work on what they
// own: what it is still to delete looks unchanged, and is gone a moment after its owner is
// back.
func (p *Planned) collected(ctx context.Context) error {
	if p.checks == nil || p.Counts[replay.Created] == 0 {
		return nil
	}
	keys, err := p.checks.Collecting(ctx)
	if err != nil {
		return fmt.Errorf("look for what is being collected: %w", err)
	}
	if len(keys) == 0 {
		return nil
	}
	return fmt.Errorf("%s: there is still what belongs to owners that are gone, of %d of them, such as %s: the garbage collector is at work on them, and goes on although the owners come back. "+
		"Wait until they are gone, and run the same command again; where no controller manager runs, --allow %s%.0w", kube.Collecting, len(keys), quoted(keys[0]), kube.Collecting, etcdwalk.ErrRefused)
}

// found takes what a plan finds in the target: what the garbage collector may be about to
// delete; and what has owners, which controllers may still have on their lists when something
// comes back.
func (p *Planned) found(ctx context.Context) func(have etcdwalk.Entry) {
	return func(have etcdwalk.Entry) {
		p.checks.Found(ctx, have)
		if m, err := p.meta(ctx, have); err == nil && len(m.Owners) > 0 {
			p.written.stand(have)
		}
	}
}

// begin forgets what an apply before has written. Beside what is only replaced nothing is in
// doubt.
func (p *Planned) begin() {
	p.written.keys, p.written.gone, p.written.read, p.Unmarked = revisions{}, nil, nil, nil
	if p.Counts[replay.Created] == 0 {
		p.written.beside = revisions{}
	}
}
