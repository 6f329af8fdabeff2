package kube

import (
	"github.com/kubeferry/kubeferry/etcdwalk"
)

// A rank is what is written together in a restore: the kinds at some paths, all
// custom resources, or all that has no other rank.
type rank struct {
	paths  []string
	custom bool
	rest   bool
}

// order is the order of the ranks: what others need or are owned by goes first.
var order = []rank{
	{paths: []string{namespace}},
	{paths: []string{crdPath}},
	{custom: true},
	{paths: []string{"cronjobs"}},
	{paths: []string{"deployments", "statefulsets", "daemonsets", "deploymentconfigs", "buildconfigs"}},
	{paths: []string{"jobs"}},
	{paths: []string{"replicasets"}},
	{rest: true},
	{paths: []string{"pods"}},
}

// Ranks splits a selection into disjoint ones, in the order in which a restore
// must write them: namespaces, definitions of custom resources, custom resources,
// owners before what they own, all other kinds and opaque keys, pods. Together
// they take exactly what sel takes. A rank without a range is left out.
func (l *Layout) Ranks(sel etcdwalk.Selection) []etcdwalk.Selection {
	var ranked []etcdwalk.Range
	for _, r := range order {
		ranked = append(ranked, l.underAll(r.paths)...)
	}
	var ranks []etcdwalk.Selection
	for _, r := range order {
		part := etcdwalk.Selection{Match: sel.Match, Values: sel.Values}
		switch {
		case r.custom:
			part = l.only(sel, sel.Ranges.Intersect(l.gaps()), true)
		case r.rest:
			part = l.only(sel, sel.Ranges.Subtract(etcdwalk.Union(ranked...)), false)
		default:
			part.Ranges = sel.Ranges.Intersect(l.underAll(r.paths))
		}
		if len(part.Ranges) > 0 {
			ranks = append(ranks, part)
		}
	}
	return ranks
}

func (l *Layout) underAll(paths []string) etcdwalk.Ranges {
	var ranges []etcdwalk.Range
	for _, path := range paths {
		ranges = append(ranges, l.under(path)...)
	}
	return etcdwalk.Union(ranges...)
}

// only narrows a selection to ranges, and there to custom resources, or to what
// is none.
func (l *Layout) only(sel etcdwalk.Selection, ranges etcdwalk.Ranges, custom bool) etcdwalk.Selection {
	return etcdwalk.Selection{Ranges: ranges, Values: sel.Values, Match: func(key []byte) bool {
		s, ok := l.locate(key)
		return (ok && s.custom()) == custom && sel.TakesKey(key)
	}}
}
