package etcdwalk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
)

// Stats is the sum of a walk. Bytes counts keys and values.
type Stats struct{ Keys, Bytes int64 }

// Add counts e.
func (s *Stats) Add(e Entry) {
	s.Keys++
	s.Bytes += e.Size()
}

// An Observer sees each entry after it has gone into the Sink. Like a Sink it
// must not keep the entry's bytes.
type Observer func(Entry)

// Copy moves the selected entries of src into dst and tells watch, which may
// be nil, of each. It trusts no view: a key that is out of order or out of the
// ranges ends it with [ErrInvariant].
func Copy(ctx context.Context, dst Sink, src View, sel Selection, watch Observer) (Stats, error) {
	var (
		stats Stats
		order Order
	)
	for e, err := range src.Walk(ctx, sel) {
		if err != nil {
			return stats, err
		}
		if err := order.Check(sel.Ranges, e.Key); err != nil {
			return stats, err
		}
		if err := dst.Put(ctx, e); err != nil {
			return stats, err
		}
		stats.Add(e)
		if watch != nil {
			watch(e)
		}
	}
	if err := ctx.Err(); err != nil {
		return stats, err
	}
	return stats, sel.Err()
}

// An indexed view knows some keys without reading what is stored under them.
type indexed interface {
	// FirstKey is the first key in the ranges, if the view knows it; else nil, whether
	// there is one or not.
	FirstKey(ranges Ranges) []byte
}

// First is the first key in the ranges; nil if there is none.
func First(ctx context.Context, view View, ranges Ranges) ([]byte, error) {
	if v, ok := view.(indexed); ok {
		if key := v.FirstKey(ranges); key != nil {
			return key, ctx.Err()
		}
	}
	for e, err := range view.Walk(ctx, Selection{Ranges: ranges}) {
		return bytes.Clone(e.Key), err
	}
	return nil, ctx.Err()
}

// Any tells whether a view holds a key that is selected.
func Any(ctx context.Context, view View, sel Selection) (bool, error) {
	if sel.Match == nil && sel.Values == nil {
		key, err := First(ctx, view, sel.Ranges)
		return key != nil && err == nil, err
	}
	for _, err := range view.Walk(ctx, sel) {
		return err == nil, err
	}
	return false, ctx.Err()
}

// Holds is like [Any] where it is enough to know that there is something: what is too much to
// be read is.
func Holds(ctx context.Context, view View, sel Selection) (bool, error) {
	found, err := Any(ctx, view, sel)
	if errors.Is(err, ErrRefused) {
		return true, nil
	}
	return found, err
}

// Order checks that keys come strictly ascending and inside the ranges that
// were asked for. The zero value is ready.
type Order struct {
	last    []byte
	started bool
}

// Check takes the next key. Its error is an [ErrInvariant].
func (o *Order) Check(ranges Ranges, key []byte) error {
	if o.started && bytes.Compare(key, o.last) <= 0 {
		return fmt.Errorf("key %q came after key %q%.0w", key, o.last, ErrInvariant)
	}
	if !ranges.Contains(key) {
		return fmt.Errorf("key %q is outside the ranges asked for%.0w", key, ErrInvariant)
	}
	o.last, o.started = append(o.last[:0], key...), true
	return nil
}
