package etcd3

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// Walk implements etcdwalk.View. It ends with etcdwalk.ErrCompacted,
// ErrInvariant, ErrUnavailable or ErrDenied, wrapped with the range concerned.
// Entries come with their Record.
func (v *View) Walk(ctx context.Context, sel etcdwalk.Selection) iter.Seq2[etcdwalk.Entry, error] {
	return func(yield func(etcdwalk.Entry, error) bool) {
		scan := func(ctx context.Context, emit func([]etcdwalk.Entry) error) error {
			return v.scan(ctx, sel, emit)
		}
		for entries, err := range ahead(ctx, scan) {
			if err != nil {
				yield(etcdwalk.Entry{}, err)
				return
			}
			for _, e := range entries {
				if err := ctx.Err(); err != nil {
					yield(etcdwalk.Entry{}, err)
					return
				}
				if sel.Takes(e) && !yield(e, nil) {
					return
				}
			}
		}
	}
}

// scan reads the stretches of a selection one after the other, and small ones that follow
// each other together.
func (v *View) scan(ctx context.Context, sel etcdwalk.Selection, emit func([]etcdwalk.Entry) error) (err error) {
	all, err := v.stretches(ctx, sel)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(s *stretch) bool { return s.keys() == 0 })
	var second *witness
	if v.witnessed {
		second = newWitness(ctx, v, keysOf(all))
	}
	defer func() { // whatever became of the walk: a disagreement may be why
		doubts, agreed := second.end(err != nil)
		v.mu.Lock()
		defer v.mu.Unlock()
		v.doubts, v.again = append(v.doubts, doubts...), v.again+agreed
	}()
	streams, turns, size, sample := true, &turns{}, newSize(), newSample(sel.Splits.Namespaces)
	for len(all) > 0 {
		n := 1
		for n < min(len(all), atOnce) && all[n-1].small(size) && all[n].small(size) {
			n++
		}
		pages := make([]*page, n)
		if n > 1 {
			if pages, err = v.fetch(ctx, all[:n]); err != nil {
				return err
			}
		}
		for i, p := range pages {
			s := &scanner{view: v, r: all[i].Range, wanted: all[i].wanted, next: all[i].Start, limit: firstLimit, sample: sample, pages: turns, size: size, second: second, emit: emit}
			if p != nil {
				err = s.take(p.header.MemberId, p.entries)
			} else {
				streams, err = s.scan(ctx, all[i].cells, streams)
			}
			if err != nil {
				return err
			}
		}
		all = all[n:]
	}
	return nil
}

// scan reads the range that consists of these cells, as a stream if the server
// streams, and tells whether it does. It checks that as many keys came as were
// counted.
func (s *scanner) scan(ctx context.Context, cells []*cell, streams bool) (bool, error) {
	var want int64
	for _, c := range cells {
		want += c.keys
	}
	whole := false
	if streams && want > firstLimit { // else one page does it
		var err error
		if whole, err = s.stream(ctx); err != nil {
			return false, err
		}
		streams = whole
	}
	if !whole {
		if err := s.rest(ctx, cells); err != nil {
			return false, err
		}
	}
	if s.read != want {
		return false, s.reading(fmt.Errorf("%d keys came, %d were counted at revision %d: %w",
			s.read, want, s.view.info.Revision, etcdwalk.ErrInvariant))
	}
	return streams, nil
}

// A scanner reads one range, ascending. It may change from the stream to pages
// on the way; next says where to go on.
type scanner struct {
	view   *View
	r      etcdwalk.Range
	wanted etcdwalk.Ranges // that are passed on
	sample *sample         // of the whole walk
	next   []byte          // the first key that was not yet received
	limit  int64           // of keys in the next page
	read   int64           // keys so far
	asked  int64           // pages so far
	passed int64           // keys that the server went over for them, as it told
	order  etcdwalk.Order
	pages  *turns
	size   *size    // of pages, in bytes
	second *witness // nil: nobody reads again
	emit   func([]etcdwalk.Entry) error
}

// turns are two pages that take turns: one is received while the entries of
// the other are used (see ahead). So nothing is allocated for a page.
type turns struct {
	pages [2]page
	n     int // pages that were passed on
}

// free is the page whose entries nobody uses.
func (t *turns) free() *page { return &t.pages[t.n%2] }

// take checks keys that a member gave, passes them on, and moves next behind them.
func (s *scanner) take(by uint64, entries []etcdwalk.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	within, bytes := etcdwalk.Ranges{s.r}, int64(0)
	for _, e := range entries {
		bytes += e.Size()
		if err := s.order.Check(within, e.Key); err != nil {
			return s.reading(err)
		}
		if e.ModRevision > s.view.info.Revision {
			return s.reading(fmt.Errorf("key %q has mod revision %d, and %d was asked for: %w",
				e.Key, e.ModRevision, s.view.info.Revision, etcdwalk.ErrInvariant))
		}
	}
	s.next = etcdwalk.After(entries[len(entries)-1].Key)
	s.read += int64(len(entries))
	s.size.each = bytes / int64(len(entries))
	s.pages.n++
	s.second.see(by, entries)
	if len(s.wanted) > 1 {
		entries = slices.DeleteFunc(entries, func(e etcdwalk.Entry) bool { return !s.wanted.Contains(e.Key) })
	}
	return s.emit(entries)
}

// reading says what was being done when err happened.
func (s *scanner) reading(err error) error {
	return fmt.Errorf("read %s: %w", describe(s.r), err)
}
