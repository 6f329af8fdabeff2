package tree_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/tree"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

func TestAbove(t *testing.T) {
	var got []string
	for dir := range tree.Above([]byte("/registry/events/a/")) {
		got = append(got, string(dir))
	}
	if diff := cmp.Diff([]string{"/", "/registry/", "/registry/events/"}, got); diff != "" {
		t.Errorf("directories (-want +got):\n%s", diff)
	}
}

// leases are what is left of each, in seconds, by id.
func leases(seconds ...int64) map[int64]etcdwalk.Lease {
	all := map[int64]etcdwalk.Lease{}
	for i, n := range seconds {
		all[int64(i+1)] = etcdwalk.Lease{ID: int64(i + 1), State: etcdwalk.LeaseLive, Granted: n, Remaining: n}
	}
	return all
}

// walk tells the lease of each key.
func walk(t interface{ Fatal(...any) }, view etcdwalk.View, sel etcdwalk.Selection) map[string]int64 {
	got := map[string]int64{}
	for e, err := range view.Walk(context.Background(), sel) {
		if err != nil {
			t.Fatal(err)
		}
		got[string(e.Key)] = e.Lease
	}
	return got
}

// The smallest TTL of a key and the directories above it counts, whatever of these is
// selected.
func TestFlatIsTheSmallestTTL(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := []string{"/a/", "/a/b/", "/a/b/c", "/a/b-c", "/a/b/d/", "/a/b/d/e", "/f"}
		ttls := map[string]int64{}
		var entries []etcdwalk.Entry
		for _, key := range keys {
			lease := rapid.Int64Range(0, 4).Draw(t, key)
			if lease == 0 && key[len(key)-1] == '/' {
				continue // it is not told
			}
			ttls[key] = lease
			entries = append(entries, etcdwalk.Entry{Key: []byte(key), Lease: lease})
		}
		view := walktest.NewView(entries...)
		view.TTLs = leases(40, 10, 30, 20)
		from := rapid.SampledFrom([]string{"/", "/a/", "/a/b/", "/a/b/d/", "/a/b/d/e", "/f"}).Draw(t, "from")
		sel := etcdwalk.Selection{Ranges: etcdwalk.Ranges{etcdwalk.Prefix(from)}}
		if rapid.Bool().Draw(t, "leaves only") {
			sel.Match = func(key []byte) bool { return !tree.IsDirectory(key) }
		}
		want := map[string]int64{}
		for key, least := range ttls {
			if !sel.Ranges.Contains([]byte(key)) || !sel.Takes(etcdwalk.Entry{Key: []byte(key)}) {
				continue
			}
			for dir := range tree.Above([]byte(key)) {
				if l := ttls[string(dir)]; l != 0 && (least == 0 || view.TTLs[l].Remaining < view.TTLs[least].Remaining) {
					least = l
				}
			}
			want[key] = least
		}
		if diff := cmp.Diff(want, walk(t, tree.Flat(view), sel)); diff != "" {
			t.Fatalf("leases by key (-want +got):\n%s", diff)
		}
	})
}

func TestFlatPassesErrorsOn(t *testing.T) {
	view := walktest.NewView(etcdwalk.Entry{Key: []byte("/a")}, etcdwalk.Entry{Key: []byte("/b")})
	view.Err, view.ErrAfter = etcdwalk.ErrUnavailable, 1
	var last error
	n := 0
	for _, last = range tree.Flat(view).Walk(t.Context(), walktest.Everything()) {
		n++
	}
	if n != 2 || !errors.Is(last, etcdwalk.ErrUnavailable) {
		t.Errorf("after %d steps: %v", n, last)
	}
}
