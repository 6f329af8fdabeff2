package etcd3

import (
	"context"
	"fmt"
	"iter"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// Walk implements etcdwalk.View. It ends with etcdwalk.ErrCompacted,
// ErrInvariant, ErrUnavailable or ErrDenied, wrapped with the range concerned.
func (v *View) Walk(ctx context.Context, sel etcdwalk.Selection) iter.Seq2[etcdwalk.Entry, error] {
	return func(yield func(etcdwalk.Entry, error) bool) {
		scan := func(ctx context.Context, emit func([]etcdwalk.Entry) error) error {
			return v.scan(ctx, sel.Ranges, emit)
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

// scan reads ranges one after the other, and checks that each holds as many
// keys as were counted.
func (v *View) scan(ctx context.Context, ranges etcdwalk.Ranges, emit func([]etcdwalk.Entry) error) error {
	streams := true
	for _, r := range ranges {
		want, err := v.counted(ctx, r)
		if err != nil {
			return err
		}
		s := &scanner{view: v, r: r, next: r.Start, limit: firstLimit, emit: emit}
		switch {
		case want <= firstLimit: // one page does it
			err = s.pages(ctx)
		case streams:
			if streams, err = s.stream(ctx); err == nil && !streams {
				err = s.pages(ctx)
			}
		default:
			err = s.pages(ctx)
		}
		if err != nil {
			return err
		}
		if s.read != want {
			return fmt.Errorf("reading %s: %d keys came, %d were counted at revision %d: %w",
				describe(r), s.read, want, v.info.Revision, etcdwalk.ErrInvariant)
		}
	}
	return nil
}

// A scanner reads one range, ascending. It may change from the stream to pages
// on the way; next says where to go on.
type scanner struct {
	view  *View
	r     etcdwalk.Range
	next  []byte // the first key that was not yet received
	limit int64  // of keys in the next page
	read  int64  // keys so far
	order etcdwalk.Order
	emit  func([]etcdwalk.Entry) error
}

// take checks keys that arrived, passes them on, and moves next behind them.
func (s *scanner) take(kvs []*mvccpb.KeyValue) error {
	if len(kvs) == 0 {
		return nil
	}
	within := etcdwalk.Ranges{s.r}
	entries := make([]etcdwalk.Entry, len(kvs))
	for i, kv := range kvs {
		if err := s.order.Check(within, kv.Key); err != nil {
			return s.reading(err)
		}
		if kv.ModRevision > s.view.info.Revision {
			return s.reading(fmt.Errorf("key %q has mod revision %d, and %d was asked for: %w",
				kv.Key, kv.ModRevision, s.view.info.Revision, etcdwalk.ErrInvariant))
		}
		entries[i] = entryOf(kv)
	}
	s.next = etcdwalk.After(kvs[len(kvs)-1].Key)
	s.read += int64(len(kvs))
	return s.emit(entries)
}

// entryOf has no Record: gRPC gives us the message decoded.
func entryOf(kv *mvccpb.KeyValue) etcdwalk.Entry {
	return etcdwalk.Entry{
		Key: kv.Key, Value: kv.Value,
		CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision, Version: kv.Version,
		Lease: kv.Lease,
	}
}

// reading says what was being done when err happened.
func (s *scanner) reading(err error) error {
	return fmt.Errorf("reading %s: %w", describe(s.r), err)
}
