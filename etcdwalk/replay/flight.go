package replay

import (
	"context"
	"errors"
	"time"
)

// flights are the batches that are on their way. They are settled at the same
// time, each by a goroutine of its own, and land in the order of their keys.
type flights struct {
	air    []*batch // the oldest first
	opened int      // selections of which a batch was sent
	halt   context.CancelCauseFunc
	ready  time.Time // when the next batch may go
}

// flush sends off the batch that was collected, once there is room in the air.
func (p *pass) flush(ctx context.Context) error {
	if len(p.next.items) == 0 {
		return nil
	}
	if err := p.barrier(); err != nil {
		return err
	}
	if len(p.air) >= p.width {
		if err := p.land(); err != nil {
			return err
		}
	}
	if err := until(ctx, p.ready); err != nil {
		return err
	}
	b := p.next
	b.done = make(chan struct{})
	p.air = append(p.air, b)
	go func() {
		defer close(b.done)
		if b.err = p.settle(ctx, b); b.err != nil {
			p.halt(b.err) // of the others, only what has been sent is waited for
		}
		b.ended = time.Now()
	}()
	p.next = p.fresh()
	return nil
}

// barrier waits, before the first batch of a selection, until all of those
// before it have landed. By then the batch has been collected, so that little
// time is lost.
func (p *pass) barrier() error {
	if p.opened > p.current {
		return nil
	}
	for len(p.air) > 0 {
		if err := p.land(); err != nil {
			return err
		}
	}
	p.opened = p.current + 1
	return nil
}

// fresh is an empty batch.
func (p *pass) fresh() *batch {
	if len(p.spare) == 0 {
		return newBatch()
	}
	b := p.spare[len(p.spare)-1]
	p.spare = p.spare[:len(p.spare)-1]
	return b
}

// land waits for the oldest batch in the air, and tells what became of its
// keys.
func (p *pass) land() error {
	b := p.air[0]
	p.air = p.air[1:]
	<-b.done
	var untold error // the first reason is enough
	for _, it := range b.items {
		if err := p.tell(it); untold == nil {
			untold = err
		}
	}
	err := b.err
	if untold != nil {
		err = errors.Join(err, untold)
	}
	p.ready = b.ended.Add(p.pace.note(b.took))
	b.clear()
	p.spare = append(p.spare, b)
	return err
}

// until waits for a moment, or for the end of the context.
func until(ctx context.Context, moment time.Time) error {
	if wait := time.Until(moment); wait > 0 {
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	return ctx.Err()
}
