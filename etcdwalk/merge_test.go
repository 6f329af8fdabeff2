package etcdwalk_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// drawView is a view of some of few keys, and what it holds of them.
func drawView(t *rapid.T, name string) (*walktest.View, map[string]string) {
	held := rapid.MapOf(rapid.SampledFrom([]string{"/a", "/a/b", "/b", "/c", "/c\x00", "/d"}), rapid.SampledFrom([]string{"1", "2"})).Draw(t, name)
	var entries []etcdwalk.Entry
	for key, value := range held {
		entries = append(entries, etcdwalk.Entry{Key: []byte(key), Value: []byte(value)})
	}
	return walktest.NewView(entries...), held
}

// Two views side by side: each key of either once, ascending, with what each holds
// under it.
func TestMergeTellsEachKeyOfEither(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, inA := drawView(t, "a")
		b, inB := drawView(t, "b")
		var got, want []string
		tell := func(key string, a, b *string) string {
			text := fmt.Sprintf("%q", key)
			for _, v := range []*string{a, b} {
				if v == nil {
					text += " -"
				} else {
					text += " " + *v
				}
			}
			return text
		}
		for pair, err := range etcdwalk.Merge(context.Background(), a, b, walktest.Everything()) {
			if err != nil {
				t.Fatal(err)
			}
			value := func(e *etcdwalk.Entry) *string {
				if e == nil {
					return nil
				}
				if string(e.Key) != string(pair.Key()) {
					t.Fatalf("a pair of the keys %q and %q", e.Key, pair.Key())
				}
				v := string(e.Value)
				return &v
			}
			got = append(got, tell(string(pair.Key()), value(pair.A), value(pair.B)))
		}
		all := maps.Clone(inA)
		maps.Copy(all, inB)
		for _, key := range slices.Sorted(maps.Keys(all)) {
			held := func(in map[string]string) *string {
				if v, ok := in[key]; ok {
					return &v
				}
				return nil
			}
			want = append(want, tell(key, held(inA), held(inB)))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("pairs (-want +got):\n%s", diff)
		}
	})
}

func TestMergeSelects(t *testing.T) {
	view := walktest.NewView(walktest.Corpus()...)
	sel := etcdwalk.Selection{Ranges: etcdwalk.Ranges{etcdwalk.Prefix("/registry/configmaps/")}, Match: func(key []byte) bool { return len(key)%2 == 0 }}
	n := 0
	for pair, err := range etcdwalk.Merge(t.Context(), view, view, sel) {
		if err != nil || pair.A == nil || pair.B == nil || !sel.Ranges.Contains(pair.Key()) || len(pair.A.Key)%2 != 0 {
			t.Fatalf("%+v, %v", pair, err)
		}
		n++
	}
	if n == 0 {
		t.Error("nothing is selected")
	}
}

// Neither view is trusted, and the first error of either ends the walk.
func TestMergeEndsAtTheFirstError(t *testing.T) {
	kv := func(key string) etcdwalk.Entry { return etcdwalk.Entry{Key: []byte(key)} }
	sound := walktest.NewView(kv("/a"), kv("/b"), kv("/c"))
	broken := walktest.NewView(kv("/a"), kv("/b"), kv("/c"))
	broken.Err, broken.ErrAfter = etcdwalk.ErrUnavailable, 2
	lying := walktest.Generated(3, func(i int) etcdwalk.Entry { return kv([]string{"/a", "/c", "/b"}[i]) })
	for name, c := range map[string]struct {
		a, b etcdwalk.View
		want error
		word string
	}{
		"the first breaks":     {broken, sound, etcdwalk.ErrUnavailable, "first"},
		"the second breaks":    {sound, broken, etcdwalk.ErrUnavailable, "second"},
		"the first lies":       {lying, sound, etcdwalk.ErrInvariant, "first"},
		"the second lies":      {sound, lying, etcdwalk.ErrInvariant, "second"},
		"the second has ended": {broken, walktest.NewView(), etcdwalk.ErrUnavailable, "first"},
	} {
		t.Run(name, func(t *testing.T) {
			var last error
			n := 0
			for _, err := range etcdwalk.Merge(t.Context(), c.a, c.b, walktest.Everything()) {
				if last != nil {
					t.Error("it goes on after an error")
				}
				last = err
				n++
			}
			if !errors.Is(last, c.want) || !strings.Contains(last.Error(), c.word) || n < 3 {
				t.Errorf("after %d steps: %v, want %v", n, last, c.want)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, last = range etcdwalk.Merge(ctx, sound, sound, walktest.Everything()) {
		cancel()
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("cancelled: %v", last)
	}
	for _, err := range etcdwalk.Merge(t.Context(), sound, sound, walktest.Everything()) {
		if err != nil {
			t.Error(err)
		}
		break // who stops early frees what the walks hold: iter.Pull2 sees to it
	}
}

// It keeps one entry of each, however many there are.
func TestMergeKeepsNothing(t *testing.T) {
	const n = 20_000
	at := func(i int) etcdwalk.Entry {
		return etcdwalk.Entry{Key: fmt.Appendf(nil, "/%07d", i), Value: make([]byte, 100)}
	}
	a, b := walktest.Generated(n, at), walktest.Generated(n, at)
	least := testing.AllocsPerRun(1, func() {
		for _, err := range etcdwalk.Merge(t.Context(), a, b, etcdwalk.Selection{Ranges: etcdwalk.Ranges{etcdwalk.Key([]byte("/0000001"))}}) {
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	most := testing.AllocsPerRun(1, func() {
		for _, err := range etcdwalk.Merge(t.Context(), a, b, walktest.Everything()) {
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	if most > least+1000 {
		t.Errorf("%.0f allocations for %d keys, %.0f for one", most, n, least)
	}
}
