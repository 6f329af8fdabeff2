package walktest

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// NewDriver makes an empty target with etcd's default limits, and a function
// that reads back all it holds, sorted by key, past the target.
type NewDriver func(t *testing.T) (target etcdwalk.Target, contents func() []etcdwalk.Entry)

// Targets is the suite that every driver of etcdwalk.Target must pass.
func Targets(t *testing.T, traits Traits, open NewDriver) {
	for _, tt := range []struct {
		name string
		test func(*testing.T, fixture)
	}{
		{"heads and lookups answer in the order asked, absent keys too", testLookups},
		{"nothing asked, nothing answered", testNothing},
		{"a create is guarded", testCreate},
		{"a replace is guarded", testReplace},
		{"odd keys and values come back as they were", testOdd},
		{"a guard that fails in a batch of 300 fails alone", testLoneGuard},
		{"more than one request's worth of bytes is written", testBigBatch},
		{"a write that is too large fails alone", testTooLarge},
		{"leases are granted and attached", testLeases},
		{"a write to a missing lease fails alone", testMissingLease},
		{"a cancelled context writes nothing that is called failed", testCancelled},
		{"a delete is guarded", testDelete},
		{"deletes and puts go together", testDeletesAndPuts},
		{"who deletes and who writes lose no update", testDeleteRaces},
		{"two writers lose no update", testTwoWriters},
		{"many goroutines may use it at once", testAtOnce},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target, contents := open(t)
			if got := contents(); len(got) != 0 {
				t.Fatalf("the target starts with %d keys, want 0", len(got))
			}
			tt.test(t, fixture{target, contents, traits})
		})
	}
}

type fixture struct {
	etcdwalk.Target
	contents func() []etcdwalk.Entry
	traits   Traits
}

// put applies writes that must all succeed, and returns their revisions.
func (f fixture) put(t *testing.T, writes ...etcdwalk.Write) []int64 {
	t.Helper()
	revisions := make([]int64, len(writes))
	results := f.Apply(t.Context(), writes)
	if len(results) != len(writes) {
		t.Fatalf("%d results for %d writes", len(results), len(writes))
	}
	for i, r := range results {
		if r.State != etcdwalk.WriteApplied || r.Err != nil || r.Revision == 0 {
			t.Fatalf("write %d of key %.80q: %+v, want it applied", i, writes[i].Key, r)
		}
		revisions[i] = r.Revision
	}
	return revisions
}

// wantState applies one write and checks what becomes of it.
func (f fixture) wantState(t *testing.T, w etcdwalk.Write, want etcdwalk.WriteState) {
	t.Helper()
	results := f.Apply(t.Context(), []etcdwalk.Write{w})
	if len(results) != 1 || results[0].State != want {
		t.Errorf("write of key %.80q, seen at %d: %+v, want state %d", w.Key, w.Seen, results, want)
	}
}

func write(key, value string) etcdwalk.Write {
	return etcdwalk.Write{Key: []byte(key), Value: []byte(value)}
}

func many(n, size int) []etcdwalk.Write {
	writes := make([]etcdwalk.Write, n)
	for i := range writes {
		writes[i] = write(fmt.Sprintf("/registry/many/%05d", i), string(bytes.Repeat([]byte{byte('a' + i%26)}, size)))
	}
	return writes
}

// written is what the target must hold after the writes.
func written(writes []etcdwalk.Write) []etcdwalk.Entry {
	entries := make([]etcdwalk.Entry, len(writes))
	for i, w := range writes {
		entries[i] = etcdwalk.Entry{Key: w.Key, Value: w.Value, Lease: w.Lease}
	}
	return Sorted(entries)
}

func testLookups(t *testing.T, f fixture) {
	revisions := f.put(t, write("/c", "3"), write("/a", "1"), write("/b", ""))
	keys := [][]byte{[]byte("/b"), []byte("/nobody"), []byte("/c"), []byte("/a"), []byte("/a\x00")}
	want := []int64{revisions[2], 0, revisions[0], revisions[1], 0}
	heads, err := f.Heads(t.Context(), keys)
	if err != nil || len(heads) != len(keys) {
		t.Fatalf("Heads of %d keys: %d answers, error %v", len(keys), len(heads), err)
	}
	found, err := f.Lookup(t.Context(), keys)
	if err != nil || len(found) != len(keys) {
		t.Fatalf("Lookup of %d keys: %d answers, error %v", len(keys), len(found), err)
	}
	for i, key := range keys {
		if heads[i] != want[i] {
			t.Errorf("head of key %q = %d, want %d", key, heads[i], want[i])
		}
		switch e := found[i]; {
		case (e == nil) != (want[i] == 0):
			t.Errorf("lookup of key %q found it: %v, want %v", key, e != nil, want[i] != 0)
		case e != nil && (!bytes.Equal(e.Key, key) || e.ModRevision != want[i]):
			t.Errorf("lookup of key %q = key %q at %d, want revision %d", key, e.Key, e.ModRevision, want[i])
		}
	}
}

func testNothing(t *testing.T, f fixture) {
	if heads, err := f.Heads(t.Context(), nil); err != nil || len(heads) != 0 {
		t.Errorf("Heads(nil) = %v, %v", heads, err)
	}
	if found, err := f.Lookup(t.Context(), nil); err != nil || len(found) != 0 {
		t.Errorf("Lookup(nil) = %v, %v", found, err)
	}
	if results := f.Apply(t.Context(), nil); len(results) != 0 {
		t.Errorf("Apply(nil) = %v", results)
	}
}

func testCreate(t *testing.T, f fixture) {
	f.put(t, write("/k", "first"))
	f.wantState(t, write("/k", "second"), etcdwalk.WriteRaced)
	wantEntries(t, f.contents(), written([]etcdwalk.Write{write("/k", "first")}))
}

func testReplace(t *testing.T, f fixture) {
	first := f.put(t, write("/k", "first"))[0]
	second := etcdwalk.Write{Key: []byte("/k"), Value: []byte("second"), Seen: first}
	revision := f.put(t, second)[0]
	if heads, err := f.Heads(t.Context(), [][]byte{[]byte("/k")}); err != nil || heads[0] != revision || revision <= first {
		t.Errorf("the replace at %d told revision %d, the key is at %v, error %v", first, revision, heads, err)
	}
	f.wantState(t, etcdwalk.Write{Key: []byte("/k"), Value: []byte("third"), Seen: first}, etcdwalk.WriteRaced)
	f.wantState(t, etcdwalk.Write{Key: []byte("/absent"), Value: []byte("third"), Seen: first}, etcdwalk.WriteRaced)
	wantEntries(t, f.contents(), written([]etcdwalk.Write{second}))
}

func testOdd(t *testing.T, f fixture) {
	var (
		writes []etcdwalk.Write
		keys   [][]byte
		want   []etcdwalk.Entry
	)
	for _, e := range f.traits.corpus() {
		if e.Lease == 0 {
			writes = append(writes, etcdwalk.Write{Key: e.Key, Value: e.Value})
			keys, want = append(keys, e.Key), append(want, e)
		}
	}
	f.put(t, writes...)
	wantEntries(t, f.contents(), want)
	found, err := f.Lookup(t.Context(), keys)
	if err != nil {
		t.Fatalf("Lookup of %d keys: %v", len(keys), err)
	}
	var got []etcdwalk.Entry
	for i, e := range found {
		if e == nil {
			t.Fatalf("key %.80q is not found", keys[i])
		}
		got = append(got, *e)
	}
	wantEntries(t, got, want)
}

func testLoneGuard(t *testing.T, f fixture) {
	writes := many(300, 20)
	const taken = 137
	mine := etcdwalk.Write{Key: writes[taken].Key, Value: []byte("mine")}
	f.put(t, mine)
	results := f.Apply(t.Context(), writes)
	if len(results) != len(writes) {
		t.Fatalf("%d results for %d writes", len(results), len(writes))
	}
	for i, r := range results {
		want := etcdwalk.WriteApplied
		if i == taken {
			want = etcdwalk.WriteRaced
		}
		if r.State != want {
			t.Errorf("write %d: %+v, want state %d", i, r, want)
		}
	}
	writes[taken] = mine
	wantEntries(t, f.contents(), written(writes))
}

func testBigBatch(t *testing.T, f fixture) {
	writes := many(400, 8<<10)
	writes = append(writes, write("/registry/large/1", string(bytes.Repeat([]byte("x"), 1<<20))),
		write("/registry/large/2", string(bytes.Repeat([]byte("y"), 1<<20))))
	revisions := f.put(t, writes...)
	wantEntries(t, f.contents(), written(writes))
	keys := make([][]byte, len(writes))
	for i, w := range writes {
		keys[i] = w.Key
	}
	heads, err := f.Heads(t.Context(), keys)
	if err != nil {
		t.Fatalf("Heads of %d keys: %v", len(keys), err)
	}
	for i := range heads {
		if heads[i] != revisions[i] {
			t.Errorf("key %q is at %d, its write told %d", keys[i], heads[i], revisions[i])
		}
	}
	found, err := f.Lookup(t.Context(), keys)
	if err != nil {
		t.Fatalf("Lookup of %d keys: %v", len(keys), err)
	}
	for i, e := range found {
		if e == nil || !bytes.Equal(e.Value, writes[i].Value) {
			t.Errorf("the lookup of key %q does not tell its value", keys[i])
		}
	}
}
