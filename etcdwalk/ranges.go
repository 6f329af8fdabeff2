package etcdwalk

import (
	"bytes"
	"slices"
)

// A Range is the keys from Start up to, but without, End. A nil End reaches to
// the end of the keyspace.
type Range struct{ Start, End []byte }

// Prefix is the range of all keys that begin with p. Give the trailing slash
// with it: "machines" is a prefix of "machinesets".
func Prefix(p string) Range { return Range{Start: []byte(p), End: prefixEnd([]byte(p))} }

// Key is the range of exactly one key.
func Key(k []byte) Range { return Range{Start: bytes.Clone(k), End: After(k)} }

// Alike is how many bytes two keys have in common at their beginning.
func Alike(a, b []byte) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// After is the first key behind k.
func After(k []byte) []byte { return append(bytes.Clone(k), 0) }

// prefixEnd is the first key behind all that begin with p; nil if there is none.
func prefixEnd(p []byte) []byte {
	for i := len(p) - 1; i >= 0; i-- {
		if p[i] < 0xff {
			end := bytes.Clone(p[:i+1])
			end[i]++
			return end
		}
	}
	return nil
}

// Contains tells whether k is in r.
func (r Range) Contains(k []byte) bool {
	return bytes.Compare(k, r.Start) >= 0 && before(k, r.End)
}

// Empty tells whether r holds no key at all.
func (r Range) Empty() bool { return r.End != nil && bytes.Compare(r.Start, r.End) >= 0 }

// before tells whether k lies before end, where nil is the end of everything.
func before(k, end []byte) bool { return end == nil || bytes.Compare(k, end) < 0 }

// MinEnd is the lesser of two ends of ranges, of which nil is the last.
func MinEnd(a, b []byte) []byte {
	if a == nil || (b != nil && bytes.Compare(b, a) < 0) {
		return b
	}
	return a
}

// Ranges is a set of keys: disjoint ranges, ascending.
type Ranges []Range

// Union makes a set of any ranges: sorted, touching ones joined.
func Union(ranges ...Range) Ranges {
	sorted := slices.Clone(ranges)
	slices.SortFunc(sorted, func(a, b Range) int { return bytes.Compare(a.Start, b.Start) })
	var set Ranges
	for _, r := range sorted {
		if r.Empty() {
			continue
		}
		if last := len(set) - 1; last >= 0 && (set[last].End == nil || bytes.Compare(r.Start, set[last].End) <= 0) {
			if set[last].End != nil && !(r.End != nil && bytes.Compare(r.End, set[last].End) <= 0) {
				set[last].End = r.End
			}
			continue
		}
		set = append(set, r)
	}
	return set
}

// Intersect is what both sets hold.
func (s Ranges) Intersect(o Ranges) Ranges {
	var set Ranges
	for i, j := 0, 0; i < len(s) && j < len(o); {
		both := Range{Start: s[i].Start, End: MinEnd(s[i].End, o[j].End)}
		if bytes.Compare(o[j].Start, both.Start) > 0 {
			both.Start = o[j].Start
		}
		if !both.Empty() {
			set = append(set, both)
		}
		if s[i].End != nil && bytes.Equal(MinEnd(s[i].End, o[j].End), s[i].End) {
			i++
		} else {
			j++
		}
	}
	return set
}

// Subtract is what s holds and o does not.
func (s Ranges) Subtract(o Ranges) Ranges {
	var holes Ranges // the complement of o
	start := []byte{}
	for _, r := range o {
		// A range from the first key on leaves no hole before it; as an End, its
		// Start might be nil and mean the opposite.
		if len(r.Start) > 0 {
			holes = append(holes, Range{Start: start, End: r.Start})
		}
		if r.End == nil {
			return s.Intersect(holes)
		}
		start = r.End
	}
	return s.Intersect(append(holes, Range{Start: start}))
}

// Contains tells whether k is in the set.
func (s Ranges) Contains(k []byte) bool {
	i, found := slices.BinarySearchFunc(s, k, func(r Range, k []byte) int { return bytes.Compare(r.Start, k) })
	return (found && s[i].Contains(k)) || (i > 0 && s[i-1].Contains(k))
}

// A Selection says which entries of a View are wanted.
type Selection struct {
	Ranges Ranges
	// Match narrows the ranges further, by the key alone; nil takes everything in them.
	Match func(key []byte) bool
	// Values narrows further, by what is in a value; nil takes every value.
	Values Chooser
	// Splits help a driver to read the ranges. They select nothing.
	Splits Splits
}

// A Chooser says which entries are wanted by what is in their values.
type Chooser interface {
	// Choose tells whether an entry is taken. It is asked of each once, with its value.
	Choose(e Entry) bool
	// Err tells of the entries that it was asked about and could not judge, none of
	// which was taken; nil without any. [Copy] asks at its end.
	Err() error
}

// Splits are good places to end a request. A server may go over all keys of the
// range that it is asked about, however few of them it answers with (etcd: see
// the driver), so that a request should end not far behind its answer.
type Splits struct {
	// Kinds are the keys at which the range of a kind begins, ascending.
	Kinds [][]byte
	// Namespaces are what follows a kind in the keys of a namespace, with the
	// slash at its end, ascending, each once.
	Namespaces [][]byte
}

// Cut divides r at the places that lie in it. Together the parts are r.
func (r Range) Cut(places [][]byte) Ranges {
	var parts Ranges
	first, _ := slices.BinarySearchFunc(places, r.Start, bytes.Compare)
	for _, place := range places[first:] {
		if !before(place, r.End) {
			break
		}
		if part := (Range{Start: r.Start, End: place}); !part.Empty() {
			parts, r.Start = append(parts, part), place
		}
	}
	return append(parts, r)
}

// Takes tells whether the selection wants e, whose key is in its ranges.
func (s Selection) Takes(e Entry) bool {
	return s.TakesKey(e.Key) && (s.Values == nil || s.Values.Choose(e))
}

// TakesKey tells whether the selection wants an entry under the key, which is in its
// ranges, whatever the value is.
func (s Selection) TakesKey(key []byte) bool { return s.Match == nil || s.Match(key) }

// Err tells of entries that were walked and could not be judged.
func (s Selection) Err() error {
	if s.Values == nil {
		return nil
	}
	return s.Values.Err()
}

// Within narrows the selection to the keys in r.
func (s Selection) Within(r Ranges) Selection {
	return Selection{Ranges: s.Ranges.Intersect(r), Match: s.Match, Values: s.Values, Splits: s.Splits}
}

// A Class is what a key belongs to. Package kube tells it; others only pass it
// on.
type Class struct {
	// Kind is the resource, as kubectl writes it ("deployments.apps"); empty
	// for a key that lies in no kind's range.
	Kind string
	// Namespace and Name are those of the object; empty for opaque keys.
	Namespace, Name string
	// Prefix is the one that the key lies under, of those that hold a cluster's
	// objects; empty outside of all.
	Prefix string
	// Range is the range of the kind the key lies in; empty without a Kind.
	Range Range
}
