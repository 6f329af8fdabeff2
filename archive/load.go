package archive

import (
	"context"
	"iter"
)

// A loaded segment was read, unpacked and found sound.
type loaded struct {
	Segment
	number      int // from 0
	packed, raw []byte
	totals      Totals
}

// segments yields the segments that are wanted, in order. Their bytes are valid
// until the next one is asked for. An error is the last thing it yields: the
// first in order, whichever was found first.
//
// While the caller has one segment, the next are loaded. Only who asks for a
// second one has that done: many want no more than the first key.
func (a *Reader) segments(ctx context.Context, wanted func(Segment) bool) iter.Seq2[*loaded, error] {
	return func(yield func(*loaded, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		l := loader{reader: a, wanted: wanted, loading: queue[loaded]{most: 1}, read: make(chan struct{})}
		close(l.read)
		defer l.loading.drain()
		defer cancel()
		for l.ahead(ctx); !l.loading.empty(); l.ahead(ctx) {
			s, err := l.loading.next()
			if !yield(s, err) || err != nil {
				return
			}
			s.packed, s.raw = shrink(s.packed), shrink(s.raw)
			l.loading.free(s, s.Size)
			l.loading.most = a.workers + 1
		}
	}
}

// A loader loads segments side by side.
type loader struct {
	reader  *Reader
	wanted  func(Segment) bool
	next    int // number of a segment
	loading queue[loaded]
	// read is closed when the last segment has been read that was begun.
	read chan struct{}
}

// ahead begins to load as many segments as there is room for.
func (l *loader) ahead(ctx context.Context) {
	for ; l.next < len(l.reader.manifest.Segments); l.next++ {
		s := l.reader.manifest.Segments[l.next]
		if !l.wanted(s) {
			continue
		}
		if !l.loading.room(s.Size) {
			return
		}
		l.begin(ctx, s)
	}
}

// begin begins to load a segment. Segments are read one after the other, even
// though they are unpacked side by side: so what lies below is read forwards,
// and age decrypts no chunk twice.
func (l *loader) begin(ctx context.Context, s Segment) {
	before, own := l.read, make(chan struct{})
	l.read = own
	item := l.loading.item()
	item.Segment, item.number = s, l.next
	l.loading.start(item, s.Size, func(s *loaded) error {
		<-before
		packed, err := l.reader.read(ctx, s)
		close(own)
		if err != nil {
			return err
		}
		return l.reader.unpack(s, packed)
	})
}

// read reads a segment as it is stored.
func (a *Reader) read(ctx context.Context, s *loaded) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return a.zip.read(filesBefore+s.number, &s.packed)
}

// unpack unpacks a segment into s.raw and holds it against the manifest. The
// decoder gets nothing that the manifest does not vouch for.
func (a *Reader) unpack(s *loaded, packed []byte) error {
	f := a.zip.files[filesBefore+s.number]
	if got := hexSHA256(packed); got != s.SHA256 {
		return damaged("%s: packed, its SHA-256 is %s instead of %s", s.Name, got, s.SHA256)
	}
	var err error
	if s.raw, err = a.unpacker.unpack(packed, int(f.size), s.raw); err != nil {
		return damaged("%s: %w", s.Name, err)
	}
	if err := f.checkCRC(s.raw); err != nil {
		return err
	}
	if s.totals, err = checkRecords(s.raw, s.Segment); err != nil {
		return damaged("%s: %w", s.Name, err)
	}
	return nil
}
