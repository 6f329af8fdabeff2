package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/kubeferry/kubeferry/etcdwalk"
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
		{"a wrong CRC on both sides", both(lastFile, func(f *rawFile) { f.crc++ }), "manifest.json has the CRC-32"},
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

func TestHostileFramesAreRefused(t *testing.T) { // A16
	raw := rawSegment(etcdwalk.Entry{Key: []byte("k"), Value: bytes.Repeat([]byte("value"), 100)})
	n := uint64(len(raw))
	sound := block(true, 0, len(raw), raw...)
	frame := func(f zstdFrame, after ...byte) func(c *crafted) {
		return func(c *crafted) { c.segments[0], c.frames[0] = raw, append(f.bytes(), after...) }
	}
	// zeros is a segment of n zero bytes, made of runs.
	zeros := func(n int) func(c *crafted) {
		return func(c *crafted) {
			f := zstdFrame{window: 10 << 3, size: uint64(n)}
			for left := n; left > 0; left -= maxBlock {
				f.blocks = append(f.blocks, block(left <= maxBlock, 1, min(left, maxBlock), 0)...)
			}
			c.segments[0] = make([]byte, n)
			f.checksum = binary.LittleEndian.AppendUint32(nil, uint32(xxhash.Sum64(c.segments[0])))
			c.frames[0] = f.bytes()
		}
	}
	claims := func(size int) func(c *crafted) {
		return func(c *crafted) {
			c.segments[0], c.frames[0] = raw, zstdFrame{window: 10 << 3, size: uint64(size), blocks: sound}.bytes()
			c.inManifest = func(m *Manifest) { m.Segments[0].Size = int64(size) }
			c.inZip = func(z *rawZip) { z.files[firstSegment].size = uint32(size) }
		}
	}
	refuse(t, []craftedCase{
		{"a window of 2 GiB", frame(zstdFrame{window: 21 << 3, size: n, blocks: sound}), "window of 2147483648 bytes"},
		{"a window of 9 MiB", frame(zstdFrame{window: 13<<3 | 1, size: n, blocks: sound}), "window of 9437184 bytes"},
		{"a dictionary", frame(zstdFrame{window: 80, size: n, dict: true, blocks: sound}), "dictionary"},
		{"no checksum", frame(zstdFrame{window: 80, size: n, noSum: true, blocks: sound}), "no checksum"},
		{"a wrong checksum", frame(zstdFrame{window: 80, size: n, blocks: sound}), "zstd"},
		{"no size", frame(zstdFrame{window: 80, noSize: true, blocks: sound}), "not of the"},
		{"a false size", frame(zstdFrame{window: 80, size: n + 1, blocks: sound}), "not of the"},
		{"a size of 2^63", frame(zstdFrame{window: 80, size: 1 << 63, blocks: sound}), "not of the"},
		{"a skippable frame", func(c *crafted) { c.frames[0] = []byte("\x50\x2a\x4d\x18\x04\x00\x00\x00abcd") }, "skippable"},
		{"a skippable frame behind", frame(zstdFrame{window: 80, size: n, blocks: sound}, []byte("\x50\x2a\x4d\x18\x04\x00\x00\x00abcd")...), "16 bytes behind the last block"},
		{"two frames", frame(zstdFrame{window: 80, size: n, blocks: sound}, zstdFrame{window: 80, size: n, blocks: sound}.bytes()...), "behind the last block"},
		{"no frame", func(c *crafted) { c.frames[0] = []byte{} }, "zstd frame"},
		{"noise", func(c *crafted) { c.frames[0] = []byte("no zstd at all") }, "zstd frame"},
		{"no blocks", frame(zstdFrame{window: 80, size: n}), "zstd: "},
		{"a block that is cut", frame(zstdFrame{window: 80, size: n, blocks: block(true, 0, 100, 'x')}), "the frame is cut"},
		{"a block of the reserved kind", frame(zstdFrame{window: 80, size: n, blocks: block(true, 3, 1, 'x')}), "a block that the format does not know"},
		{"a block that is too large", frame(zstdFrame{window: 80, size: n, blocks: block(true, 1, maxBlock+1, 'x')}), "a block that the format does not know"},
		{"an empty block before the last", frame(zstdFrame{window: 80, size: n, blocks: append(block(false, 0, 0), sound...)}), "a block that the format does not know"},
		{"endless empty blocks", frame(zstdFrame{window: 80, size: n, blocks: append(bytes.Repeat(block(false, 0, 0), 100_000), sound...)}), "packed"},
		{"a claim of 256 MiB", claims(maxSegment), "cannot hold"},
		{"a claim of 1 GiB", claims(1 << 30), "the format allows"},
		{"1:30,000", zeros(8 << 20), "tag 0x0"},
	}, 24<<20)
}

func TestMisplacedFilesAreRefused(t *testing.T) { // M01
	refuse(t, []craftedCase{
		{"no manifest", inZip(func(z *rawZip) { z.files = z.files[:lastFile] }), ""},
		{"the manifest not last", inZip(func(z *rawZip) { z.files[lastFile-1], z.files[lastFile] = z.files[lastFile], z.files[lastFile-1] }), "leases.json"},
		{"two manifests", inZip(func(z *rawZip) { z.files = append(z.files, z.files[lastFile]) }), "data/000004.pb"},
		{"no header", inZip(func(z *rawZip) { z.files = append(z.files[:1:1], z.files[2:]...) }), "header.json"},
		{"the header not second", inZip(func(z *rawZip) { z.files[1], z.files[2] = z.files[2], z.files[1] }), "header.json"},
		{"no leases", inZip(func(z *rawZip) { z.files = append(z.files[:6:6], z.files[7:]...) }), "leases.json"},
		{"nothing but a manifest", inZip(func(z *rawZip) { z.files = z.files[lastFile:] }), "1 files"},
		{"a manifest nested too deep", func(c *crafted) {
			c.manifestText = func(text string) string {
				return strings.Replace(text, "{", `{"x":`+strings.Repeat("[", 40)+strings.Repeat("]", 40)+",", 1)
			}
		}, "nested deeper"},
		{"a manifest that is empty", func(c *crafted) { c.manifestText = func(string) string { return "" } }, "manifest.json: not JSON"},
		{"a manifest that is null", func(c *crafted) { c.manifestText = func(string) string { return "null" } }, "manifest.json"},
		{"a manifest without anything", func(c *crafted) { c.manifestText = func(string) string { return "{}" } }, "manifest.json"},
	}, 8<<20)
}

// replaced replaces the first old in the manifest's text.
func replaced(t *testing.T, old, with string) func(c *crafted) {
	return func(c *crafted) {
		c.manifestText = func(text string) string {
			if !strings.Contains(text, old) {
				t.Errorf("the manifest does not hold %q: %s", old, text)
			}
			return strings.Replace(text, old, with, 1)
		}
	}
}

func TestJSONWithASecondMeaningIsRefused(t *testing.T) { // M02, M10
	refuse(t, []craftedCase{
		{"a member twice", replaced(t, `"totals":`, `"totals":{"keys":0,"bytes":0},"totals":`), `"totals": given twice`},
		{"a member in another case", replaced(t, `"totals":`, `"Totals":`), `"Totals": written otherwise`},
		{"NaN", replaced(t, `"restarts":1`, `"restarts":NaN`), "not JSON"},
		{"1e400", replaced(t, `"restarts":1`, `"restarts":1e400`), `"outcome.restarts"`},
		{"negative keys", replaced(t, `"keys":3`, `"keys":-3`), "-3 keys"},
		{"too many keys for 64 bits", replaced(t, `"keys":3`, `"keys":9223372036854775808`), `"segments[0].keys"`},
		{"keys as text", replaced(t, `"keys":3`, `"keys":"3"`), `"segments[0].keys"`},
		{"not UTF-8", replaced(t, `"kind":"configmaps"`, "\"kind\":\"config\xffmaps\""), "not UTF-8"},
		{"a byte order mark", replaced(t, `{`, "\ufeff{"), "byte order mark"},
		{"trailing data", func(c *crafted) { c.manifestText = func(text string) string { return text + "{}" } }, "not JSON"},
		{"a header with a member twice", func(c *crafted) { c.header = strings.Replace(c.header, `"cluster":`, `"cluster": "x", "cluster":`, 1) }, `"cluster": given twice`},
		{"leases with a member twice", func(c *crafted) { c.leases = strings.Replace(c.leases, `"id":`, `"id":1,"id":`, 1) }, `"leases[0].id": given twice`},
		{"a huge count of keys", func(c *crafted) { c.inManifest = func(m *Manifest) { m.Segments[0].Keys = math.MaxInt64 } }, "9223372036854775807 keys"},
		{"huge totals", func(c *crafted) { c.inManifest = func(m *Manifest) { m.Totals.Keys = math.MaxInt64 } }, "the kinds have"},
		{"two million empty segments", func(c *crafted) {
			c.manifestText = func(string) string { return `{"segments":[` + strings.Repeat("{},", 2_000_000) + `{}]}` }
		}, "far more memory"},
	}, 96<<20)
}

func TestManifestsThatDoNotFitAreRefused(t *testing.T) { // M03, R07
	first := func(f func(s *Segment)) func(c *crafted) {
		return func(c *crafted) { c.inManifest = func(m *Manifest) { f(&m.Segments[0]) } }
	}
	manifest := func(f func(m *Manifest)) func(c *crafted) { return func(c *crafted) { c.inManifest = f } }
	e := small()
	segment := func(entries ...etcdwalk.Entry) func(c *crafted) {
		return func(c *crafted) { c.segments[0] = rawSegment(entries...) }
	}
	// bytesOf are bytes behind two sound records.
	bytesOf := func(raw ...byte) func(c *crafted) {
		return func(c *crafted) { c.segments[0] = append(rawSegment(e[0], e[1]), raw...) }
	}
	changed := e[1]
	changed.Value = append([]byte("longer"), changed.Value...)
	refuse(t, []craftedCase{
		{"a segment less", manifest(func(m *Manifest) { m.Segments, m.Totals, m.Kinds = nil, Totals{}, nil }), "0 segments, there are 3"},
		{"segments out of order", manifest(func(m *Manifest) { m.Segments[0], m.Segments[1] = m.Segments[1], m.Segments[0] }), "in the place of"},
		{"another name", first(func(s *Segment) { s.Name = "data/1.pb" }), "in the place of"},
		{"another source", first(func(s *Segment) { s.Source = 1 }), "source 1"},
		{"another digest", first(func(s *Segment) { s.SHA256 = strings.Repeat("0", 64) }), "its SHA-256 is"},
		{"no digest", first(func(s *Segment) { s.SHA256 = "" }), "SHA-256 is missing"},
		{"a digest in capitals", first(func(s *Segment) { s.SHA256 = strings.ToUpper(s.SHA256) }), "SHA-256 is missing or misspelt"},
		{"another size", first(func(s *Segment) { s.Size++ }), "it tells of"},
		{"another packed size", first(func(s *Segment) { s.CompressedSize++ }), "it tells of"},
		{"a kind renamed in the segment", first(func(s *Segment) { s.Kind = "secrets" }), "do not have the keys"},
		{"another first key", first(func(s *Segment) { s.FirstKey = []byte("/a") }), "its first key is"},
		{"another last key", first(func(s *Segment) { s.LastKey = append(s.LastKey, 'x') }), "its last key is"},
		{"keys that overlap the next segment", first(func(s *Segment) { s.LastKey = []byte("/registry/events/shop/name-3") }), "it begins with key"},
		{"no first key", first(func(s *Segment) { s.FirstKey = nil }), "keys from"},
		{"first and last key swapped", first(func(s *Segment) { s.FirstKey, s.LastKey = s.LastKey, s.FirstKey }), "keys from"},
		{"one key with two ends", first(func(s *Segment) { s.Keys = 1 }), "1 keys from"},
		{"a key counted that is not there", manifest(func(m *Manifest) {
			m.Segments[0].Keys++
			m.Kinds[1].Keys++
			m.Totals.Keys++
		}), "it holds 3 keys instead of 4"},
		{"bytes counted that are not there", manifest(func(m *Manifest) { m.Kinds[1].Bytes++; m.Totals.Bytes++ }), `of kind "configmaps" there are`},
		{"kinds with more than the whole", manifest(func(m *Manifest) { m.Kinds[1].Bytes++ }), "do not fit the whole"},
		{"a kind twice", manifest(func(m *Manifest) { m.Kinds = append(m.Kinds, m.Kinds[2]) }), "out of order"},
		{"kinds out of order", manifest(func(m *Manifest) { m.Kinds[0], m.Kinds[1] = m.Kinds[1], m.Kinds[0] }), "out of order"},
		{"a kind missing", manifest(func(m *Manifest) { m.Kinds = m.Kinds[:2] }), "the kinds have"},
		{"the digest of another header", manifest(func(m *Manifest) { m.HeaderSHA256 = strings.Repeat("0", 64) }), "another header.json"},
		{"the digest of other leases", manifest(func(m *Manifest) { m.LeasesSHA256 = strings.Repeat("0", 64) }), "another leases.json"},
		{"no nonce", manifest(func(m *Manifest) { m.Nonce = "" }), "nonce"},
		{"keys unsorted", segment(e[0], e[2], e[1]), "comes after key"},
		{"a key twice", segment(e[0], e[1], e[1]), "comes after key"},
		{"a key twice with two values", segment(e[0], e[1], changed), "comes after key"},
		{"a key of another segment", segment(e[0], e[1], e[4]), "its last key is"},
		{"a key less", segment(e[0], e[2]), "2 keys instead of 3"},
		{"a record without a key", segment(e[0], e[1], etcdwalk.Entry{ModRevision: 1}), "a record without a key"},
		{"a field that is no record", bytesOf(0x18, 1, 0x12, 0, 0), "no record (tag 0x18)"},
		{"a record that is cut", bytesOf(0x12, 60, 10, 1, 'a'), "the length of a record"},
		{"a record that is no message", bytesOf(0x12, 3, 0xff, 0xff, 0xff), "record"},
		{"a length without an end", bytesOf(0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01), "the length of a record"},
		{"a lease that is not told of", func(c *crafted) { c.leases = `{"taken_at":"2026-11-20T09:30:00Z","leases":[]}` }, "lease 1ea5e, which leases.json does not have"},
		{"a lease twice", func(c *crafted) {
			c.leases = strings.Replace(c.leases, `"leases":[`, `"leases":[{"id":125534,"state":"live","granted_ttl":1,"remaining_ttl":1},`, 1)
		}, "stands twice"},
		{"a lease in no known state", func(c *crafted) { c.leases = strings.Replace(c.leases, `"live"`, `"dead"`, 1) }, `the state "dead"`},
		{"leases of no time", func(c *crafted) { c.leases = strings.Replace(c.leases, `"taken_at"`, `"at"`, 1) }, "without the time"},
		{"two sources", func(c *crafted) { c.header = strings.Replace(c.header, `"sources": [`, `"sources": [{},`, 1) }, "2 sources"},
		{"no archive id", func(c *crafted) { c.header = strings.Replace(c.header, "00112233445566778899aabbccddeeff", "", 1) }, "archive id"},
		{"no time of creation", func(c *crafted) { c.header = strings.Replace(c.header, `"created"`, `"made"`, 1) }, "time of creation"},
		{"format 0", func(c *crafted) { c.header = strings.Replace(c.header, `"major": 1`, `"major": 0`, 1) }, "format 0.0"},
		{"no format", func(c *crafted) { c.header = `{}` }, "format 0.0"},
	}, 8<<20)
}

func TestWhatLaterVersionsAddIsIgnored(t *testing.T) { // M04
	c := takeApart(t, build(t, small()...))
	c.header = strings.NewReplacer(`"minor": 0`, `"minor": 7, "patch": 3`, `"cluster":`, `"region": {"name": "x"}, "cluster":`).Replace(c.header)
	c.leases = strings.Replace(c.leases, `"id":`, `"holder":"x","id":`, 1)
	c.manifestText = func(text string) string {
		return strings.NewReplacer(`"outcome":`, `"later":[1,2],"outcome":`, `"source":`, `"level":3,"source":`).Replace(text)
	}
	if err := readWhole(c.bytes(t)); err != nil {
		t.Error(err)
	}
}

func TestArchivesOfLaterVersionsAreRefusedAsSuch(t *testing.T) { // A18, M04
	header := func(old, with string) func(c *crafted) {
		return func(c *crafted) { c.header = strings.Replace(c.header, old, with, 1) }
	}
	for _, test := range []craftedCase{
		{"another major version", header(`"major": 1`, `"major": 2`), `format 2.0, written by kubeferry "0.1.0"`},
		{"a required feature", header(`"features": []`, `"features": ["deltas"]`), `["deltas"]`},
		{"another kind", header(`"kind": "full"`, `"kind": "increment"`), `of the kind "increment"`},
		{"another major version with other files", func(c *crafted) {
			c.header = strings.Replace(c.header, `"major": 1`, `"major": 3`, 1)
			c.inZip = func(z *rawZip) { z.files = append(z.files, stored("sig/1", "x")) }
		}, "format 3.0"},
		{"another major version with other members", func(c *crafted) {
			c.header = `{"format":{"major":2,"minor":1},"tool_version":"9.9","sources":"none"}`
		}, `format 2.1, written by kubeferry "9.9"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := takeApart(t, build(t, small()...))
			test.craft(c)
			_, err := openBytes(c.bytes(t))
			if !errors.Is(err, ErrTooNew) || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got error %v, want %v that says %q", err, ErrTooNew, test.says)
			}
		})
	}
}
