package kube

import (
	"context"
	"errors"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// A leaper is a view that tells of keys without reading what is stored under them.
type leaper interface {
	// Leap tells on of the first key in each range, and each time of the first one from
	// the key on that it has returned; nil: of the very next. Of several at once, each
	// range ascending. An errors.ErrUnsupported comes before on is told anything.
	Leap(ctx context.Context, ranges etcdwalk.Ranges, on func(key []byte) []byte) error
}

// leap is the Leap of any view. One that is no leaper, or cannot leap, is walked.
func leap(ctx context.Context, view etcdwalk.View, ranges etcdwalk.Ranges, on func(key []byte) []byte) error {
	if v, ok := view.(leaper); ok {
		if err := v.Leap(ctx, ranges, on); !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	for len(ranges) > 0 {
		key, err := etcdwalk.First(ctx, view, ranges)
		if err != nil || key == nil {
			return err
		}
		end := on(key)
		if end == nil {
			if end, err = walkOn(ctx, view, ranges.Subtract(upTo(etcdwalk.After(key))), on); err != nil || end == nil {
				return err
			}
		}
		ranges = ranges.Subtract(upTo(end))
	}
	return nil
}

// walkOn walks until on wants to leap, and tells where to; nil: it came to the end.
func walkOn(ctx context.Context, view etcdwalk.View, ranges etcdwalk.Ranges, on func(key []byte) []byte) ([]byte, error) {
	for e, err := range view.Walk(ctx, etcdwalk.Selection{Ranges: ranges}) {
		if err != nil {
			return nil, err
		}
		if end := on(e.Key); end != nil {
			return end, nil
		}
	}
	return nil, ctx.Err()
}

// upTo are all keys before end.
func upTo(end []byte) etcdwalk.Ranges { return etcdwalk.Ranges{{Start: []byte{}, End: end}} }
