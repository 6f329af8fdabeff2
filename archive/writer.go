package archive

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

var _ etcdwalk.Sink = (*Writer)(nil)

// A Writer makes one archive: NewWriter, any number of Puts, Close. Its first
// error is its last: every later call returns it again. It does not close the
// io.Writer that it writes to.
//
// A Writer fills one segment while others are being compressed, on up to four
// cores; it writes to the io.Writer only inside its own methods. So it keeps
// that many segments and two more in memory, and a few hundred bytes for each
// that it has written, each kind and namespace, and each lease. Who gives up
// needs no Close: what is being compressed ends by itself.
type Writer struct {
	zip    *zipWriter
	packer *packer
	header Header
	// classify tells what a key belongs to.
	classify func(key []byte) etcdwalk.Class

	segment  *segment // being filled
	packing  queue[segment]
	begun    int // segments, this one left out
	order    etcdwalk.Order
	leases   map[int64]bool
	totals   tally
	manifest Manifest

	err    error
	closed bool
}

// errClosed: Put after Close.
var errClosed = errors.New("the archive is closed")

// NewWriter begins an archive and writes its header. classify tells of each
// key what it belongs to; nil leaves all keys without a kind.
func NewWriter(w io.Writer, h Header, classify func(key []byte) etcdwalk.Class) (*Writer, error) {
	return newWriter(w, h, classify, packers())
}

func newWriter(w io.Writer, h Header, classify func(key []byte) etcdwalk.Class, workers int) (*Writer, error) {
	h.Format, h.Features, h.Kind = Format{Major: formatMajor, Minor: formatMinor}, []string{packedManifest}, kindFull
	h.Created = h.Created.UTC().Truncate(time.Second)
	if h.ArchiveID == "" {
		h.ArchiveID = randomHex()
	}
	if err := h.check(); err != nil {
		return nil, fmt.Errorf("write %s: %w", headerName, err)
	}
	text, err := encodeJSON(headerName, maxHeader, h, "  ")
	if err != nil {
		return nil, err
	}
	packer, err := newPacker(workers)
	if err != nil {
		return nil, err
	}
	if classify == nil {
		classify = func([]byte) etcdwalk.Class { return etcdwalk.Class{} }
	}
	out := &Writer{
		zip: newZipWriter(w), packer: packer, header: h, classify: classify,
		segment: new(segment), packing: queue[segment]{most: workers + 1},
		leases: make(map[int64]bool), totals: tally{sums: make(map[place]*Totals)},
		manifest: Manifest{Segments: []Segment{}, HeaderSHA256: hexSHA256(text), Nonce: randomHex()},
	}
	out.store(readmeName, readmeText)
	out.store(headerName, text)
	out.store(protoName, protoText)
	return out, out.err
}

// randomHex is 16 random bytes in hexadecimal.
func randomHex() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// Header is the header as it was written.
func (w *Writer) Header() Header { return w.header }

// LeaseIDs are the leases of the entries so far, ascending.
func (w *Writer) LeaseIDs() []int64 { return slices.Sorted(maps.Keys(w.leases)) }

// Put implements [etcdwalk.Sink]. A record that does not say what the entry
// says, and a key that does not ascend, are an etcdwalk.ErrInvariant.
func (w *Writer) Put(ctx context.Context, e etcdwalk.Entry) error {
	if w.err == nil && w.closed {
		return errClosed
	}
	if w.err == nil {
		w.end(w.put(ctx, e))
	}
	return w.err
}

// end ends the archive if err is not nil.
func (w *Writer) end(err error) {
	if err != nil {
		w.err = err
		w.packing.drain()
	}
}

func (w *Writer) put(ctx context.Context, e etcdwalk.Entry) error {
	if err := w.admit(e); err != nil {
		return err
	}
	class := w.classify(e.Key)
	if class.Kind != "" && !class.Range.Contains(e.Key) {
		return fmt.Errorf("key %.200q is not in the range of its kind %s%.0w", e.Key, class.Kind, etcdwalk.ErrInvariant)
	}
	size := recordSize(e)
	if size > maxSegment {
		return fmt.Errorf("key %.200q: a record of %d bytes: the format allows %d%.0w", e.Key, size, maxSegment, ErrLimit)
	}
	if !w.segment.takes(class, size) {
		if err := w.flush(ctx); err != nil {
			return err
		}
	}
	w.segment.add(class, e)
	w.totals.add(class, e)
	if e.Lease != 0 {
		w.leases[e.Lease] = true
	}
	return nil
}

// admit checks what the source promised of e.
func (w *Writer) admit(e etcdwalk.Entry) error {
	if len(e.Key) == 0 {
		return fmt.Errorf("an entry without a key%.0w", etcdwalk.ErrInvariant)
	}
	if err := w.order.Check(etcdwalk.Ranges{{}}, e.Key); err != nil {
		return err
	}
	if e.Record == nil {
		return nil
	}
	r, err := etcdwalk.ParseRecord(e.Record)
	if err != nil {
		return fmt.Errorf("key %.200q: %w%.0w", e.Key, err, etcdwalk.ErrInvariant)
	}
	if !sameEntry(r, e) {
		return fmt.Errorf("key %.200q: its record says something else%.0w", e.Key, etcdwalk.ErrInvariant)
	}
	return nil
}

func sameEntry(a, b etcdwalk.Entry) bool {
	return bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value) && a.Lease == b.Lease &&
		a.CreateRevision == b.CreateRevision && a.ModRevision == b.ModRevision && a.Version == b.Version
}

// flush has the segment packed, if there is anything in it, and begins another.
// It writes what is packed by now, and waits only where there is no room.
func (w *Writer) flush(ctx context.Context) error {
	if w.segment.keys == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if w.begun == maxSegments {
		return fmt.Errorf("more than %d segments: the format allows no more%.0w", maxSegments, ErrLimit)
	}
	size := int64(len(w.segment.raw))
	for w.packing.ready() || !w.packing.room(size) {
		if err := w.writeNext(); err != nil {
			return err
		}
	}
	name := segmentName(w.begun)
	w.packing.start(w.segment, size, func(s *segment) error {
		if err := s.pack(w.packer); err != nil {
			return fmt.Errorf("compress %s: %w", name, err)
		}
		s.told.Name, s.file.name = name, name
		return nil
	})
	w.begun++
	w.segment = w.packing.item()
	return nil
}

// writeNext writes the oldest of the segments that are being packed.
func (w *Writer) writeNext() error {
	s, err := w.packing.next()
	if err != nil {
		return err
	}
	if err := w.zip.add(s.file, s.packed); err != nil {
		return err
	}
	w.manifest.Segments = append(w.manifest.Segments, s.told)
	w.packing.free(s, s.told.Size)
	s.reset()
	return nil
}

// store writes a file that is not compressed.
func (w *Writer) store(name string, content []byte) {
	if w.err == nil {
		w.err = w.zip.add(describe(name, content), content)
	}
}

// Close writes what the end needs and makes the archive whole. It returns the
// manifest. Closing again returns the same.
func (w *Writer) Close(end Ending) (Manifest, error) {
	if w.closed || w.err != nil {
		return w.manifest, w.err
	}
	w.closed = true
	w.end(w.finish(end))
	return w.manifest, w.err
}

func (w *Writer) finish(end Ending) error {
	if err := w.flush(context.Background()); err != nil {
		return err
	}
	for !w.packing.empty() {
		if err := w.writeNext(); err != nil {
			return err
		}
	}
	leases, err := w.leaseList(end)
	if err != nil {
		return err
	}
	text, err := encodeJSON(leasesName, maxJSON, leases, "")
	if err != nil {
		return err
	}
	w.store(leasesName, text)
	m := &w.manifest
	m.LeasesSHA256, m.Outcome, m.Outside = hexSHA256(text), end.Outcome, end.Outside
	m.Kinds, m.Prefixes, m.Totals = w.totals.sum()
	m.Sealed = slices.Clone(end.Sealed)
	for i := range m.Sealed {
		m.Sealed[i].Kind = label(m.Sealed[i].Kind)
	}
	slices.SortFunc(m.Sealed, compareSealed)
	if err := m.checkSealed(); err != nil {
		return fmt.Errorf("write %s: %w%.0w", manifestName, err, etcdwalk.ErrInvariant)
	}
	if text, err = encodeJSON(manifestName, maxJSON, m, ""); err != nil {
		return err
	}
	packed, err := w.packer.pack(text, nil)
	if err != nil {
		return fmt.Errorf("write %s: %w", packedManifestName, err)
	}
	if w.store(packedManifestName, packed); w.err != nil {
		return w.err
	}
	return w.zip.close()
}

// leaseList is what goes into leases.json: it has every lease that an entry
// names.
func (w *Writer) leaseList(end Ending) (leaseList, error) {
	list := leaseList{TakenAt: end.TakenAt.UTC().Truncate(time.Second), Leases: slices.Clone(end.Leases)}
	if list.Leases == nil {
		list.Leases = []etcdwalk.Lease{}
	}
	slices.SortFunc(list.Leases, func(a, b etcdwalk.Lease) int { return cmp.Compare(a.ID, b.ID) })
	if err := list.check(); err != nil {
		return list, fmt.Errorf("write %s: %w", leasesName, err)
	}
	for _, id := range w.LeaseIDs() {
		if _, ok := list.find(id); !ok {
			return list, fmt.Errorf("write %s: nothing is known of lease %x, which keys are attached to%.0w", leasesName, id, etcdwalk.ErrInvariant)
		}
	}
	return list, nil
}
