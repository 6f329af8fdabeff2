package archive

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// A rawFile is one file of a ZIP, each field as it will be written. The hooks
// have the last word on the headers.
type rawFile struct {
	name           string
	method, flags  uint16
	crc            uint32
	size           uint32
	packed         []byte
	local, central func(header []byte) []byte
	gap            []byte // behind it
}

// A rawZip is a ZIP with everything that can be wrong with it.
type rawZip struct {
	prefix []byte
	files  []rawFile
	hidden int    // how many of the last files the directory leaves out
	gap    []byte // between directory and end
	end    func(end []byte) []byte
	suffix []byte
}

type (
	rawLocal struct {
		Signature                          uint32
		Version, Flags, Method, Time, Date uint16
		CRC, Packed, Size                  uint32
		NameLength, ExtraLength            uint16
	}
	rawCentral struct {
		Signature                                   uint32
		Creator, Version, Flags, Method, Time, Date uint16
		CRC, Packed, Size                           uint32
		NameLength, ExtraLength, CommentLength      uint16
		Disk, Internal                              uint16
		External, Offset                            uint32
	}
	rawEnd struct {
		Signature                uint32
		Disk, StartDisk          uint16
		FilesHere, Files         uint16
		DirectorySize, Directory uint32
		CommentLength            uint16
	}
)

func pack(fields any, tail string) []byte {
	b, err := binary.Append(nil, binary.LittleEndian, fields)
	if err != nil {
		panic(err)
	}
	return append(b, tail...)
}

func hooked(hook func([]byte) []byte, b []byte) []byte {
	if hook == nil {
		return b
	}
	return hook(b)
}

func (z rawZip) bytes() []byte {
	out, directory := bytes.Clone(z.prefix), []byte(nil)
	for i, f := range z.files {
		version := uint16(45)
		if f.method == 93 {
			version = 63
		}
		offset := uint32(len(out) - len(z.prefix))
		local := rawLocal{0x04034b50, version, f.flags, f.method, 0, 0x21, f.crc, uint32(len(f.packed)), f.size, uint16(len(f.name)), 0}
		out = append(out, hooked(f.local, pack(local, f.name))...)
		out = append(append(out, f.packed...), f.gap...)
		if i >= len(z.files)-z.hidden {
			continue
		}
		central := rawCentral{0x02014b50, 0x33f, version, f.flags, f.method, 0, 0x21, f.crc, uint32(len(f.packed)), f.size,
			uint16(len(f.name)), 0, 0, 0, 0, 0o100600 << 16, offset}
		directory = append(directory, hooked(f.central, pack(central, f.name))...)
	}
	n := uint16(len(z.files) - z.hidden)
	end := rawEnd{0x06054b50, 0, 0, n, n, uint32(len(directory)), uint32(len(out) - len(z.prefix)), 0}
	out = append(append(out, directory...), z.gap...)
	return append(append(out, hooked(z.end, pack(end, ""))...), z.suffix...)
}

// set writes v into a header at the offset.
func set(offset int, v any) func([]byte) []byte {
	return func(header []byte) []byte {
		b := pack(v, "")
		copy(header[offset:], b)
		return header
	}
}

func stored(name, content string) rawFile {
	return rawFile{name: name, size: uint32(len(content)), crc: crc32.ChecksumIEEE([]byte(content)), packed: []byte(content)}
}

// crafted is an archive taken apart, to be put together with one thing wrong.
// What depends on another part (sizes, digests) is made to fit before the
// hooks have the last word.
type crafted struct {
	header, leases string
	segments       [][]byte
	frames         map[int][]byte // instead of a segment compressed as usual
	manifest       Manifest
	inManifest     func(m *Manifest)
	manifestText   func(text string) string
	inZip          func(z *rawZip)
}

// takeApart reads an archive with the library alone.
func takeApart(t testing.TB, data []byte) *crafted {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	z.RegisterDecompressor(zstd.ZipMethodWinZip, zstd.ZipDecompressor())
	c := &crafted{frames: make(map[int][]byte)}
	for _, f := range z.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		switch f.Name {
		case headerName:
			c.header = string(content)
		case leasesName:
			c.leases = string(content)
		case packedManifestName:
			if content, err = unzstd(content); err != nil {
				t.Fatal(err)
			}
			fallthrough
		case manifestName:
			if err := json.Unmarshal(content, &c.manifest); err != nil {
				t.Fatal(err)
			}
		case readmeName, protoName:
		default:
			c.segments = append(c.segments, content)
		}
	}
	return c
}

// unzstd unpacks with the library alone.
func unzstd(packed []byte) ([]byte, error) {
	dec, err := zstd.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	defer dec.Close()
	return io.ReadAll(dec)
}

// bytes puts the archive together.
func (c *crafted) bytes(t testing.TB) []byte {
	t.Helper()
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	z := rawZip{files: []rawFile{stored(readmeName, "read me"), stored(headerName, c.header), stored(protoName, "proto")}}
	m := c.manifest
	m.Segments = append([]Segment{}, m.Segments...)
	for i, raw := range c.segments {
		frame, ok := c.frames[i]
		if !ok {
			frame = enc.EncodeAll(raw, nil)
		}
		if len(m.Segments) == i {
			m.Segments = append(m.Segments, Segment{Name: segmentName(i)})
		}
		s := &m.Segments[i]
		s.Size, s.CompressedSize, s.SHA256 = int64(len(raw)), int64(len(frame)), hexSHA256(frame)
		z.files = append(z.files, rawFile{name: segmentName(i), method: 93, crc: crc32.ChecksumIEEE(raw), size: uint32(len(raw)), packed: frame})
	}
	m.HeaderSHA256, m.LeasesSHA256 = hexSHA256([]byte(c.header)), hexSHA256([]byte(c.leases))
	if c.inManifest != nil {
		c.inManifest(&m)
	}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if c.manifestText != nil {
		text = []byte(c.manifestText(string(text)))
	}
	z.files = append(z.files, stored(leasesName, c.leases))
	if strings.Contains(c.header, packedManifest) {
		z.files = append(z.files, stored(packedManifestName, string(enc.EncodeAll(text, nil))))
	} else {
		z.files = append(z.files, stored(manifestName, string(text)))
	}
	if c.inZip != nil {
		c.inZip(&z)
	}
	return z.bytes()
}

// rawSegment is a segment of these entries, in whatever order.
func rawSegment(entries ...etcdwalk.Entry) []byte {
	var s segment
	for _, e := range entries {
		s.add(etcdwalk.Class{}, e)
	}
	return s.raw
}

// A zstdFrame is a frame written by hand.
type zstdFrame struct {
	window   byte   // exponent<<3 | mantissa; 0 and single: no window
	single   bool   // a single segment
	size     uint64 // content size
	noSize   bool
	dict     bool
	noSum    bool
	blocks   []byte
	checksum []byte // empty: four zero bytes
}

func (f zstdFrame) bytes() []byte {
	descriptor := byte(3 << 6)
	if f.noSize {
		descriptor = 0
	}
	if f.single {
		descriptor |= 1 << 5
	}
	if !f.noSum {
		descriptor |= 1 << 2
	}
	if f.dict {
		descriptor |= 1
	}
	b := []byte{0x28, 0xb5, 0x2f, 0xfd, descriptor}
	if !f.single {
		b = append(b, f.window)
	}
	if f.dict {
		b = append(b, 7)
	}
	if !f.noSize {
		b = binary.LittleEndian.AppendUint64(b, f.size)
	}
	b = append(b, f.blocks...)
	if f.noSum {
		return b
	}
	return append(b, append(f.checksum, make([]byte, 4)...)[:4]...)
}

// block is a block of a frame: kind 0 raw, 1 run length, 2 compressed.
func block(last bool, kind, size int, content ...byte) []byte {
	header := size<<3 | kind<<1
	if last {
		header |= 1
	}
	return append([]byte{byte(header), byte(header >> 8), byte(header >> 16)}, content...)
}
