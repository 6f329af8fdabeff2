package etcdwalk_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// universe is all keys of up to three bytes out of four: those at the ends of
// the byte, and two between that follow each other.
func universe() [][]byte {
	var keys [][]byte
	longest := [][]byte{{}}
	for range 3 {
		var longer [][]byte
		for _, k := range longest {
			for _, b := range []byte{0, 'a', 'b', 0xff} {
				longer = append(longer, append(bytes.Clone(k), b))
			}
		}
		keys, longest = append(keys, longer...), longer
	}
	return keys
}

func drawRange(t *rapid.T) etcdwalk.Range {
	bound := rapid.OneOf(rapid.Just([]byte(nil)), rapid.SampledFrom(universe()))
	return etcdwalk.Range{Start: bound.Draw(t, "start"), End: bound.Draw(t, "end")}
}

func drawRanges(t *rapid.T, label string) []etcdwalk.Range {
	return rapid.SliceOfN(rapid.Custom(drawRange), 0, 6).Draw(t, label)
}

// wantSet checks a set of keys by asking for each of the universe, and that the
// set has its one form: ascending, no range empty, no two touching.
func wantSet(t *rapid.T, got etcdwalk.Ranges, want func(k []byte) bool) {
	for _, k := range universe() {
		if got.Contains(k) != want(k) {
			t.Fatalf("%q holds key %q: %v, want %v", got, k, got.Contains(k), want(k))
		}
		inOne := false
		for _, r := range got {
			inOne = inOne || r.Contains(k)
		}
		if inOne != want(k) {
			t.Fatalf("a range of %q holds key %q: %v, want %v", got, k, inOne, want(k))
		}
	}
	for i, r := range got {
		if r.Empty() {
			t.Fatalf("%q holds an empty range", got)
		}
		if i > 0 && (got[i-1].End == nil || bytes.Compare(got[i-1].End, r.Start) > 0) {
			t.Fatalf("%q does not ascend", got)
		}
	}
}

func anyHolds(ranges []etcdwalk.Range, k []byte) bool {
	for _, r := range ranges {
		if r.Contains(k) {
			return true
		}
	}
	return false
}

func TestUnionHoldsWhatAnyRangeHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ranges := drawRanges(t, "ranges")
		union := etcdwalk.Union(ranges...)
		wantSet(t, union, func(k []byte) bool { return anyHolds(ranges, k) })
		for i := 1; i < len(union); i++ {
			if bytes.Equal(union[i-1].End, union[i].Start) {
				t.Fatalf("%q: two ranges touch", union)
			}
		}
	})
}

func TestIntersectHoldsWhatBothHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawRanges(t, "a"), drawRanges(t, "b")
		wantSet(t, etcdwalk.Union(a...).Intersect(etcdwalk.Union(b...)), func(k []byte) bool { return anyHolds(a, k) && anyHolds(b, k) })
	})
}

func TestSubtractHoldsWhatOnlyTheFirstHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawRanges(t, "a"), drawRanges(t, "b")
		wantSet(t, etcdwalk.Union(a...).Subtract(etcdwalk.Union(b...)), func(k []byte) bool { return anyHolds(a, k) && !anyHolds(b, k) })
	})
}

func TestSubtractingEverythingLeavesNothing(t *testing.T) {
	for _, everything := range []etcdwalk.Ranges{{{}}, {{Start: []byte{}}}} {
		if got := (etcdwalk.Ranges{etcdwalk.Prefix("/registry/")}).Subtract(everything); len(got) != 0 {
			t.Errorf("subtracting %q leaves %q", everything, got)
		}
	}
}

func TestTheAlgebraChangesNoOperand(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := etcdwalk.Union(drawRanges(t, "a")...), etcdwalk.Union(drawRanges(t, "b")...)
		in := func(s etcdwalk.Ranges) (held []bool) {
			for _, k := range universe() {
				held = append(held, s.Contains(k))
			}
			return held
		}
		beforeA, beforeB := in(a), in(b)
		a.Intersect(b)
		a.Subtract(b)
		etcdwalk.Union(slices.Concat(a, b)...)
		if !slices.Equal(in(a), beforeA) || !slices.Equal(in(b), beforeB) {
			t.Fatalf("the operands were changed: %q, %q", a, b)
		}
	})
}

func TestRangeContains(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRange(t)
		holds := false
		for _, k := range universe() {
			want := bytes.Compare(k, r.Start) >= 0 && (r.End == nil || bytes.Compare(k, r.End) < 0)
			if r.Contains(k) != want {
				t.Fatalf("%q holds key %q: %v, want %v", r, k, r.Contains(k), want)
			}
			holds = holds || want
		}
		if holds && r.Empty() {
			t.Fatalf("%q is called empty and holds keys", r)
		}
	})
}

func TestPrefixHoldsWhatBeginsWithIt(t *testing.T) {
	for _, p := range append(universe(), nil) {
		r := etcdwalk.Prefix(string(p))
		for _, k := range universe() {
			if got, want := r.Contains(k), bytes.HasPrefix(k, p); got != want {
				t.Fatalf("Prefix(%q) holds key %q: %v, want %v", p, k, got, want)
			}
		}
	}
}

func TestKeyHoldsOneKey(t *testing.T) {
	for _, k := range universe() {
		r := etcdwalk.Key(k)
		for _, other := range append(universe(), etcdwalk.After(k)) {
			if got, want := r.Contains(other), bytes.Equal(other, k); got != want {
				t.Fatalf("Key(%q) holds key %q: %v, want %v", k, other, got, want)
			}
		}
	}
}

func TestSelection(t *testing.T) {
	sel := etcdwalk.Selection{
		Ranges: etcdwalk.Union(etcdwalk.Prefix("/a/"), etcdwalk.Prefix("/c/")),
		Match:  func(key []byte) bool { return key[len(key)-1] == '1' },
		Values: valued{},
	}
	narrow := sel.Within(etcdwalk.Ranges{etcdwalk.Prefix("/c/d")})
	for _, key := range []string{"/a/1", "/c/1", "/c/d1"} {
		if got, want := narrow.Ranges.Contains([]byte(key)), key == "/c/d1"; got != want {
			t.Errorf("the narrowed selection holds key %q: %v, want %v", key, got, want)
		}
	}
	for _, c := range []struct {
		key, value string
		want       bool
	}{{"/c/d1", "v", true}, {"/c/d2", "v", false}, {"/c/d1", "", false}} {
		if got := narrow.Takes(etcdwalk.Entry{Key: []byte(c.key), Value: []byte(c.value)}); got != c.want {
			t.Errorf("the narrowed selection takes %+v: %v", c, got)
		}
	}
	if !(etcdwalk.Selection{}).Takes(etcdwalk.Entry{}) || (etcdwalk.Selection{}).Err() != nil {
		t.Error("a selection without a match does not take everything in its ranges")
	}
}

// errUnjudged is what a valued cannot judge.
var errUnjudged = errors.New("unjudged")

// A valued is a Chooser that takes what has a value, and says that it could not judge.
type valued struct{ err error }

func (valued) Choose(e etcdwalk.Entry) bool { return len(e.Value) > 0 }
func (v valued) Err() error                 { return v.err }

// What a Chooser could not judge is the end of a copy.
func TestCopyEndsWithWhatCouldNotBeJudged(t *testing.T) {
	view := walktest.NewView(etcdwalk.Entry{Key: []byte("/a"), Value: []byte("v")})
	sel := etcdwalk.Selection{Ranges: etcdwalk.Ranges{{}}, Values: valued{errUnjudged}}
	if stats, err := etcdwalk.Copy(t.Context(), &basket{}, view, sel, nil); !errors.Is(err, errUnjudged) || stats.Keys != 1 {
		t.Errorf("got %+v, %v", stats, err)
	}
}
