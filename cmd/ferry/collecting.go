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
func (r Restore) collected(ctx context.Context, p *Planned) error {
	there := p.Counts.Total() - p.Counts[replay.Created] - p.Counts[replay.Excluded]
	if p.checks == nil || p.Counts[replay.Created] == 0 || there == 0 {
		return nil
	}
	var batch []etcdwalk.Entry
	var count int64
	var first []byte
	ask := func() error {
		places, err := p.checks.Collecting(ctx, batch)
		if count += int64(len(places)); first == nil && len(places) > 0 {
			first = batch[places[0]].Key
		}
		batch = batch[:0]
		return err
	}
	for e, err := range r.allowed(ctx, p, p.job.Source, p.sel) {
		if err == nil {
			if batch = append(batch, e.Clone()); len(batch) < watchKeys {
				continue
			}
			err = ask()
		}
		if err != nil {
			return fmt.Errorf("look for what is being collected: %w", err)
		}
	}
	if err := ask(); err != nil {
		return fmt.Errorf("look for what is being collected: %w", err)
	}
	if count == 0 {
		return nil
	}
	return fmt.Errorf("%s: %d of the selected objects are still there while their owners are gone, the first %s: the garbage collector is at work on them, and goes on although the owners come back. "+
		"Wait until they are gone, and run the same command again; where no controller manager runs, --allow %s%.0w", kube.Collecting, count, quoted(first), kube.Collecting, etcdwalk.ErrRefused)
}
