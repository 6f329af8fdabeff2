package archive

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// within fails the test if f takes longer than a hostile file may.
func within(t *testing.T, f func()) {
	t.Helper()
	start := time.Now()
	if f(); time.Since(start) > 10*time.Second {
		t.Errorf("it took %v", time.Since(start))
	}
}

// wantKnownError wants that whatever is refused is refused as damage or as too
// new: there is no other way for bytes to be wrong.
func wantKnownError(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrTooNew) {
		t.Errorf("got error %v, want %v or %v", err, ErrDamaged, ErrTooNew)
	}
}

// FuzzOpen holds that no bytes panic or take long, and that what we accept
// other readers read alike.
func FuzzOpen(f *testing.F) {
	golden, err := filepath.Glob(filepath.Join(goldenFolder, "*.zip"))
	if err != nil || len(golden) == 0 {
		f.Fatalf("no golden archives to begin with (error %v)", err)
	}
	for _, path := range golden {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	sound := build(f, small()...)
	f.Add(sound)
	f.Add(sound[:len(sound)/2])
	f.Add(build(f))
	f.Add(rawZip{files: []rawFile{stored(readmeName, "x"), stored(headerName, `{"format":{"major":2}}`)}}.bytes())
	f.Add(zipEnd{files: 70_000, size: 1 << 40, offset: 1 << 40}.appendEnd(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		within(t, func() {
			err := readWhole(data)
			if wantKnownError(t, err); err != nil {
				return
			}
			files := readWithLibrary(t, data)
			if want := len(mustOpen(t, data).Manifest().Segments) + filesFixed; len(files) != want {
				t.Errorf("the library reads %d files, we read %d", len(files), want)
			}
		})
	})
}

// FuzzContent puts any content under a sound structure with sound checksums,
// where flipped bytes alone would never get.
func FuzzContent(f *testing.F) {
	sound := takeApart(f, build(f, small()...))
	f.Add([]byte(sound.header), []byte(sound.leases), sound.segments[0], []byte(`"totals":{`), []byte(`"totals":{"x":1,`))
	f.Add([]byte(`{"format":{"major":1},"kind":"full"}`), []byte(`{"leases":null}`), []byte{0x12, 3, 10, 1, 'a'}, []byte(`"keys":3`), []byte(`"keys":1`))
	f.Add([]byte(sound.header), []byte(sound.leases), append(rawSegment(small()[:2]...), 0x12, 0xff, 0xff, 0xff, 0xff, 0x7f), []byte("{"), []byte("["))
	data := build(f, small()...)
	f.Fuzz(func(t *testing.T, header, leases, segment, old, with []byte) {
		c := takeApart(t, data)
		c.header, c.leases, c.segments[0] = string(header), string(leases), segment
		c.manifestText = func(text string) string { return string(bytes.Replace([]byte(text), old, with, 1)) }
		hostile := c.bytes(t)
		within(t, func() { wantKnownError(t, readWhole(hostile)) })
	})
}

// FuzzUnpack holds that a frame never unpacks to another size than declared.
func FuzzUnpack(f *testing.F) {
	p, err := newPacker(1)
	if err != nil {
		f.Fatal(err)
	}
	for _, raw := range [][]byte{{'a'}, bytes.Repeat([]byte("abc"), 1000), make([]byte, 300_000)} {
		f.Add(p.compress(raw, nil), len(raw))
	}
	f.Add(zstdFrame{window: 80, size: 131072, blocks: block(true, 1, maxBlock, 0)}.bytes(), 131072)
	f.Fuzz(func(t *testing.T, packed []byte, size int) {
		if size < 0 || size > 4<<20 {
			t.Skip("the directory allows no such size")
		}
		raw, err := p.unpacker.unpack(packed, size, nil)
		if err == nil && len(raw) != size {
			t.Errorf("unpacked to %d bytes, declared were %d", len(raw), size)
		}
	})
}
