package archive

import (
	"bytes"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// tagKvs begins each record in a segment: field 2 of RangeResponse, as bytes.
const tagKvs = 2<<3 | byte(protowire.BytesType)

// A segment is being filled with records, and then packed.
type segment struct {
	class       etcdwalk.Class // of its first key
	raw         []byte
	first, last []byte
	keys        int64

	// What there is of it once it is packed.
	packed []byte
	file   zipFile
	told   Segment // as the manifest has it
}

// takes tells whether a record of that class and size goes into the segment.
func (s *segment) takes(c etcdwalk.Class, size int) bool {
	if s.keys == 0 {
		return true
	}
	same := c.Kind == s.class.Kind && bytes.Equal(c.Range.Start, s.class.Range.Start) && bytes.Equal(c.Range.End, s.class.Range.End)
	return same && len(s.raw)+size <= segmentSize
}

func (s *segment) add(c etcdwalk.Class, e etcdwalk.Entry) {
	if s.keys == 0 {
		s.class, s.first = c, bytes.Clone(e.Key)
		s.raw = fit(s.raw, max(segmentSize, recordSize(e)))
	}
	s.keys++
	s.last = append(s.last[:0], e.Key...)
	s.raw = append(s.raw, tagKvs)
	if e.Record != nil {
		s.raw = protowire.AppendBytes(s.raw, e.Record)
		return
	}
	s.raw = protowire.AppendVarint(s.raw, uint64(etcdwalk.RecordSize(e)))
	s.raw = etcdwalk.AppendRecord(s.raw, e)
}

// pack compresses the segment and describes it, all but its name.
func (s *segment) pack(p *packer) error {
	packed, err := p.pack(s.raw, s.packed[:0])
	if err != nil {
		return err
	}
	s.packed, s.file = packed, describe("", s.raw)
	s.told = Segment{
		Kind: label(s.class.Kind), FirstKey: s.first, LastKey: bytes.Clone(s.last), Keys: s.keys,
		Size: int64(len(s.raw)), CompressedSize: int64(len(packed)), SHA256: hexSHA256(packed),
	}
	return nil
}

// reset empties the segment and keeps its buffers.
func (s *segment) reset() {
	*s = segment{raw: shrink(s.raw), last: s.last[:0], packed: shrink(s.packed)}
}

// shrink empties a buffer, and drops it if one huge record has made it large.
func shrink(b []byte) []byte {
	if cap(b) > 2*segmentSize {
		return nil
	}
	return b[:0]
}

// fit empties a buffer and sees to it that size bytes fit in. A new one has
// some room to spare, for the next segment may be larger.
func fit(b []byte, size int) []byte {
	if b = shrink(b); cap(b) < size {
		return make([]byte, 0, max(size, min(2*size, segmentSize)))
	}
	return b
}

// recordSize is what e takes in a segment, in bytes.
func recordSize(e etcdwalk.Entry) int { return 1 + protowire.SizeBytes(etcdwalk.RecordSize(e)) }

// nextRecord takes the first record off a segment.
func nextRecord(raw []byte) (e etcdwalk.Entry, rest []byte, err error) {
	if raw[0] != tagKvs {
		return e, nil, fmt.Errorf("a field that is no record (tag %#x)", raw[0])
	}
	record, n := protowire.ConsumeBytes(raw[1:])
	if n < 0 {
		return e, nil, fmt.Errorf("the length of a record: %w", protowire.ParseError(n))
	}
	if e, err = etcdwalk.ParseRecord(record); err != nil {
		return e, nil, err
	}
	if len(e.Key) == 0 {
		return e, nil, errors.New("a record without a key")
	}
	return e, raw[1+n:], nil
}

// checkRecords holds an unpacked segment against what the manifest says of it.
func checkRecords(raw []byte, want Segment) (Totals, error) {
	var (
		got  Totals
		last []byte
	)
	for rest := raw; len(rest) > 0; {
		e, next, err := nextRecord(rest)
		if err != nil {
			return got, err
		}
		if got.Keys == 0 && !bytes.Equal(e.Key, want.FirstKey) {
			return got, fmt.Errorf("its first key is %.200q instead of %.200q", e.Key, want.FirstKey)
		}
		if got.Keys > 0 && bytes.Compare(e.Key, last) <= 0 {
			return got, fmt.Errorf("key %.200q comes after key %.200q", e.Key, last)
		}
		got.Keys++
		got.Bytes += e.Size()
		last, rest = e.Key, next
	}
	if got.Keys != want.Keys {
		return got, fmt.Errorf("it holds %d keys instead of %d", got.Keys, want.Keys)
	}
	if !bytes.Equal(last, want.LastKey) {
		return got, fmt.Errorf("its last key is %.200q instead of %.200q", last, want.LastKey)
	}
	return got, nil
}
