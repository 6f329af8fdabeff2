package archive

import (
	"bytes"
	"encoding/binary"
	"math"
	"runtime"
	"strings"
	"testing"
)

// The rows of FAULTS.md 4.4 and 4.5 for bytes that somebody made up. Each case
// is a sound archive with one thing wrong.

func TestACraftedArchiveIsReadable(t *testing.T) {
	c := takeApart(t, build(t, small()...))
	if err := readWhole(c.bytes(t)); err != nil {
		t.Fatalf("the sound archive that the cases start from: %v", err)
	}
}

type craftedCase struct {
	name  string
	craft func(c *crafted)
	says  string
}

// refuse runs cases: each must be refused for its reason and with little
// memory. All counts what is allocated, whether or not it is freed again.
func refuse(t *testing.T, tests []craftedCase, all uint64) {
	data := build(t, small()...)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := takeApart(t, data)
			test.craft(c)
			hostile := c.bytes(t)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			wantDamage(t, hostile, test.says)
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > all {
				t.Errorf("refusing it took %d bytes of memory, want at most %d", used, all)
			}
		})
	}
}

func inZip(f func(z *rawZip)) func(c *crafted) { return func(c *crafted) { c.inZip = f } }

// local and central change bytes in the headers of file i.
func local(i, offset int, v any) func(c *crafted) {
	return inZip(func(z *rawZip) { z.files[i].local = set(offset, v) })
}

func central(i, offset int, v any) func(c *crafted) {
	return inZip(func(z *rawZip) { z.files[i].central = set(offset, v) })
}

func end(offset int, v any) func(c *crafted) {
	return inZip(func(z *rawZip) { z.end = set(offset, v) })
}

// both changes file i consistently.
func both(i int, f func(f *rawFile)) func(c *crafted) {
	return inZip(func(z *rawZip) { f(&z.files[i]) })
}

const (
	firstSegment  = 3
	secondSegment = 4
	lastFile      = 7 // of eight: three segments
)

func TestZIPsWithASecondMeaningAreRefused(t *testing.T) { // A11
	zip64End := func(e zipEnd) func([]byte) []byte {
		return func([]byte) []byte { return e.appendEnd(nil) }
	}
	refuse(t, []craftedCase{
		{"no end", inZip(func(z *rawZip) { z.end = func([]byte) []byte { return nil } }), "the end is missing"},
		{"an end in its own comment", inZip(func(z *rawZip) {
			z.end = func(e []byte) []byte { return append(set(20, uint16(22))(bytes.Clone(e)), e...) }
		}), "does not reach"},
		{"a comment", inZip(func(z *rawZip) { z.end, z.suffix = set(20, uint16(2)), []byte("hi") }), "2 bytes follow its end"},
		{"a comment that is not there", end(20, uint16(9)), "contradicts itself"},
		{"two ends", inZip(func(z *rawZip) { z.end = func(e []byte) []byte { return append(bytes.Clone(e), e...) } }), "does not reach"},
		{"sentinels without ZIP64", inZip(func(z *rawZip) {
			z.end = func(e []byte) []byte {
				return set(8, [3]uint32{math.MaxUint32, math.MaxUint32, math.MaxUint32})(e)
			}
		}), "files"},
		{"one sentinel", end(16, uint32(math.MaxUint32)), ""},
		{"ZIP64 without need", inZip(func(z *rawZip) {
			z.end = func(e []byte) []byte {
				le := binary.LittleEndian
				sound := zipEnd{files: uint64(le.Uint16(e[10:])), size: uint64(le.Uint32(e[12:])), offset: uint64(le.Uint32(e[16:]))}
				large := sound
				large.files = math.MaxUint16
				b := large.appendEnd(nil)
				le.PutUint64(b[24:], sound.files)
				le.PutUint64(b[32:], sound.files)
				return b
			}
		}), "does not reach"},
		{"a million files", inZip(func(z *rawZip) { z.end = zip64End(zipEnd{files: 1_000_000, size: 61_000_000, offset: 1}) }), "1000000 files"},
		{"more files than 64 bits hold", inZip(func(z *rawZip) { z.end = zip64End(zipEnd{files: math.MaxUint64, size: 1 << 63, offset: 1 << 63}) }), "files"},
		{"sizes that add up beyond 64 bits", inZip(func(z *rawZip) { z.end = zip64End(zipEnd{files: 100_000, size: 1 << 63, offset: 1 << 63}) }), "points behind"},
		{"a count that is 65,536 too high", inZip(func(z *rawZip) {
			z.end = func(e []byte) []byte {
				le := binary.LittleEndian
				return zipEnd{files: uint64(le.Uint16(e[10:])) + 65_536, size: uint64(le.Uint32(e[12:])), offset: uint64(le.Uint32(e[16:]))}.appendEnd(nil)
			}
		}), "the directory"},
		{"a count that is one too low", inZip(func(z *rawZip) {
			z.end = func(e []byte) []byte { return set(8, [2]uint16{lastFile, lastFile})(e) }
		}), ""},
		{"two counts", end(8, uint16(lastFile)), "contradicts itself"},
		{"another disk", end(4, uint16(1)), "contradicts itself"},
		{"a gap before the end", inZip(func(z *rawZip) { z.gap = []byte("gap") }), "does not reach"},
		{"a gap before the end, which the end covers", inZip(func(z *rawZip) {
			z.gap = []byte("gap")
			z.end = func(e []byte) []byte { return set(12, binary.LittleEndian.Uint32(e[12:])+3)(e) }
		}), "3 bytes between the directory and the end"},
		{"a gap between files", both(firstSegment, func(f *rawFile) { f.gap = []byte("gap") }), "offset of data/000002.pb"},
		{"a gap before the directory", both(lastFile, func(f *rawFile) { f.gap = []byte("gap") }), "3 bytes between the last file and the directory"},
		{"a stub in front, with offsets that fit", inZip(func(z *rawZip) {
			z.prefix = []byte("stub")
			for i := range z.files {
				z.files[i].central = func(h []byte) []byte { return set(42, binary.LittleEndian.Uint32(h[42:])+4)(h) }
			}
			z.end = func(e []byte) []byte { return set(16, binary.LittleEndian.Uint32(e[16:])+4)(e) }
		}), "offset of README.txt"},
		{"a file that the directory leaves out", inZip(func(z *rawZip) {
			z.files = append(z.files, stored(manifestName, "{}"))
			z.hidden = 1
		}), "bytes between the last file and the directory"},
	}, 8<<20)
}

func TestFilesThatShareBytesAreRefused(t *testing.T) { // A12
	refuse(t, []craftedCase{
		{"two files at one place", inZip(func(z *rawZip) {
			z.files[secondSegment].central = func(h []byte) []byte { return set(42, binary.LittleEndian.Uint32(h[42:])-1)(h) }
		}), "offset of data/000002.pb"},
		{"a file that covers the next", both(firstSegment, func(f *rawFile) {
			f.central = set(20, uint32(len(f.packed)+40))
		}), "offset of data/000002.pb"},
		{"a file that covers the directory", central(lastFile, 20, [2]uint32{4000, 4000}), "reaches into the directory"},
		{"one name twice", both(secondSegment, func(f *rawFile) { f.name = segmentName(0) }), "name or extra field of data/000002.pb"},
		{"one name in two cases", both(secondSegment, func(f *rawFile) { f.name = "DATA/000002.pb" }), "name or extra field"},
		{"64 KiB of extra fields", inZip(func(z *rawZip) {
			z.files[firstSegment].central = func(h []byte) []byte { return append(set(30, uint16(0xffff))(h), make([]byte, 0xffff)...) }
		}), "extra length of data/000001.pb"},
		{"extra fields in the local header", inZip(func(z *rawZip) {
			z.files[firstSegment].local = func(h []byte) []byte { return append(set(28, uint16(4))(h), 1, 0, 0, 0) }
		}), "offset of data/000002.pb"},
		{"a comment of a file", inZip(func(z *rawZip) {
			z.files[firstSegment].central = func(h []byte) []byte { return append(set(32, uint16(2))(h), "hi"...) }
		}), "comment length of data/000001.pb"},
	}, 8<<20)
}

func TestHeadersThatDisagreeAreRefused(t *testing.T) { // A13
	tests := []craftedCase{
		{"CRC 0 on both sides", both(firstSegment, func(f *rawFile) { f.crc = 0 }), "CRC-32"}, // zoo_crc0
		{"CRC 0 of a stored file", both(0, func(f *rawFile) { f.crc = 0 }), "README.txt has the CRC-32"},
		{"CRC 0 in the local header", local(1, 14, uint32(0)), "CRC-32 of header.json"},
		{"a wrong CRC on both sides", both(lastFile, func(f *rawFile) { f.crc++ }), "manifest.json.zst has the CRC-32"},
		{"a size of 2^32-1", central(firstSegment, 24, uint32(math.MaxUint32)), "data/000001.pb has 4294967295 bytes"},
		{"a size of 0", both(firstSegment, func(f *rawFile) { f.size = 0 }), "packed"},
		{"a size that is too small", both(firstSegment, func(f *rawFile) { f.size-- }), "packed"},
		{"a size that is too large", both(firstSegment, func(f *rawFile) { f.size++ }), "packed"},
		{"a packed size of 2^32-1", central(firstSegment, 20, uint32(math.MaxUint32)), "packed"},
		{"a stored file with two sizes", both(lastFile, func(f *rawFile) { f.size-- }), "is stored, but"},
		{"a manifest above its limit", central(lastFile, 20, [2]uint32{maxJSON + 1, maxJSON + 1}), "the format allows 67108864"},
		{"a header above its limit", central(1, 20, [2]uint32{maxHeader + 1, maxHeader + 1}), "the format allows 1048576"},
		{"a segment above its limit", central(firstSegment, 24, uint32(maxSegment+1)), "the format allows 268435456"},
		{"an offset of 2^32-1", central(firstSegment, 42, uint32(math.MaxUint32)), "offset"},
		{"a data descriptor", both(firstSegment, func(f *rawFile) {
			f.flags, f.local = 8, set(14, [3]uint32{})
			f.gap = append([]byte("PK\x07\x08"), make([]byte, 12)...)
		}), "flags of data/000001.pb"},
	}
	for i, field := range []string{"signature", "version", "flags", "method", "time", "CRC-32", "packed size", "size", "name length", "extra length", "name"} {
		offset := []int{0, 4, 6, 8, 10, 14, 18, 22, 26, 28, 30}[i]
		tests = append(tests, craftedCase{"another " + field + " in the local header", local(firstSegment, offset, uint8(0x7f)), "local header's " + field + " of data/000001.pb"})
	}
	for i, field := range []string{"signature", "creator", "version", "flags", "method", "time", "extra length", "comment length", "disk", "attributes", "name or extra field"} {
		offset := []int{0, 4, 6, 8, 10, 12, 30, 32, 34, 36, 46}[i]
		tests = append(tests, craftedCase{"another " + field + " in the directory", central(firstSegment, offset, uint8(0x7f)), "directory's " + field + " of data/000001.pb"})
	}
	refuse(t, tests, 8<<20)
}

func TestNamesOfOthersAreRefused(t *testing.T) { // A14
	var tests []craftedCase
	for _, name := range []string{"/etc/passwd", "../000001.pb", "data/../x", `data\000001.pb`, "C:/000001.pb", "data/0000\x0001.pb", "data/00000\n.pb",
		strings.Repeat("n", 0xffff), "NUL", "", "data/", "data/1.pb", "data/000001.PB", "data/000007.pb", "deletes/000001.pb", "files/000001", "sig/1", "readme.txt"} {
		tests = append(tests, craftedCase{"named " + name[:min(len(name), 20)], both(firstSegment, func(f *rawFile) { f.name = name }), "data/000001.pb"})
	}
	for mode, name := range map[uint32]string{0o120777: "a symbolic link", 0o020600: "a device", 0o040700: "a directory", 0o100666: "a file for all"} {
		tests = append(tests, craftedCase{name, central(firstSegment, 38, mode<<16), "attributes of data/000001.pb"})
	}
	refuse(t, tests, 8<<20)
}

func TestOtherMethodsAreRefused(t *testing.T) { // A15
	refuse(t, []craftedCase{
		{"deflate", both(firstSegment, func(f *rawFile) { f.method = 8 }), "of data/000001.pb"},
		{"the withdrawn number of zstd", both(firstSegment, func(f *rawFile) { f.method = 20 }), "of data/000001.pb"},
		{"a stored segment", both(firstSegment, func(f *rawFile) { f.method = 0 }), "of data/000001.pb"},
		{"a packed manifest", both(lastFile, func(f *rawFile) { f.method = 93 }), "of manifest.json"},
		{"encryption", both(firstSegment, func(f *rawFile) { f.flags = 1 }), "flags of data/000001.pb"},
		{"names in UTF-8", both(firstSegment, func(f *rawFile) { f.flags = 0x800 }), "flags of data/000001.pb"},
	}, 8<<20)
}
