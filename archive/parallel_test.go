package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// ownKind puts each key into a segment of its own.
func ownKind(key []byte) etcdwalk.Class {
	return etcdwalk.Class{Kind: "own", Range: etcdwalk.Key(key)}
}

// numbered are entries with distinct values that do not compress.
func numbered(n, size int) []etcdwalk.Entry {
	random := rand.NewChaCha8([32]byte{7})
	entries := make([]etcdwalk.Entry, n)
	for i := range entries {
		value := make([]byte, size)
		random.Read(value)
		entries[i] = etcdwalk.Entry{Key: fmt.Appendf(nil, "/%04d", i), Value: value, ModRevision: int64(i + 1)}
	}
	return entries
}

// parallelWriter is a writer whose compressor takes its time. Its nonce is
// known.
func parallelWriter(t *testing.T, out io.Writer, workers int, seed uint64) *Writer {
	t.Helper()
	w, err := newWriter(out, testHeader(), ownKind, workers)
	if err != nil {
		t.Fatal(err)
	}
	w.manifest.Nonce = "000102030405060708090a0b0c0d0e0f"
	slow, compress := newDelays(seed), w.packer.compress
	w.packer.compress = func(src, dst []byte) []byte {
		slow.wait()
		return compress(src, dst)
	}
	return w
}

func putAll(ctx context.Context, w *Writer, entries []etcdwalk.Entry) error {
	for _, e := range entries {
		if err := w.Put(ctx, e); err != nil {
			return err
		}
	}
	_, err := w.Close(testEnding(w))
	return err
}

func TestTheNumberOfWorkersDoesNotShow(t *testing.T) {
	entries := numbered(40, 300)
	entries[10].Value, entries[11].Value = bytes.Repeat([]byte("huge"), segmentSize), bytes.Repeat([]byte("large"), segmentSize/3)
	entries[30].Value = bytes.Repeat([]byte("huge again"), segmentSize)
	var first []byte
	eachNumberOfWorkers(t, func(t *testing.T, workers int) {
		for seed := range uint64(4) {
			var out bytes.Buffer
			if err := putAll(t.Context(), parallelWriter(t, &out, workers, seed), entries); err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = out.Bytes()
			}
			if !bytes.Equal(out.Bytes(), first) {
				t.Errorf("seed %d: another archive than with one worker", seed)
			}
		}
	})
	if got := walk(t, mustOpen(t, first), walktest.Everything()); walktest.Diff(got, entries) != "" {
		t.Errorf("the entries differ:\n%s", walktest.Diff(got, entries))
	}
}

// zoo_badzstd with several workers: the first segment that is wrong is named,
// and is where the archive ends.
func TestALyingCompressorIsFoundInOrder(t *testing.T) {
	entries := numbered(20, 300)
	eachNumberOfWorkers(t, func(t *testing.T, workers int) {
		var out bytes.Buffer
		w := parallelWriter(t, &out, workers, 1)
		compress, fired := w.packer.compress, atomic.Int64{}
		w.packer.compress = func(src, dst []byte) []byte {
			packed := compress(src, dst)
			if bytes.Contains(src, []byte("/0007")) || bytes.Contains(src, []byte("/0009")) {
				fired.Add(1)
				packed[len(packed)-20] ^= 1
			}
			return packed
		}
		err := putAll(t.Context(), w, entries)
		wantDamaged(t, err, "writing")
		wantSays(t, err, "compress data/000008.pb")
		wantSays(t, err, "self-check")
		if again := w.Put(t.Context(), etcdwalk.Entry{Key: []byte("z")}); !errors.Is(again, err) {
			t.Errorf("the next Put: got error %v, want %v again", again, err)
		}
		if fired.Load() == 0 {
			t.Error("the fault did not fire")
		}
		if !bytes.Contains(out.Bytes(), []byte("data/000007.pb")) || bytes.Contains(out.Bytes(), []byte("data/000008.pb")) {
			t.Error("the archive does not end with the last good segment")
		}
	})
}

func TestAFailingMediumFailsTheArchiveWithAnyNumberOfWorkers(t *testing.T) {
	full := errors.New("disk full")
	eachNumberOfWorkers(t, func(t *testing.T, workers int) {
		fired := 0
		for at := 1 + filesBefore; ; at += 3 {
			out := &failingWriter{at: at, err: full}
			w := parallelWriter(t, io.Discard, workers, 1)
			w.zip = newZipWriter(out)
			w.store(readmeName, readmeText)
			w.store(headerName, []byte("{}"))
			w.store(protoName, protoText)
			err := putAll(t.Context(), w, numbered(20, 300))
			if out.fired == 0 {
				if err != nil {
					t.Errorf("without a fault: %v", err)
				}
				break
			}
			fired += out.fired
			if !errors.Is(err, full) {
				t.Errorf("write %d failing: got error %v, want %v", at, err, full)
			}
			if n := len(w.packing.jobs); n > 0 {
				t.Errorf("write %d failing: %d jobs are left", at, n)
			}
		}
		if fired < 7 {
			t.Errorf("%d faults fired, want one for each third of 20 segments", fired)
		}
	})
}

func TestNothingOutlivesAWriter(t *testing.T) {
	eachNumberOfWorkers(t, func(t *testing.T, workers int) { // which looks for goroutines
		t.Run("that is cancelled", func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			w := parallelWriter(t, io.Discard, workers, 2)
			for i, e := range numbered(20, 300) {
				if i == 10 {
					cancel()
				}
				if err := w.Put(ctx, e); errors.Is(err, context.Canceled) != (i >= 10) {
					t.Fatalf("entry %d: got error %v; it was cancelled before entry 10", i, err)
				}
			}
			if n := len(w.packing.jobs); n > 0 {
				t.Errorf("%d jobs are left", n)
			}
		})
		t.Run("that is given up", func(t *testing.T) {
			w := parallelWriter(t, io.Discard, workers, 3)
			for _, e := range numbered(20, 300) {
				if err := w.Put(t.Context(), e); err != nil {
					t.Fatal(err)
				}
			}
		})
	})
}

func TestHugeRecordsDoNotPileUp(t *testing.T) {
	entries := numbered(30, 100)
	for i := range 8 {
		entries[10+i].Value = bytes.Repeat([]byte{byte(i)}, 4*segmentSize)
	}
	eachNumberOfWorkers(t, func(t *testing.T, workers int) {
		w := parallelWriter(t, io.Discard, workers, 4)
		compress, now, huge := w.packer.compress, atomic.Int64{}, atomic.Int64{}
		w.packer.compress = func(src, dst []byte) []byte {
			defer now.Add(-int64(len(src)))
			if n := now.Add(int64(len(src))); n > 5*segmentSize {
				t.Errorf("%d bytes are being packed, want no more than two segments", n)
			}
			if len(src) > segmentSize {
				huge.Add(1)
			}
			return compress(src, dst)
		}
		if err := putAll(t.Context(), w, entries); err != nil {
			t.Fatal(err)
		}
		if huge.Load() != 8 || len(w.packing.spare) > workers+1 {
			t.Errorf("packed %d huge segments in %d buffers, want 8 in at most %d", huge.Load(), len(w.packing.spare), workers+1)
		}
		for _, s := range append(slices.Clone(w.packing.spare), w.segment) {
			if n := cap(s.raw) + cap(s.packed); n > 4*segmentSize {
				t.Errorf("a buffer of %d bytes is kept", n)
			}
		}
	})
}
