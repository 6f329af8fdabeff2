package replay

import (
	"context"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// leave tells of the keys that an apply which stopped did not come to, so that
// each key has its fate. It writes nothing and does not ask the target. When
// the context is cancelled it still has settleTime.
func (p *pass) leave(ctx context.Context) error {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer done()
	for _, it := range p.next.items {
		line := unreached()
		line.From = it.from
		if err := p.tell(it.want, line); err != nil {
			return err
		}
	}
	// All that has a fate now is the beginning of the walk.
	rest := &remainder{pass: p, ahead: p.tally.Counts.Total()}
	for _, sel := range p.Selections {
		if _, err := etcdwalk.Copy(ctx, rest, p.Source, sel, nil); err != nil {
			return err
		}
	}
	return nil
}

func unreached() Line {
	return Line{Fate: Unreached, Reason: "the run stopped before it was written"}
}

// A remainder is the Sink that takes the whole walk once more and tells what
// comes behind the entries that have a fate.
type remainder struct {
	*pass
	ahead int64 // entries that have a fate, and are still to come by
}

// Put implements etcdwalk.Sink.
func (r *remainder) Put(_ context.Context, e etcdwalk.Entry) error {
	if r.ahead > 0 {
		r.ahead--
		return nil
	}
	e, from, err := r.transform(e)
	if err != nil {
		return err
	}
	line := unreached()
	line.From = from
	return r.tell(e, line)
}
