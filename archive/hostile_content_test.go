package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

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
		{"a manifest that is empty", func(c *crafted) { c.manifestText = func(string) string { return strings.Repeat(" ", 300) } }, "manifest.json: not JSON"},
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
		{"a member twice", replaced(t, `"totals":`, `"totals":{"keys":0,"bytes":0},"totals":`), `duplicate object member name "totals"`},
		{"a member in another case", replaced(t, `"totals":`, `"Totals":`), `"/Totals": written otherwise`},
		{"NaN", replaced(t, `"restarts":1`, `"restarts":NaN`), "not JSON"},
		{"1e400", replaced(t, `"restarts":1`, `"restarts":1e400`), `"/outcome/restarts"`},
		{"negative keys", replaced(t, `"keys":3`, `"keys":-3`), "-3 keys"},
		{"too many keys for 64 bits", replaced(t, `"keys":3`, `"keys":9223372036854775808`), `"/segments/0/keys"`},
		{"keys as text", replaced(t, `"keys":3`, `"keys":"3"`), `"/segments/0/keys"`},
		{"not UTF-8", replaced(t, `"kind":"configmaps"`, "\"kind\":\"config\xffmaps\""), "invalid UTF-8"},
		{"a byte order mark", replaced(t, `{`, "\ufeff{"), "invalid character"},
		{"trailing data", func(c *crafted) { c.manifestText = func(text string) string { return text + "{}" } }, "not JSON"},
		{"a header with a member twice", func(c *crafted) { c.header = strings.Replace(c.header, `"cluster":`, `"cluster": "x", "cluster":`, 1) }, `duplicate object member name "cluster"`},
		{"leases with a member twice", func(c *crafted) { c.leases = strings.Replace(c.leases, `"id":`, `"id":1,"id":`, 1) }, `duplicate object member name "id" within "/leases/0"`},
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
	sealed := func(totals ...SealedTotal) func(c *crafted) { return manifest(func(m *Manifest) { m.Sealed = totals }) }
	changed := e[1]
	changed.Value = append([]byte("longer"), changed.Value...)
	refuse(t, []craftedCase{
		{"a segment less", manifest(func(m *Manifest) { m.Segments, m.Totals, m.Kinds = nil, Totals{}, nil }), "0 segments, there are 3"},
		{"segments out of order", manifest(func(m *Manifest) { m.Segments[0], m.Segments[1] = m.Segments[1], m.Segments[0] }), "in the place of"},
		{"another name", first(func(s *Segment) { s.Name = "data/1.pb" }), "in the place of"},
		{"another source", first(func(s *Segment) { s.Source = 1 }), "source 1"},
		{"another digest", first(func(s *Segment) { s.SHA256 = strings.Repeat("0", 64) }), "packed, its SHA-256 is"},
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
		{"more encrypted values than keys", sealed(SealedTotal{"configmaps", "k8s:enc:a:v1:b", 4}), "do not fit the whole"},
		{"more of two keys than there are", sealed(SealedTotal{"configmaps", "k8s:enc:a:v1:b", 2}, SealedTotal{"configmaps", "k8s:enc:a:v1:c", 2}), "do not fit the whole"},
		{"encrypted values of a kind that is not there", sealed(SealedTotal{"pods", "k8s:enc:a:v1:b", 1}), "do not fit the whole"},
		{"fewer than one encrypted value", sealed(SealedTotal{"configmaps", "k8s:enc:a:v1:b", 0}), "do not fit the whole"},
		{"encrypted values twice", sealed(SealedTotal{"configmaps", "k8s:enc:a:v1:b", 1}, SealedTotal{"configmaps", "k8s:enc:a:v1:b", 1}), "are out of order"},
		{"an encoding without an end", sealed(SealedTotal{"configmaps", strings.Repeat("k", 4096), 1}), "are out of order"},
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
		{"format 0", func(c *crafted) { c.header = strings.Replace(c.header, `"major": 1`, `"major": 0`, 1) }, "format 0.2"},
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

func TestPackedManifestsAreHeldAgainstTheFormat(t *testing.T) {
	packed := func(change func(frame []byte) []byte) func(c *crafted) {
		return inZip(func(z *rawZip) {
			f := z.files[lastFile]
			z.files[lastFile] = stored(f.name, string(change(f.packed)))
		})
	}
	frame := func(f zstdFrame) func(c *crafted) { return packed(func([]byte) []byte { return f.bytes() }) }
	refuse(t, []craftedCase{
		{"packed, without the feature", func(c *crafted) {
			c.inZip = func(z *rawZip) { z.files[lastFile] = stored(packedManifestName, "{}") }
			c.header = strings.Replace(c.header, `"packed-manifest"`, ``, 1)
		}, "manifest.json.zst is there, and the features are []"},
		{"the feature, and not packed", inZip(func(z *rawZip) { z.files[lastFile] = stored(manifestName, "{}") }), `manifest.json is there, and the features are ["packed-manifest"]`},
		{"no frame", packed(func([]byte) []byte { return []byte("{}") }), "manifest.json.zst: zstd frame"},
		{"a frame with something behind it", packed(func(frame []byte) []byte { return append(slices.Clone(frame), 0) }), "manifest.json.zst: zstd"},
		{"a frame cut short", packed(func(frame []byte) []byte { return frame[:len(frame)-5] }), "manifest.json.zst: zstd"},
		{"two frames", packed(func(frame []byte) []byte { return append(slices.Clone(frame), frame...) }), "manifest.json.zst: zstd"},
		{"a size that is too large", frame(zstdFrame{window: 10 << 3, size: maxJSON + 1, blocks: []byte{1, 0, 0}}), "67108864 are allowed"},
		{"no size", frame(zstdFrame{window: 10 << 3, noSize: true, blocks: []byte{1, 0, 0}}), "does not say"},
		{"a size that its blocks cannot have", frame(zstdFrame{window: 10 << 3, size: maxJSON, blocks: []byte{1, 0, 0}}), "manifest.json.zst: zstd"},
	}, 8<<20)
}

func TestArchivesOfLaterVersionsAreRefusedAsSuch(t *testing.T) { // A18, M04
	header := func(old, with string) func(c *crafted) {
		return func(c *crafted) { c.header = strings.Replace(c.header, old, with, 1) }
	}
	for _, test := range []craftedCase{
		{"another major version", header(`"major": 1`, `"major": 2`), `format 2.2, written by kubeferry "0.1.0"`},
		{"a required feature", header(`"packed-manifest"`, `"packed-manifest", "deltas"`), `["deltas"]`},
		{"another kind", header(`"kind": "full"`, `"kind": "increment"`), `of the kind "increment"`},
		{"another major version with other files", func(c *crafted) {
			c.header = strings.Replace(c.header, `"major": 1`, `"major": 3`, 1)
			c.inZip = func(z *rawZip) { z.files = append(z.files, stored("sig/1", "x")) }
		}, "format 3.2"},
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
