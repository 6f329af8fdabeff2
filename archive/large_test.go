package archive

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"sort"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// A sparseFile keeps small writes and takes large ones for zeros.
type sparseFile struct {
	size  int64
	at    []int64 // offsets of the parts
	parts [][]byte
}

func (f *sparseFile) Write(p []byte) (int, error) {
	if len(p) < 1<<20 {
		f.at, f.parts = append(f.at, f.size), append(f.parts, bytes.Clone(p))
	}
	f.size += int64(len(p))
	return len(p), nil
}

func (f *sparseFile) ReadAt(p []byte, offset int64) (int, error) {
	clear(p)
	n := min(int64(len(p)), f.size-offset)
	first := sort.Search(len(f.at), func(i int) bool { return f.at[i]+int64(len(f.parts[i])) > offset })
	for i := first; i < len(f.at) && f.at[i] < offset+n; i++ {
		from := max(offset, f.at[i])
		copy(p[from-offset:n], f.parts[i][from-f.at[i]:])
	}
	if n < int64(len(p)) {
		return int(n), io.EOF
	}
	return int(n), nil
}

// largeZIP writes n segments of zeros, size bytes each as they are packed.
func largeZIP(t *testing.T, n, size int) (*sparseFile, *zipWriter) {
	t.Helper()
	out := new(sparseFile)
	z := newZipWriter(out)
	zeros := make([]byte, size)
	for i := range n + filesFixed {
		content, f := []byte("text"), describe(fileName(i, n+filesFixed), []byte("text"))
		if method(f.name) == methodZstd {
			content, f = zeros, zipFile{name: f.name, size: uint32(size), crc: uint32(i)}
		}
		if err := z.add(f, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.close(); err != nil {
		t.Fatal(err)
	}
	return out, z
}

func TestZIP64IsWrittenAndRead(t *testing.T) { // A17
	for _, test := range []struct {
		name    string
		n, size int
	}{
		{"one file below 65,535", math.MaxUint16 - filesFixed - 1, 16},
		{"65,535 files", math.MaxUint16 - filesFixed, 16},
		{"70,000 files", 70_000, 16},
		{"beyond 4 GiB", 20, 240 << 20},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, written := largeZIP(t, test.n, test.size)
			z, err := openZip(out, out.size)
			if err != nil {
				t.Fatal(err)
			}
			last := len(z.files) - 1
			if len(z.files) != len(written.files) || z.files[last] != written.files[last] {
				t.Errorf("read %d files, the last %+v, want %d and %+v", len(z.files), z.files[last], len(written.files), written.files[last])
			}
			if content, err := z.read(last, new([]byte)); err != nil || string(content) != "text" {
				t.Errorf("reading the last file: %q and error %v, want %q", content, err, "text")
			}
			library, err := zip.NewReader(out, out.size)
			if err != nil || len(library.File) != len(z.files) {
				t.Fatalf("the library reads it with error %v", err)
			}
			if f := library.File[last]; f.Name != manifestName || f.CompressedSize64 != 4 || f.CRC32 != z.files[last].crc {
				t.Errorf("the library reads the last file as %+v", f.FileHeader)
			}
		})
	}
}

func TestManySegmentsMakeAnArchive(t *testing.T) { // A17
	n := 2000
	if os.Getenv("KUBEFERRY_LONG") != "" {
		n = 70_000
	}
	var out bytes.Buffer
	w, err := NewWriter(&out, testHeader(), func(key []byte) etcdwalk.Class {
		return etcdwalk.Class{Kind: "one", Range: etcdwalk.Key(key)}
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := w.Put(t.Context(), etcdwalk.Entry{Key: fmt.Appendf(nil, "/%08d", i), Value: []byte("v")}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(Ending{}); err != nil {
		t.Fatal(err)
	}
	r := mustOpen(t, out.Bytes())
	if stats, err := r.Verify(t.Context(), nil, nil); err != nil || stats.Keys != int64(n) || len(r.Manifest().Segments) != n {
		t.Errorf("verified %d keys in %d segments with error %v, want %d of each", stats.Keys, len(r.Manifest().Segments), err, n)
	}
}

// liveHeap is what the program holds on to, in bytes.
func liveHeap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

func TestMemoryStaysFlat(t *testing.T) {
	const limit = 24 << 20
	var archive bytes.Buffer
	archive.Grow(64 << 20)
	base := liveHeap()
	w, err := NewWriter(&archive, testHeader(), testClass)
	if err != nil {
		t.Fatal(err)
	}
	value := bytes.Repeat([]byte("value "), 300)
	for i := range 64_000 {
		if i%4096 == 100 {
			value = append(value[:1800], byte(i))
			if used := int64(liveHeap()) - int64(base); used > limit {
				t.Fatalf("writing entry %d takes %d bytes of memory, want at most %d", i, used, limit)
			}
		}
		e := etcdwalk.Entry{Key: fmt.Appendf(nil, "/registry/pods/shop/%08d", i), Value: value, ModRevision: 1}
		if err := w.Put(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(testEnding(w)); err != nil {
		t.Fatal(err)
	}
	r, n := mustOpen(t, archive.Bytes()), 0
	_, err = r.Verify(t.Context(), func(etcdwalk.Entry) error {
		if n++; n%8192 != 100 {
			return nil
		}
		if used := int64(liveHeap()) - int64(base); used > limit {
			t.Errorf("reading entry %d takes %d bytes of memory, want at most %d", n, used, limit)
		}
		return nil
	}, nil)
	if err != nil || n != 64_000 {
		t.Errorf("verified %d entries with error %v, want 64000", n, err)
	}
}
