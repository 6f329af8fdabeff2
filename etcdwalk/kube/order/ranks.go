package order

import (
	"context"
	"slices"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// A Plan is what Ranks needs to know beside the survey.
type Plan struct {
	View etcdwalk.View
	// Selection is what was surveyed.
	Selection etcdwalk.Selection
	// Absent tells of the key of a Namespace object whether the target has none.
	Absent func(key []byte) bool
	// Meta reads the metadata of a value, as it was surveyed.
	Meta func(e etcdwalk.Entry) object.Meta
}

// Ranks splits the selection into disjoint ones, in the order in which they must be
// written. Together they take exactly what it takes. The error is a [CycleError], or the view's.
func (s *Survey) Ranks(ctx context.Context, p Plan) ([]etcdwalk.Selection, error) {
	s.sort()
	g := s.graph()
	var ranks []etcdwalk.Selection
	var together []int // nodes that are written in one walk
	end := func() {
		if len(together) > 0 {
			ranks = append(ranks, s.only(p, g, together))
		}
		together = nil
	}
	for _, component := range g.components() {
		first := component[0]
		switch {
		case len(component) > 1 || g.owns[first][first]:
			end()
			deep, err := s.deep(ctx, p, g, component)
			if err != nil {
				return nil, err
			}
			ranks = append(ranks, deep...)
			continue
		case g.split[first], len(together) > 0 && (g.rank[together[0]] != g.rank[first] || g.ownedBy(first, together)):
			end()
		}
		together = append(together, first)
		if g.split[first] {
			end()
		}
	}
	end()
	return slices.DeleteFunc(ranks, func(sel etcdwalk.Selection) bool { return len(sel.Ranges) == 0 }), nil
}

// only is the part of the selection that lies in some nodes.
func (s *Survey) only(p Plan, g *graph, nodes []int) etcdwalk.Selection {
	var ranges []etcdwalk.Range
	for _, node := range nodes {
		ranges = append(ranges, g.ranges(s, p.Selection.Ranges, node)...)
	}
	sel := p.Selection.Within(etcdwalk.Union(ranges...))
	if slices.ContainsFunc(nodes, func(node int) bool { return g.split[node] }) {
		shared, last := g.ranges(s, p.Selection.Ranges, g.absent), slices.Contains(nodes, g.absent)
		sel.Match = func(key []byte) bool {
			return p.Selection.TakesKey(key) && (!shared.Contains(key) || p.Absent(key) == last)
		}
	}
	return sel
}

// graph makes the graph of the kinds, of the keys that belong to none, and of the
// Namespace objects that the target has not.
func (s *Survey) graph() *graph {
	g := newGraph(len(s.kinds))
	for i, k := range s.kinds {
		g.rank[i], g.names[i] = rankOf(k.name), k.name
		if k.name == "namespaces" {
			g.namespaces, g.split[i], g.split[g.absent] = i, true, true
		}
	}
	for _, r := range s.refs {
		if owner, found := s.find(r.owners); found {
			g.edge(int(owner&kindMask), int(r.own&kindMask))
		}
	}
	for _, pair := range implied() {
		owner, known := s.byName[pair[0]]
		own, too := s.byName[pair[1]]
		if known && too {
			g.edge(owner, own)
		}
	}
	return g
}
