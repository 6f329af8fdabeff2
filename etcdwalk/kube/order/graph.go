package order

import (
	"cmp"
	"slices"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// A graph has a node for each kind, one for the keys that belong to none, and one for the
// Namespace objects that the target has not.
type graph struct {
	names []string
	rank  []int
	owns  []map[int]bool // edges: of the first objects own objects of the second
	split []bool         // nodes that share their ranges with another

	opaque, absent int // nodes
	namespaces     int // the node of those that the target has; -1: none is selected
}

func newGraph(kinds int) *graph {
	n := kinds + 2
	g := &graph{names: make([]string, n), rank: make([]int, n), owns: make([]map[int]bool, n), split: make([]bool, n),
		opaque: kinds, absent: kinds + 1, namespaces: -1}
	for i := range g.owns {
		g.owns[i] = map[int]bool{}
	}
	g.rank[g.opaque], g.rank[g.absent] = passive, absentNamespaces
	return g
}

// edge notes that objects of one kind own objects of another. What owns Namespaces comes
// before all of them; an absent Namespace comes last, whatever it owns.
func (g *graph) edge(owner, own int) {
	g.owns[owner][own] = true
	if own == g.namespaces && owner != own {
		g.owns[owner][g.absent] = true
	}
}

// ownedBy tells whether one of some nodes owns the node.
func (g *graph) ownedBy(node int, owners []int) bool {
	return slices.ContainsFunc(owners, func(owner int) bool { return g.owns[owner][node] })
}

// ranges are what a node takes of a selection's.
func (g *graph) ranges(s *Survey, all etcdwalk.Ranges, node int) etcdwalk.Ranges {
	switch {
	case node < len(s.kinds):
		return all.Intersect(s.kinds[node].ranges)
	case node == g.absent && g.namespaces >= 0:
		return all.Intersect(s.kinds[g.namespaces].ranges)
	case node == g.absent:
		return nil
	}
	var kinds []etcdwalk.Range
	for _, k := range s.kinds {
		kinds = append(kinds, k.ranges...)
	}
	return all.Subtract(etcdwalk.Union(kinds...))
}

// components are the nodes that own each other, owners first; of those that may come
// next the one of the lowest rank, then the first by name.
func (g *graph) components() [][]int {
	components, of := g.connected()
	waiting := make([]int, len(components)) // for so many owners
	for owner := range g.owns {
		for own := range g.owns[owner] {
			if of[owner] != of[own] {
				waiting[of[own]]++
			}
		}
	}
	var sorted [][]int
	done := make([]bool, len(components))
	for range components {
		next := -1
		for i := range components {
			if !done[i] && waiting[i] == 0 && (next < 0 || g.compare(components[i], components[next]) < 0) {
				next = i
			}
		}
		done[next] = true
		sorted = append(sorted, components[next])
		for _, owner := range components[next] {
			for own := range g.owns[owner] {
				if of[own] != next {
					waiting[of[own]]--
				}
			}
		}
	}
	return sorted
}

// compare compares two components by the rank and the name of their first nodes.
func (g *graph) compare(a, b []int) int {
	return cmp.Or(cmp.Compare(g.rank[a[0]], g.rank[b[0]]), cmp.Compare(g.names[a[0]], g.names[b[0]]), cmp.Compare(a[0], b[0]))
}

// connected finds the strongly connected components, each sorted as compare does, and
// says in which of them a node is. (Tarjan, Depth-first search and linear graph
// algorithms, 1972. There are as many nodes as kinds, so that it may call itself.)
func (g *graph) connected() (components [][]int, of []int) {
	n := len(g.owns)
	of = make([]int, n)
	index, low, stacked := make([]int, n), make([]int, n), make([]bool, n)
	var stack []int
	met := 0
	var visit func(node int)
	visit = func(node int) {
		met++
		index[node], low[node] = met, met
		stack, stacked[node] = append(stack, node), true
		for next := range g.owns[node] {
			if index[next] == 0 {
				visit(next)
				low[node] = min(low[node], low[next])
			} else if stacked[next] {
				low[node] = min(low[node], index[next])
			}
		}
		if low[node] < index[node] {
			return
		}
		at := slices.Index(stack, node)
		component := slices.Clone(stack[at:])
		stack = stack[:at]
		for _, member := range component {
			of[member], stacked[member] = len(components), false
		}
		slices.SortFunc(component, func(a, b int) int { return g.compare([]int{a}, []int{b}) })
		components = append(components, component)
	}
	for node := range g.owns {
		if index[node] == 0 {
			visit(node)
		}
	}
	return components, of
}
