package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

const (
	// maxRaces is how often a write is decided again after a lost race.
	maxRaces = 3
	// maxLosses is how often it is sent again after a lost answer, between pauses:
	// ten are most of the job's patience. A cluster that elects one leader after the
	// other loses several.
	maxLosses = 10
	// settleTime is what the batches under way get when the context is cancelled.
	settleTime = 10 * time.Second
)

// write settles a batch of the apply: in rounds, until each item has come to
// its end.
func (p *pass) write(ctx context.Context, b *batch) error {
	work, done := outlive(ctx, settleTime)
	defer done()
	items := slices.DeleteFunc(slices.Clone(b.items), (*item).settled)
	err := p.retry(ctx, func() error {
		for len(items) > 0 {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if p.rate != nil {
				turn := p.rate.ReserveN(time.Now(), len(items))
				if err := until(ctx, time.Now().Add(turn.Delay())); err != nil {
					return err
				}
			}
			var err error
			if items, err = p.round(work, b, items); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		p.abandon(work, b, items)
	}
	return err
}

// outlive makes a context that ends grace after ctx does.
func outlive(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(grace, cancel)
		<-work.Done()
		timer.Stop()
	})
	return work, func() { stop(); cancel() }
}

// round writes once. It returns the items that are not settled, and an error if they must
// wait (the target is unavailable) or cannot go on. What the round before left in doubt it
// looks at first.
func (p *pass) round(ctx context.Context, b *batch, items []*item) ([]*item, error) {
	if err := p.review(ctx, items); err != nil {
		return items, err
	}
	items, err := p.sift(items)
	if err != nil {
		return items, err
	}
	items, err = p.attach(ctx, items)
	if err != nil || len(items) == 0 {
		return items, err
	}
	begun := time.Now()
	results := p.Target.Apply(ctx, writes(items))
	b.took += time.Since(begun)
	if len(results) != len(items) {
		for _, it := range items {
			it.lose()
		}
		return items, fmt.Errorf("the target answers for %d writes of %d%.0w", len(results), len(items), etcdwalk.ErrInvariant)
	}
	var left []*item
	var stop error
	for i, it := range items {
		settled, err := p.take(it, results[i])
		if !settled {
			left = append(left, it)
		}
		stop = moreSevere(stop, err)
	}
	return left, stop
}

// sift returns the items that are to be written, and an ErrConflict if the
// policy says stop. The others are settled; so are those that were tried too
// often.
func (p *pass) sift(items []*item) ([]*item, error) {
	var left []*item
	var stop error
	for _, it := range items {
		switch {
		case !it.pending():
		case it.races > maxRaces:
			it.move(it.seen, "others kept writing it")
		case it.losses > maxLosses:
			it.Fate, it.Reason = Failure, "the answers to its writes were lost, again and again"
		default:
			left = append(left, it)
			continue
		}
		if it.Fate == Moved && p.policy(it.want.Key) == Fail {
			stop = moreSevere(stop, conflict(it))
		}
	}
	return left, stop
}

// attach finds the lease of the target for each item that needs one. It returns
// the items but those for which there is none, which are settled.
func (p *pass) attach(ctx context.Context, items []*item) ([]*item, error) {
	var left []*item
	for i, it := range items {
		if it.want.Lease != 0 {
			id, err := p.leases.grant(ctx, p.Target, it.want.Lease)
			switch {
			case stops(err):
				return append(left, items[i:]...), err
			case err != nil:
				it.Fate, it.Reason = Failure, err.Error()
				continue
			}
			it.lease = id
		}
		left = append(left, it)
	}
	return left, nil
}

// take takes the result of one write. It tells whether the item is settled, and
// whether the batch must wait or stop.
func (p *pass) take(it *item, r etcdwalk.Result) (settled bool, stop error) {
	it.Reason = ""
	switch r.State {
	case etcdwalk.WriteApplied:
		it.Revision = r.Revision
	case etcdwalk.WriteRaced:
		it.raced = true
		return false, nil
	case etcdwalk.WriteFailed:
		if settled, stop = p.failed(it, r.Err); !settled {
			return false, stop
		}
	default: // etcdwalk.WriteUnknown
		it.lose()
		return false, fmt.Errorf("write key %q: %w%.0w", it.want.Key, r.Err, etcdwalk.ErrUnavailable)
	}
	return true, stop
}

// failed takes the error of a write that certainly did nothing.
func (p *pass) failed(it *item, err error) (settled bool, stop error) {
	err = fmt.Errorf("write key %q: %w", it.want.Key, err)
	switch {
	case errors.Is(err, etcdwalk.ErrUnavailable), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return false, err
	case errors.Is(err, etcdwalk.ErrNoLease) && p.leases.renew(it):
		return false, nil
	case errors.Is(err, etcdwalk.ErrExpired):
		it.Fate, it.Reason = Expired, "its time ran out before it was written"
		return true, nil
	case errors.Is(err, etcdwalk.ErrNoSpace), errors.Is(err, etcdwalk.ErrDenied), errors.Is(err, etcdwalk.ErrInvariant):
		stop = err
	}
	it.Fate, it.Reason = Failure, err.Error()
	return true, stop
}

// abandon gives the items that a stopped batch leaves behind their fates.
// Those whose answer was lost are read back first.
func (p *pass) abandon(ctx context.Context, b *batch, items []*item) {
	lost := slices.DeleteFunc(slices.Clone(items), func(it *item) bool { return !it.lost })
	if len(lost) > 0 && p.look(ctx, lost, (*item).review) != nil {
		for _, it := range lost {
			it.lost = true
		}
	}
	for _, it := range items {
		switch {
		case it.arrived, it.settled():
		case it.lost:
			it.Fate, it.Reason = Unsure, "the answer to its write was lost, and it could not be read back: it may have been written"
		default:
			it.Line = unreached()
		}
	}
}

func conflict(it *item) error {
	return fmt.Errorf("key %q: %s: %w", it.want.Key, it.Reason, ErrConflict)
}
