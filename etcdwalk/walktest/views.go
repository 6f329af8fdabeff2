package walktest

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"slices"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// Open makes a view of exactly these entries, sorted by key. Where the source
// gives revisions and ids of leases of its own, it may; an entry with a Lease
// must come to lie under some lease that lives for the test.
type Open func(t *testing.T, entries []etcdwalk.Entry) etcdwalk.View

// Views is the suite that every driver of etcdwalk.View must pass.
func Views(t *testing.T, traits Traits, open Open) {
	corpus := traits.corpus()
	view := open(t, corpus)
	selections(t, view, corpus)
	leases(t, view)

	t.Run("an early stop frees the walk, and the next one is whole", func(t *testing.T) {
		for range 3 {
			for range view.Walk(t.Context(), Everything()) {
				break
			}
		}
		wantEntries(t, collect(t, view, Everything()), corpus)
	})
	t.Run("two walks at once do not disturb each other", func(t *testing.T) {
		interleave(t, view, corpus)
	})
	t.Run("a cancelled context ends the walk with its error", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		wantCancelled(t, view.Walk(ctx, Everything()), func() {})
	})
	t.Run("a context that is cancelled on the way ends the walk with its error", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		wantCancelled(t, view.Walk(ctx, Everything()), cancel)
	})
	t.Run("a view without entries yields none", func(t *testing.T) {
		wantEntries(t, collect(t, open(t, nil), Everything()), nil)
	})
}

// Pinned is the suite for views of a source that can be written: whatever
// happens to it, the view stays at its moment. Change puts a value under a key
// of the source that open opened last.
func Pinned(t *testing.T, open Open, change func(t *testing.T, key, value []byte)) {
	corpus := Corpus()
	view := open(t, corpus)
	t.Run("a view stays at its moment while its source is written", func(t *testing.T) {
		change(t, []byte("/registry/zebras/new"), []byte("not yet there"))
		change(t, corpus[len(corpus)-1].Key, []byte("changed before the walk"))
		var got []etcdwalk.Entry
		for e, err := range view.Walk(t.Context(), Everything()) {
			if err != nil {
				t.Fatalf("walking: %v", err)
			}
			if len(got) == 0 {
				change(t, corpus[0].Key, []byte("changed behind the walk"))
				change(t, corpus[len(corpus)-2].Key, []byte("changed ahead of the walk"))
			}
			got = append(got, e.Clone())
		}
		wantEntries(t, got, corpus)
		wantEntries(t, collect(t, view, Everything()), corpus)
	})
}

// selections checks that a walk yields what was selected and nothing else.
func selections(t *testing.T, view etcdwalk.View, corpus []etcdwalk.Entry) {
	ranges := func(r ...etcdwalk.Range) etcdwalk.Selection {
		return etcdwalk.Selection{Ranges: etcdwalk.Union(r...)}
	}
	configmaps := etcdwalk.Prefix("/registry/configmaps/")
	for _, tt := range []struct {
		name string
		sel  etcdwalk.Selection
	}{
		{"everything is walked, odd keys and values included", Everything()},
		{"a range takes its start and not its end", ranges(configmaps)},
		{"a prefix that begins another takes only its own", ranges(etcdwalk.Prefix("/registry/machines/"))},
		{"a range that reaches to the end takes the last key", ranges(etcdwalk.Range{Start: []byte("/registry/secrets/")})},
		{"a prefix that has no end takes what it should", ranges(etcdwalk.Prefix("\xff"))},
		{"a range of one key takes that key", ranges(etcdwalk.Key([]byte("/registry/odd/a")))},
		{"a range of one key that is not there takes none", ranges(etcdwalk.Key([]byte("/registry/odd/b")))},
		{"several ranges are walked in order", ranges(configmaps, etcdwalk.Prefix("/registry/secrets/ns-1/"),
			etcdwalk.Prefix("/registry/events/"), etcdwalk.Key([]byte("\x00")))},
		{"ranges that touch lose and double nothing", etcdwalk.Selection{Ranges: etcdwalk.Ranges{
			{Start: []byte("/registry/"), End: []byte("/registry/odd/a")},
			{Start: []byte("/registry/odd/a"), End: []byte("/registry/odd/a\x00")},
			{Start: []byte("/registry/odd/a\x00")}}}},
		{"a match narrows the ranges", etcdwalk.Selection{Ranges: etcdwalk.Ranges{configmaps},
			Match: func(key []byte) bool { return bytes.HasSuffix(key, []byte("3")) }}},
		{"a match sees values", etcdwalk.Selection{Ranges: etcdwalk.Ranges{{}},
			Values: empty{}}},
		{"a match that takes nothing yields nothing", etcdwalk.Selection{Ranges: etcdwalk.Ranges{{}},
			Match: func([]byte) bool { return false }}},
		{"an empty selection yields nothing", etcdwalk.Selection{}},
		{"a range without keys yields nothing", ranges(etcdwalk.Prefix("/registry/nothing/"))},
		{"an empty range yields nothing", etcdwalk.Selection{Ranges: etcdwalk.Ranges{
			{Start: []byte("/registry/odd/a"), End: []byte("/registry/odd/a")}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var want []etcdwalk.Entry
			var inRanges int64
			for _, e := range corpus {
				if !tt.sel.Ranges.Contains(e.Key) {
					continue
				}
				inRanges++
				if tt.sel.Takes(e) {
					want = append(want, e)
				}
			}
			wantEntries(t, collect(t, view, tt.sel), want)
			if n, err := view.Count(t.Context(), tt.sel); err != nil || n >= 0 && n != inRanges {
				t.Errorf("it counts %d keys in the ranges, %v; want %d, or that it does not know", n, err, inRanges)
			}
		})
	}
}

// leases checks that a view answers for the leases that it names.
func leases(t *testing.T, view etcdwalk.View) {
	t.Run("leases are answered for one by one, unknown ones included", func(t *testing.T) {
		ids := []int64{0x0ddba11}
		for _, e := range collect(t, view, Everything()) {
			if e.Lease != 0 {
				ids = append(ids, e.Lease, 0x0ddba12)
			}
		}
		got, err := view.Leases(t.Context(), ids)
		if err != nil || len(got) != len(ids) {
			t.Fatalf("Leases of %d ids: %d answers, error %v", len(ids), len(got), err)
		}
		for i, lease := range got {
			if lease.ID != ids[i] {
				t.Errorf("answer %d is of lease %x, want %x", i, lease.ID, ids[i])
			}
			if known := i == 1; !known && lease.State == etcdwalk.LeaseLive {
				t.Errorf("lease %x, which never was, is called live", lease.ID)
			}
		}
	})
	t.Run("no lease asked for, none told", func(t *testing.T) {
		if got, err := view.Leases(t.Context(), nil); err != nil || len(got) != 0 {
			t.Errorf("Leases(nil) = %v, %v", got, err)
		}
	})
}

// interleave steps through two walks in turns. What the one yielded must stay
// valid while the other goes on.
func interleave(t *testing.T, view etcdwalk.View, corpus []etcdwalk.Entry) {
	first, stopFirst := iter.Pull2(view.Walk(t.Context(), Everything()))
	defer stopFirst()
	second, stopSecond := iter.Pull2(view.Walk(t.Context(), Everything()))
	defer stopSecond()
	for i, want := range corpus {
		a, errA, okA := first()
		if errA != nil || !okA {
			t.Fatalf("entry %d of the first walk: %v, there is one: %v", i, errA, okA)
		}
		b, errB, okB := second()
		if errB != nil || !okB {
			t.Fatalf("entry %d of the second walk: %v, there is one: %v", i, errB, okB)
		}
		wantEntries(t, []etcdwalk.Entry{a, b}, []etcdwalk.Entry{want, want})
	}
}

// wantCancelled takes a walk's first step, cancels, and wants context.Canceled
// before the walk is through.
func wantCancelled(t *testing.T, walk iter.Seq2[etcdwalk.Entry, error], cancel func()) {
	t.Helper()
	for _, err := range walk {
		if err == nil {
			cancel()
			continue
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the walk ended with %v, want %v", err, context.Canceled)
		}
		return
	}
	t.Error("the walk ended as if it were complete")
}

// collect walks and keeps everything. It checks what holds for every entry.
func collect(t *testing.T, view etcdwalk.View, sel etcdwalk.Selection) []etcdwalk.Entry {
	t.Helper()
	var (
		entries []etcdwalk.Entry
		order   etcdwalk.Order
	)
	for e, err := range view.Walk(t.Context(), sel) {
		if err != nil {
			t.Fatalf("walking, after %d entries: %v", len(entries), err)
		}
		if err := order.Check(sel.Ranges, e.Key); err != nil {
			t.Fatal(err)
		}
		wantRecord(t, e)
		entries = append(entries, e.Clone())
	}
	return entries
}

// wantRecord checks that an entry's record says what its fields say.
func wantRecord(t *testing.T, e etcdwalk.Entry) {
	t.Helper()
	if e.Record == nil {
		return
	}
	r, err := etcdwalk.ParseRecord(e.Record)
	if err != nil {
		t.Fatalf("the record of key %.80q: %v", e.Key, err)
	}
	if !bytes.Equal(r.Key, e.Key) || !bytes.Equal(r.Value, e.Value) || r.Lease != e.Lease ||
		r.CreateRevision != e.CreateRevision || r.ModRevision != e.ModRevision || r.Version != e.Version {
		t.Errorf("the record of key %.80q does not say what its fields say", e.Key)
	}
}

func wantEntries(t *testing.T, got, want []etcdwalk.Entry) {
	t.Helper()
	if !slices.IsSortedFunc(want, func(a, b etcdwalk.Entry) int { return bytes.Compare(a.Key, b.Key) }) {
		t.Fatal("the test wants keys that are out of order")
	}
	if diff := Diff(got, want); diff != "" {
		t.Errorf("the entries are not those wanted:\n%s", diff)
	}
}

// An empty is a Chooser that takes entries without a value.
type empty struct{}

// Choose implements etcdwalk.Chooser.
func (empty) Choose(e etcdwalk.Entry) bool { return len(e.Value) == 0 }

// Err implements etcdwalk.Chooser.
func (empty) Err() error { return nil }
