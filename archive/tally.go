package archive

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// A tally counts entries per prefix, kind and namespace.
type tally struct {
	sums map[place]*Totals
	// last is where the last entry was counted: most often the next belongs
	// there too.
	last  *Totals
	place place
}

// A place is what entries are counted by.
type place struct{ prefix, kind, namespace string }

func (t *tally) add(c etcdwalk.Class, e etcdwalk.Entry) {
	if p := (place{c.Prefix, c.Kind, c.Namespace}); t.last == nil || p != t.place {
		t.last, t.place = t.find(p), p
	}
	t.last.Keys++
	t.last.Bytes += e.Size()
}

// find is the sum that an entry of that place counts for.
func (t *tally) find(p place) *Totals {
	id := place{label(p.prefix), label(p.kind), label(p.namespace)}
	sum := t.sums[id]
	if sum == nil {
		sum = new(Totals)
		t.sums[id] = sum
	}
	return sum
}

// sum is the counts in order, apart for each prefix where there are several,
// and all of them together.
func (t *tally) sum() (kinds []KindTotal, prefixes []PrefixTotal, all Totals) {
	byPrefix := map[string][]KindTotal{}
	for id, sum := range t.sums {
		byPrefix[id.prefix] = append(byPrefix[id.prefix], KindTotal{id.kind, id.namespace, *sum})
		all.add(*sum)
	}
	named := 0
	for _, prefix := range slices.Sorted(maps.Keys(byPrefix)) {
		slices.SortFunc(byPrefix[prefix], compareKinds)
		prefixes = append(prefixes, PrefixTotal{prefix, byPrefix[prefix]})
		if prefix != "" {
			named++
		}
	}
	kinds = joined(prefixes)
	if named < 2 {
		prefixes = nil
	}
	return kinds, prefixes, all
}

// joined are the totals of all prefixes, per kind and namespace.
func joined(prefixes []PrefixTotal) []KindTotal {
	sums := map[place]Totals{}
	for _, p := range prefixes {
		for _, k := range p.Kinds {
			sum := sums[place{kind: k.Kind, namespace: k.Namespace}]
			sum.add(k.Totals)
			sums[place{kind: k.Kind, namespace: k.Namespace}] = sum
		}
	}
	kinds := make([]KindTotal, 0, len(sums))
	for id, sum := range sums {
		kinds = append(kinds, KindTotal{id.kind, id.namespace, sum})
	}
	slices.SortFunc(kinds, compareKinds)
	return kinds
}

func compareKinds(a, b KindTotal) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace))
}

// label makes a part of a key fit for JSON, which knows UTF-8 only.
func label(s string) string { return strings.ToValidUTF8(s, "\ufffd") }
