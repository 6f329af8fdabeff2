package archive

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// A slowReaderAt takes its time, and watches how it is read.
type slowReaderAt struct {
	*bytes.Reader
	slow    *delays
	least   time.Duration // of each read
	running atomic.Int64
	reads   atomic.Int64
	t       *testing.T
	last    atomic.Int64 // offset
}

func (r *slowReaderAt) ReadAt(p []byte, offset int64) (int, error) {
	defer r.running.Add(-1)
	if r.running.Add(1) > 1 || r.last.Swap(offset) > offset {
		r.t.Errorf("the read at %d is not behind the others", offset)
	}
	r.reads.Add(1)
	time.Sleep(r.least)
	r.slow.wait()
	return r.Reader.ReadAt(p, offset)
}

// openSlow opens an archive that is read by so many workers.
func openSlow(t *testing.T, data []byte, workers int) (*Reader, *slowReaderAt) {
	t.Helper()
	r := mustOpen(t, data)
	slow := &slowReaderAt{Reader: bytes.NewReader(data), slow: newDelays(uint64(workers)), t: t}
	r.zip.r, r.workers = slow, workers
	return r, slow
}

// segmented is an archive of entries in as many segments.
func segmented(t *testing.T, entries []etcdwalk.Entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, testHeader(), ownKind)
	if err != nil {
		t.Fatal(err)
	}
	if err := putAll(t.Context(), w, entries); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestReadingAheadKeepsTheOrder(t *testing.T) {
	entries := numbered(40, 300)
	entries[7].Value = bytes.Repeat([]byte("huge"), segmentSize)
	data := segmented(t, entries)
	eachNumberOfWorkers(t, func(t *testing.T, workers int) {
		r, slow := openSlow(t, data, workers)
		got := walk(t, r, walktest.Everything())
		if diff := walktest.Diff(got, entries); diff != "" {
			t.Errorf("the entries differ:\n%s", diff)
		}
		if n := slow.reads.Load(); n != int64(len(entries)) {
			t.Errorf("%d reads, want one for each of %d segments", n, len(entries))
		}
	})
}

func TestReadingAheadIsBounded(t *testing.T) {
	data := segmented(t, numbered(30, 300))
	eachNumberOfWorkers(t, func(t *testing.T, workers int) {
		r, slow := openSlow(t, data, workers)
		seen := int64(0) // keys, so segments, before this one
		for _, err := range r.Walk(t.Context(), walktest.Everything()) {
			if err != nil {
				t.Fatal(err)
			}
			want := seen + int64(workers) + 1
			for wait := 0; seen == 10 && slow.reads.Load() < want && wait < 10_000; wait++ {
				time.Sleep(time.Millisecond) // the next are read while we do nothing
			}
			if n := slow.reads.Load(); n > want || seen == 10 && n < want {
				t.Errorf("at key %d %d segments were read, want at most %d, and that many at key 10", seen, n, want)
			}
			seen++
		}
		if seen != 30 {
			t.Errorf("walked over %d keys, want 30", seen)
		}
	})
}

func TestHugeSegmentsAreNotReadAhead(t *testing.T) {
	entries := numbered(8, 300)
	for i := range entries[2:] {
		entries[2+i].Value = bytes.Repeat([]byte("huge"), 2*segmentSize)
	}
	r, slow := openSlow(t, segmented(t, entries), 4)
	seen := int64(0)
	for e, err := range r.Walk(t.Context(), walktest.Everything()) {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; e.Size() > segmentSize && slow.reads.Load() != seen {
			t.Errorf("at the huge key %d %d segments were read", seen, slow.reads.Load())
		}
	}
	if seen != 8 {
		t.Errorf("walked over %d keys, want 8", seen)
	}
}

func TestWhoTakesTheFirstKeyReadsNoFurther(t *testing.T) {
	r, slow := openSlow(t, segmented(t, numbered(30, 300)), 4)
	for _, err := range r.Walk(t.Context(), etcdwalk.Selection{Ranges: etcdwalk.Ranges{{Start: []byte("/0005")}}}) {
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond) // the next could be read while we do nothing
		break
	}
	if n := slow.reads.Load(); n != 1 {
		t.Errorf("%d segments were read, want 1", n)
	}
}

func TestNothingOutlivesAWalk(t *testing.T) {
	data := segmented(t, numbered(12, 300))
	stop, busy := errors.New("stop"), 0
	eachNumberOfWorkers(t, func(t *testing.T, workers int) { // which looks for goroutines
		for _, n := range []int{1, 2, 5, 11} {
			r, slow := openSlow(t, data, workers)
			slow.least = time.Millisecond
			// leave ends a walk, in the middle of a read if it can.
			leave := func() {
				for wait := 0; slow.running.Load() == 0 && wait < 10; wait++ {
					time.Sleep(100 * time.Microsecond)
				}
				busy += int(slow.running.Load())
			}
			idle := func(how string) {
				if r := slow.running.Load(); r != 0 {
					t.Errorf("%s at key %d: %d reads go on", how, n, r)
				}
				slow.last.Store(0) // the next walk begins anew
			}
			seen := 0
			for range r.Walk(t.Context(), walktest.Everything()) {
				if seen++; seen == n {
					leave()
					break
				}
			}
			idle("stopped")
			seen = 0
			_, err := r.Verify(t.Context(), func(etcdwalk.Entry) error {
				if seen++; seen == n {
					leave()
					return stop
				}
				return nil
			}, nil)
			if idle("refused"); !errors.Is(err, stop) {
				t.Errorf("got error %v, want %v", err, stop)
			}
			ctx, cancel := context.WithCancel(t.Context())
			seen, err = 0, nil
			for _, err = range r.Walk(ctx, walktest.Everything()) {
				if seen++; seen == n {
					leave()
					cancel()
				}
			}
			if idle("cancelled"); !errors.Is(err, context.Canceled) || seen != n+1 {
				t.Errorf("cancelled at key %d: got error %v in step %d, want %v in the next", n, err, seen, context.Canceled)
			}
			cancel()
		}
	})
	if busy == 0 {
		t.Error("no walk was left in the middle of a read")
	}
}

// The first damage in order is what a walk ends with, though others are found
// sooner, and all that stands before it is yielded.
func TestTheFirstDamageIsReported(t *testing.T) {
	entries := numbered(20, 300)
	entries[7].Value = bytes.Repeat([]byte("takes long"), segmentSize/20)
	data := segmented(t, entries)
	whole := mustOpen(t, data)
	for _, i := range []int{7, 8, 10} {
		data[whole.zip.files[filesBefore+i].end()-1] ^= 1
	}
	eachNumberOfWorkers(t, func(t *testing.T, workers int) {
		for range 5 {
			r, slow := openSlow(t, data, workers)
			var (
				got []etcdwalk.Entry
				end error
			)
			for e, err := range r.Walk(t.Context(), walktest.Everything()) {
				if end = err; err == nil {
					got = append(got, e.Clone())
				}
			}
			wantDamaged(t, end, "walking")
			wantSays(t, end, "data/000008.pb")
			if diff := walktest.Diff(got, entries[:7]); diff != "" {
				t.Errorf("the entries before the damage differ:\n%s", diff)
			}
			slow.last.Store(0)
			stats, err := r.Verify(t.Context(), nil, nil)
			wantSays(t, err, "data/000008.pb")
			if stats.Keys != 7 {
				t.Errorf("verified %d keys before the damage, want 7", stats.Keys)
			}
		}
	})
}

func TestWalksShareAReader(t *testing.T) {
	entries := numbered(20, 300)
	r := mustOpen(t, segmented(t, entries))
	each(nil, 8, func([]byte, int) {
		var got []etcdwalk.Entry
		for e, err := range r.Walk(t.Context(), walktest.Everything()) {
			if err != nil {
				t.Error(err)
			}
			got = append(got, e.Clone())
		}
		if !slices.EqualFunc(got, entries, sameEntry) {
			t.Error("the entries differ")
		}
	})
}
