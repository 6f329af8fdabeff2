package archive

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// plain24K is a plain archive of about 24 KiB that does not compress.
func plain24K(t testing.TB) []byte {
	random := rand.NewChaCha8([32]byte{1})
	var entries []etcdwalk.Entry
	for i := range 10 {
		value := make([]byte, 2000)
		random.Read(value)
		entries = append(entries, etcdwalk.Entry{
			Key: fmt.Appendf(nil, "/registry/%s/shop/name-%d", []string{"configmaps", "events"}[i/5], i), Value: value,
			CreateRevision: int64(i + 1), ModRevision: int64(2*i + 1), Version: 1, Lease: int64(i / 5 * 0x1ea5e),
		})
	}
	data := build(t, entries...)
	if len(data) < 22<<10 || len(data) > 26<<10 {
		t.Fatalf("the archive has %d bytes, want about 24 KiB", len(data))
	}
	return data
}

// each runs f for 0 to n-1 on all cores, each core with a copy of data.
func each(data []byte, n int, f func(data []byte, i int)) {
	var wait sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wait.Go(func() {
			own := bytes.Clone(data)
			for i := w; i < n; i += workers {
				f(own, i)
			}
		})
	}
	wait.Wait()
}

func wantDamaged(t *testing.T, err error, what string) {
	t.Helper()
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("%s: got error %v, want %v", what, err, ErrDamaged)
	}
}

func TestEveryFlippedByteIsRefused(t *testing.T) {
	data := plain24K(t)
	each(data, len(data), func(data []byte, i int) {
		data[i] ^= 1 << (i % 8)
		wantDamaged(t, readWhole(data), fmt.Sprintf("bit %d of byte %d flipped", i%8, i))
		data[i] ^= 1 << (i % 8)
	})
	if err := readWhole(data); err != nil {
		t.Errorf("without damage: %v", err)
	}
}

// flipBits flips each bit of data from byte start up to byte end, in turn.
func flipBits(t *testing.T, data []byte, start, end int) {
	t.Helper()
	each(data, 8*(end-start), func(data []byte, i int) {
		at, bit := start+i/8, i%8
		data[at] ^= 1 << bit
		wantDamaged(t, readWhole(data), fmt.Sprintf("bit %d of byte %d flipped", bit, at))
		data[at] ^= 1 << bit
	})
}

// Some bits of a zstd frame mean nothing, others only what they meant before.
func TestEveryFlippedBitOfAFrameIsRefused(t *testing.T) {
	data := build(t, small()...)
	r := mustOpen(t, data)
	for i, s := range r.Manifest().Segments {
		f := r.zip.files[filesBefore+i]
		flipBits(t, data, int(f.end()-s.CompressedSize), int(f.end()))
	}
}

func TestEveryFlippedBitIsRefused(t *testing.T) {
	if os.Getenv("KUBEFERRY_LONG") == "" {
		t.Skip("long: run make test-long")
	}
	for name, data := range map[string][]byte{"that does not compress": plain24K(t), "that does": build(t, goldenEntries()...)} {
		t.Run("in an archive "+name, func(t *testing.T) { flipBits(t, data, 0, len(data)) })
	}
}

func TestEveryCutIsRefused(t *testing.T) {
	data := plain24K(t)
	each(data, len(data), func(data []byte, n int) {
		err := readWhole(data[:n])
		wantDamaged(t, err, fmt.Sprintf("cut to %d bytes", n))
		if n >= localSize+len(readmeName) && err != nil && !strings.Contains(err.Error(), fmt.Sprintf("truncated: there are %d bytes", n)) &&
			!strings.Contains(err.Error(), "missing") {
			t.Errorf("cut to %d bytes: the error %q does not say so", n, err)
		}
	})
}

func TestBytesAroundAnArchiveAreRefused(t *testing.T) {
	data := plain24K(t)
	for _, test := range []struct {
		name string
		data []byte
		says string
	}{
		{"a byte appended", append(bytes.Clone(data), 0), "1 bytes follow its end"},
		{"a page appended", append(bytes.Clone(data), make([]byte, 4096)...), "4096 bytes follow its end"},
		{"a byte in front", append([]byte{0}, data...), "unknown kind"},
		{"a shell stub in front", append([]byte("#!/bin/sh\n"), data...), "unknown kind"},
		{"two joined", append(bytes.Clone(data), data...), "does not reach"},
		{"two halves", append(bytes.Clone(data[:len(data)/2]), data...), "does not reach"},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantDamage(t, test.data, test.says)
		})
	}
}

// wantDamage wants that data is refused, and why.
func wantDamage(t *testing.T, data []byte, says string) {
	t.Helper()
	err := readWhole(data)
	wantDamaged(t, err, "reading")
	if err != nil && !strings.Contains(err.Error(), says) {
		t.Errorf("got error %q, want it to say %q", err, says)
	}
}

func TestForeignFilesAreNamed(t *testing.T) {
	database := make([]byte, 8192)
	copy(database[16:], "\xed\xda\x0c\xed\x02\x00\x00\x00")
	tar := make([]byte, 1024)
	copy(tar, "registry/pods")
	copy(tar[257:], "ustar\x0000")
	other := rawZip{files: []rawFile{stored("registry/pods/a", "{}")}}
	for _, test := range []struct {
		name string
		data []byte
		says string
	}{
		{"empty", nil, "an empty file"},
		{"one byte", []byte("x"), "a file of an unknown kind"},
		{"one byte of a ZIP", []byte("P"), "truncated: there are 1 bytes"},
		{"noise", bytes.Repeat([]byte{0xc3, 0x17}, 3000), "a file of an unknown kind"},
		{"a web page", []byte("\n<!DOCTYPE html><html><body>403 Forbidden</body></html>"), "an HTML page"},
		{"a web page without a type", []byte("<HTML><h1>it works</h1>"), "an HTML page"},
		{"an S3 error", []byte(`<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>`), "an XML document"},
		{"a receipt", []byte(`{"archive_id":"00"}`), "a JSON document"},
		{"a restic key", []byte(`{"created":"2026","hostname":"h","kdf":"scrypt","N":32768}`), "restic"},
		{"an etcd database", database, "an etcd database file"},
		{"still encrypted", []byte("age-encryption.org/v1\n-> X25519 abc\n"), "not decrypted"},
		{"still encrypted, armored", []byte("-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n"), "not decrypted"},
		{"a tar", tar, "a tar file"},
		{"a gzip", []byte("\x1f\x8b\x08\x00abc"), "a gzip file"},
		{"a zstd", []byte("\x28\xb5\x2f\xfdabc"), "a zstd file"},
		{"another ZIP", other.bytes(), "some other ZIP file"},
		{"a ZIP without files", rawZip{}.bytes(), "an empty ZIP file"},
	} {
		t.Run(test.name, func(t *testing.T) { wantDamage(t, test.data, test.says) })
	}
}

func TestAnErrorOfTheMediumIsNotDamage(t *testing.T) {
	data := build(t, small()...)
	broken := errors.New("broken cable")
	fired := 0
	for n := 0; ; n++ {
		r := &failingReaderAt{Reader: bytes.NewReader(data), left: n, err: broken}
		a, err := Open(r, int64(len(data)))
		if err == nil {
			_, err = a.Verify(t.Context(), nil, nil)
		}
		if err == nil {
			break
		}
		fired++
		if !errors.Is(err, broken) || errors.Is(err, ErrDamaged) {
			t.Errorf("read %d failing: got error %v, want %v", n, err, broken)
		}
	}
	if fired < 10 {
		t.Errorf("%d faults fired, want one for each read", fired)
	}
}

// A failingReaderAt fails once left reads have gone well.
type failingReaderAt struct {
	*bytes.Reader
	left int
	err  error
}

func (r *failingReaderAt) ReadAt(p []byte, offset int64) (int, error) {
	if r.left--; r.left < 0 {
		return 0, r.err
	}
	return r.Reader.ReadAt(p, offset)
}

func TestAFileThatShrinksIsDamage(t *testing.T) {
	data := build(t, small()...)
	if _, err := Open(bytes.NewReader(data[:len(data)-1]), int64(len(data))); !errors.Is(err, ErrDamaged) {
		t.Errorf("got error %v, want %v", err, ErrDamaged)
	}
}

// A swapped reads from another archive once it is told to.
type swapped struct{ now, later []byte }

func (s *swapped) ReadAt(p []byte, offset int64) (int, error) {
	return bytes.NewReader(s.now).ReadAt(p, offset)
}

func TestAnArchiveThatChangesIsRefused(t *testing.T) {
	first := build(t, small()...)
	second := build(t, small()...)  // another nonce, hence another manifest
	for len(first) != len(second) { // as it is packed, of a few lengths
		second = build(t, small()...)
	}
	for _, test := range []struct {
		name string
		at   func(r *Reader) int64 // how many bytes were read when it changes
	}{
		{"before its first byte is verified", func(*Reader) int64 { return 0 }},
		{"when all but its directory is verified", func(r *Reader) int64 { return int64(r.zip.end.offset) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &swapped{now: first, later: second}
			r, err := Open(s, int64(len(first)))
			if err != nil {
				t.Fatal(err)
			}
			change := func(read int64) {
				if read == test.at(r) {
					s.now = s.later
				}
			}
			change(0)
			_, err = r.Verify(t.Context(), nil, change)
			wantDamaged(t, err, "verifying")
			if &s.now[0] != &second[0] {
				t.Error("the archive was never changed")
			}
		})
	}
}
