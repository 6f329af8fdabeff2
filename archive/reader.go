package archive

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"sort"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

var (
	_ etcdwalk.Source = (*Reader)(nil)
	_ etcdwalk.View   = (*Reader)(nil)
)

// A Reader is a finished archive. Several walks may run at the same time. It
// needs no closing; the io.ReaderAt below it must outlive it.
//
// A walk reads ahead on up to four cores, and so keeps that many segments and
// one more in memory. Nothing of that outlives it.
type Reader struct {
	zip      *zipReader
	unpacker *unpacker
	workers  int
	header   Header
	manifest Manifest
	leases   leaseList
}

// Open reads the structure of the archive in the first size bytes of r: the
// directory, the header, the manifest, the leases. It does not read segments.
//
// What is no archive, or a damaged one, is an [ErrDamaged]; what only a later
// version can read is an [ErrTooNew]. An error of r itself is passed on.
func Open(r io.ReaderAt, size int64) (*Reader, error) {
	zip, err := openZip(r, size)
	if err != nil {
		return nil, explain(r, size, err)
	}
	a := &Reader{zip: zip, workers: workers()}
	if a.unpacker, err = newUnpacker(a.workers); err != nil {
		return nil, err
	}
	text, err := zip.read(1, new([]byte))
	if err != nil {
		return nil, err
	}
	if err := announced(text); err != nil {
		return nil, err
	}
	if err := decodeJSON(headerName, text, &a.header); err != nil {
		return nil, err
	}
	if err := a.header.check(); err != nil {
		return nil, damaged("%s: %w", headerName, err)
	}
	if err := a.readEnding(hexSHA256(text)); err != nil {
		return nil, err
	}
	return a, nil
}

// announced tells whether this package can read an archive with that header.
// It looks only at what every version of the format has.
func announced(text []byte) error {
	var h struct {
		Format      Format   `json:"format"`
		Features    []string `json:"features"`
		Kind        string   `json:"kind"`
		ToolVersion string   `json:"tool_version"`
	}
	if err := decodeJSON(headerName, text, &h); err != nil {
		return err
	}
	return Header{Format: h.Format, Features: h.Features, Kind: h.Kind, ToolVersion: h.ToolVersion}.supported()
}

// readEnding reads the manifest and the leases.
func (a *Reader) readEnding(headerSHA256 string) error {
	n := len(a.zip.files)
	text, err := a.manifestText()
	if err != nil {
		return err
	}
	if err := decodeJSON(manifestName, text, &a.manifest); err != nil {
		return err
	}
	if err := a.manifest.check(); err != nil {
		return damaged("%s: %w", manifestName, err)
	}
	if a.manifest.HeaderSHA256 != headerSHA256 {
		return damaged("%s: it belongs to another %s", manifestName, headerName)
	}
	if err := a.matchSegments(); err != nil {
		return damaged("%s: %w", manifestName, err)
	}
	if text, err = a.zip.read(n-2, new([]byte)); err != nil {
		return err
	}
	if a.manifest.LeasesSHA256 != hexSHA256(text) {
		return damaged("%s: it belongs to another %s", manifestName, leasesName)
	}
	if err := decodeJSON(leasesName, text, &a.leases); err != nil {
		return err
	}
	if err := a.leases.check(); err != nil {
		return damaged("%s: %w", leasesName, err)
	}
	return nil
}

// manifestText is the manifest, which is packed in archives of 1.2. The CRC-32 that has
// been checked is that of what is packed.
func (a *Reader) manifestText() ([]byte, error) {
	last := len(a.zip.files) - 1
	content, err := a.zip.read(last, new([]byte))
	if err != nil {
		return nil, err
	}
	packed := slices.Contains(a.header.Features, packedManifest)
	if name := a.zip.files[last].name; packed != (name == packedManifestName) {
		return nil, damaged("%s is there, and the features are %.200q", name, a.header.Features)
	}
	if !packed {
		return content, nil
	}
	text, err := a.unpacker.unpackWhole(content, maxJSON)
	if err != nil {
		return nil, damaged("%s: %w", packedManifestName, err)
	}
	return text, nil
}

// matchSegments holds the manifest's segments against the files that are there.
func (a *Reader) matchSegments() error {
	files := a.zip.files[filesBefore : len(a.zip.files)-filesAfter]
	if len(files) != len(a.manifest.Segments) {
		return fmt.Errorf("it tells of %d segments, there are %d", len(a.manifest.Segments), len(files))
	}
	for i, s := range a.manifest.Segments {
		if s.Size != int64(files[i].size) || s.CompressedSize != int64(files[i].packed) {
			return fmt.Errorf("%s: it tells of %d bytes, %d packed; there are %d, %d packed",
				s.Name, s.Size, s.CompressedSize, files[i].size, files[i].packed)
		}
	}
	return nil
}

// Header is the archive's header. The caller must not change it.
func (a *Reader) Header() Header { return a.header }

// Manifest is the archive's manifest. The caller must not change it.
func (a *Reader) Manifest() Manifest { return a.manifest }

// Open implements [etcdwalk.Source]. An archive holds one moment.
func (a *Reader) Open(_ context.Context, at etcdwalk.Moment, _ etcdwalk.Ranges) (etcdwalk.View, error) {
	if holds := a.Info().Revision; at != etcdwalk.Newest && int64(at) != holds {
		return nil, fmt.Errorf("open revision %d: the archive holds revision %d%.0w", at, holds, fs.ErrNotExist)
	}
	return a, nil
}

// Info implements [etcdwalk.View].
func (a *Reader) Info() etcdwalk.Info {
	info := a.header.Sources[0]
	info.Taken = a.leases.TakenAt
	return info
}

// Count implements [etcdwalk.View]. It is known where ranges hold segments as a
// whole.
func (a *Reader) Count(_ context.Context, sel etcdwalk.Selection) (int64, error) {
	var sum int64
	for _, s := range a.manifest.Segments {
		if !meets(sel.Ranges, s) {
			continue
		}
		segment := etcdwalk.Ranges{{Start: s.FirstKey, End: etcdwalk.After(s.LastKey)}}
		if len(segment.Subtract(sel.Ranges)) > 0 {
			return -1, nil
		}
		sum += s.Keys
	}
	return sum, nil
}

// Leases implements [etcdwalk.View]: what was known when the archive was made.
func (a *Reader) Leases(ctx context.Context, ids []int64) ([]etcdwalk.Lease, error) {
	leases := make([]etcdwalk.Lease, len(ids))
	for i, id := range ids {
		leases[i], _ = a.leases.find(id)
	}
	return leases, ctx.Err()
}

// Walk implements [etcdwalk.View]. It reads only the segments that the
// selection's ranges meet, and checks each before it yields from it. Entries
// come with their Record.
func (a *Reader) Walk(ctx context.Context, sel etcdwalk.Selection) iter.Seq2[etcdwalk.Entry, error] {
	return func(yield func(etcdwalk.Entry, error) bool) {
		for s, err := range a.segments(ctx, func(s Segment) bool { return meets(sel.Ranges, s) }) {
			if err != nil {
				yield(etcdwalk.Entry{}, err)
				return
			}
			for e, err := range records(ctx, s.raw) {
				if err == nil && !(sel.Ranges.Contains(e.Key) && sel.Takes(e)) {
					continue
				}
				if !yield(e, err) || err != nil {
					return
				}
			}
		}
	}
}

// FirstKey tells the first key in the ranges, if the manifest does: where the first
// segment that may hold it begins with it.
func (a *Reader) FirstKey(ranges etcdwalk.Ranges) []byte {
	for _, s := range a.manifest.Segments {
		if !meets(ranges, s) {
			continue
		}
		if ranges.Contains(s.FirstKey) {
			return s.FirstKey
		}
		return nil // it may be further on in the segment
	}
	return nil
}

// meets tells whether a segment's keys can lie in the ranges.
func meets(ranges etcdwalk.Ranges, s Segment) bool {
	i := sort.Search(len(ranges), func(i int) bool {
		return ranges[i].End == nil || bytes.Compare(ranges[i].End, s.FirstKey) > 0
	})
	return i < len(ranges) && bytes.Compare(ranges[i].Start, s.LastKey) <= 0
}

// records yields the records of a segment that was checked. An error is the
// last thing it yields.
func records(ctx context.Context, raw []byte) iter.Seq2[etcdwalk.Entry, error] {
	return func(yield func(etcdwalk.Entry, error) bool) {
		for len(raw) > 0 {
			e, rest, err := nextRecord(raw)
			if err == nil {
				err = ctx.Err()
			}
			if !yield(e, err) || err != nil {
				return
			}
			raw = rest
		}
	}
}
