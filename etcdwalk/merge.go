package etcdwalk

import (
	"bytes"
	"context"
	"fmt"
	"iter"
)

// A Pair is what two views hold under one key. A or B is nil where that view does not
// hold it, never both. Like the entries of a walk, they are valid until the next step.
type Pair struct{ A, B *Entry }

// Key is the key of the pair.
func (p Pair) Key() []byte {
	if p.A != nil {
		return p.A.Key
	}
	return p.B.Key
}

// Merge walks two views side by side and yields each key that the selection takes of
// either, ascending. It keeps one entry of each, and trusts neither, as [Copy] does
// not. It ends at the first error.
func Merge(ctx context.Context, a, b View, sel Selection) iter.Seq2[Pair, error] {
	return func(yield func(Pair, error) bool) {
		left, right := follow(ctx, a, sel), follow(ctx, b, sel)
		defer left.stop()
		defer right.stop()
		for {
			pair, err := pairOf(left, right)
			if err == nil && pair == (Pair{}) {
				err = ctx.Err()
				if err == nil {
					return
				}
			}
			if !yield(pair, err) || err != nil {
				return
			}
			left.taken, right.taken = pair.A != nil, pair.B != nil
		}
	}
}

// pairOf is the least key that two followers have come to; none at their ends.
func pairOf(left, right *follower) (Pair, error) {
	a, err := left.head()
	if err != nil {
		return Pair{}, fmt.Errorf("walk the first of two views: %w", err)
	}
	b, err := right.head()
	if err != nil {
		return Pair{}, fmt.Errorf("walk the second of two views: %w", err)
	}
	if a != nil && b != nil {
		switch order := bytes.Compare(a.Key, b.Key); {
		case order < 0:
			b = nil
		case order > 0:
			a = nil
		}
	}
	return Pair{A: a, B: b}, nil
}

// A follower goes over a walk no faster than it is asked to.
type follower struct {
	next   func() (Entry, error, bool)
	stop   func()
	ranges Ranges
	order  Order

	entry Entry
	taken bool // the entry is done with
	ended bool
}

func follow(ctx context.Context, view View, sel Selection) *follower {
	next, stop := iter.Pull2(view.Walk(ctx, sel))
	return &follower{next: next, stop: stop, ranges: sel.Ranges, taken: true}
}

// head is the first entry that is not taken; nil at the end.
func (f *follower) head() (*Entry, error) {
	if f.taken && !f.ended {
		e, err, ok := f.next()
		if ok && err == nil {
			err = f.order.Check(f.ranges, e.Key)
		}
		if err != nil {
			return nil, err
		}
		f.entry, f.taken, f.ended = e, false, !ok
	}
	if f.ended {
		return nil, nil
	}
	return &f.entry, nil
}
