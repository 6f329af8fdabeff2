package walktest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

func testTooLarge(t *testing.T, f fixture) {
	writes := many(3, 100)
	writes[1].Value = bytes.Repeat([]byte("x"), cmp.Or(f.traits.TooLarge, 4<<20))
	results := f.Apply(t.Context(), writes)
	if len(results) != 3 || results[1].State != etcdwalk.WriteFailed || !errors.Is(results[1].Err, etcdwalk.ErrTooLarge) {
		t.Fatalf("the large write among 3: %+v, want it failed with ErrTooLarge", results)
	}
	if results[0].State != etcdwalk.WriteApplied || results[2].State != etcdwalk.WriteApplied {
		t.Errorf("its neighbours: %+v, want them applied", results)
	}
	wantEntries(t, f.contents(), written([]etcdwalk.Write{writes[0], writes[2]}))
}

func testLeases(t *testing.T, f fixture) {
	one, err := f.Grant(t.Context(), 600)
	if err != nil || one == 0 {
		t.Fatalf("granting a lease: id %d, error %v", one, err)
	}
	two, err := f.Grant(t.Context(), 600)
	if err != nil || two == 0 || two == one {
		t.Fatalf("granting a second lease: id %d after %d, error %v", two, one, err)
	}
	writes := many(4, 10)
	writes[0].Lease, writes[1].Lease, writes[2].Lease = one, two, one
	revisions := f.put(t, writes...)
	wantEntries(t, f.contents(), written(writes))
	for i, e := range f.contents() {
		if e.Lease != writes[i].Lease && !f.traits.OwnLeases {
			t.Errorf("key %q is under lease %x, want %x", e.Key, e.Lease, writes[i].Lease)
		}
	}
	found, err := f.Lookup(t.Context(), [][]byte{writes[1].Key})
	if err != nil || found[0] == nil || (found[0].Lease != two) != f.traits.OwnLeases || found[0].Lease == 0 {
		t.Errorf("the lookup of a key under lease %x tells %+v, error %v", two, found, err)
	}
	writes[2].Lease, writes[2].Seen = 0, revisions[2]
	f.put(t, writes[2])
	wantEntries(t, f.contents(), written(writes))
}

func testMissingLease(t *testing.T, f fixture) {
	writes := many(150, 10)
	writes[70].Lease = 0x0ddba11
	results := f.Apply(t.Context(), writes)
	for i, r := range results {
		if i == 70 {
			if r.State != etcdwalk.WriteFailed || !errors.Is(r.Err, etcdwalk.ErrNoLease) {
				t.Errorf("the write to the missing lease: %+v, want it failed with ErrNoLease", r)
			}
			continue
		}
		if r.State != etcdwalk.WriteApplied {
			t.Errorf("its neighbour %d: %+v, want it applied", i, r)
		}
	}
	wantEntries(t, f.contents(), written(append(writes[:70:70], writes[71:]...)))
}

func testCancelled(t *testing.T, f fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	writes := many(3, 10)
	there := map[string]bool{}
	results := f.Apply(ctx, writes)
	for _, e := range f.contents() {
		there[string(e.Key)] = true
	}
	for i, r := range results {
		if r.State == etcdwalk.WriteApplied || r.State == etcdwalk.WriteRaced || r.Err == nil {
			t.Errorf("write %d under a cancelled context: %+v, want an error", i, r)
		}
		if r.State == etcdwalk.WriteFailed && there[string(writes[i].Key)] {
			t.Errorf("write %d is called failed and took effect", i)
		}
	}
	if _, err := f.Heads(ctx, [][]byte{[]byte("/k")}); !errors.Is(err, context.Canceled) {
		t.Errorf("Heads under a cancelled context: %v, want %v", err, context.Canceled)
	}
	if _, err := f.Lookup(ctx, [][]byte{[]byte("/k")}); !errors.Is(err, context.Canceled) {
		t.Errorf("Lookup under a cancelled context: %v, want %v", err, context.Canceled)
	}
}

func testTwoWriters(t *testing.T, f fixture) {
	const rounds = 30
	var (
		writers sync.WaitGroup
		applied atomic.Int64
	)
	for id := range 2 {
		writers.Go(func() {
			for range rounds {
				heads, err := f.Heads(t.Context(), [][]byte{[]byte("/k")})
				if err != nil {
					t.Errorf("writer %d: %v", id, err)
					return
				}
				w := etcdwalk.Write{Key: []byte("/k"), Value: []byte{byte(id)}, Seen: heads[0]}
				if r := f.Apply(t.Context(), []etcdwalk.Write{w})[0]; r.State == etcdwalk.WriteApplied {
					applied.Add(1)
				} else if r.State != etcdwalk.WriteRaced {
					t.Errorf("writer %d: %+v, want it applied or raced", id, r)
				}
			}
		})
	}
	writers.Wait()
	got := f.contents()
	if len(got) != 1 || got[0].Version != applied.Load() && !f.traits.NoVersions || applied.Load() < rounds {
		t.Errorf("%d writes were applied, the target holds %+v", applied.Load(), got)
	}
}

// testAtOnce has batches of different keys written, looked at and read by
// several goroutines, each with a key that is there already.
func testAtOnce(t *testing.T, f fixture) {
	const writers, each = 8, 200
	writes := many(writers*each, 100)
	for i := range writers {
		f.put(t, write(string(writes[i*each].Key), "there"))
	}
	var working sync.WaitGroup
	for mine := range slices.Chunk(writes, each) {
		working.Go(func() {
			lease, err := f.Grant(t.Context(), 600)
			if err != nil {
				t.Errorf("grant: %v", err)
			}
			var keys [][]byte
			for i := range mine {
				mine[i].Lease = lease
				keys = append(keys, mine[i].Key)
			}
			for i, r := range f.Apply(t.Context(), mine) {
				if want := map[bool]etcdwalk.WriteState{true: etcdwalk.WriteRaced, false: etcdwalk.WriteApplied}[i == 0]; r.State != want {
					t.Errorf("write %d: %+v, want state %d", i, r, want)
				}
			}
			heads, err := f.Heads(t.Context(), keys)
			if err != nil {
				t.Errorf("heads: %v", err)
			}
			found, err := f.Lookup(t.Context(), keys)
			if err != nil {
				t.Errorf("lookup: %v", err)
			}
			for i, e := range found {
				if e == nil || e.ModRevision != heads[i] || (e.Lease != 0) != (i > 0) || e.Lease != 0 && e.Lease != lease && !f.traits.OwnLeases {
					t.Errorf("key %q: %+v at %d, under lease %x", keys[i], e, heads[i], lease)
				}
			}
		})
	}
	working.Wait()
	for i := range writers {
		writes[i*each] = write(string(writes[i*each].Key), "there")
	}
	wantEntries(t, f.contents(), written(writes))
}
