package order

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// A CycleError names objects that own each other in a circle, so that none can come first.
type CycleError struct{ Keys []string }

// Error implements error.
func (e *CycleError) Error() string {
	return "these objects own each other in a circle, so that none can be written first: " + strings.Join(e.Keys, ", ")
}

// Is says that nothing is to be written: an [etcdwalk.ErrRefused].
func (e *CycleError) Is(err error) bool { return err == etcdwalk.ErrRefused }

// maxDepth bounds how deep objects of kinds that own each other may be nested: each depth
// is a walk of its own. The deepest that is known of has four.
const maxDepth = 1000

// maxCycle bounds how many objects of a circle are named.
const maxCycle = 20

// deep splits what lies in kinds that own each other by how deep its owners are.
func (s *Survey) deep(ctx context.Context, p Plan, g *graph, component []int) ([]etcdwalk.Selection, error) {
	depths, circular := s.depths(component)
	whole := s.only(p, g, component)
	byKey, deepest := map[uint64]int{}, 0
	cycle := &CycleError{}
	for e, err := range p.View.Walk(ctx, whole) {
		if err != nil {
			return nil, fmt.Errorf("look how deep owners are nested: %w", err)
		}
		m := p.Meta(e)
		own := s.mark(m.Kind, m.Namespace, m.Name, m.UID) &^ kindMask
		if circular[own] && len(cycle.Keys) < maxCycle {
			cycle.Keys = append(cycle.Keys, fmt.Sprintf("%q", e.Key))
		}
		if depth := depths[own]; depth > 0 {
			byKey[s.mark(string(e.Key))] = depth
			deepest = max(deepest, depth)
		}
	}
	switch {
	case len(cycle.Keys) > 0:
		return nil, cycle
	case deepest > maxDepth:
		return nil, fmt.Errorf("owners are nested %d deep: %d is the most%.0w", deepest, maxDepth, etcdwalk.ErrRefused)
	}
	var ranks []etcdwalk.Selection
	for depth := range deepest + 1 {
		rank := whole
		rank.Match = func(key []byte) bool { return byKey[s.mark(string(key))] == depth && whole.TakesKey(key) }
		ranks = append(ranks, rank)
	}
	return ranks, nil
}

// depths are how deep the owners of objects are nested, where they are of some kinds, as
// they are themselves; objects without such an owner have none. Those that are circular,
// or owned by such, have no depth.
func (s *Survey) depths(component []int) (depths map[uint64]int, circular map[uint64]bool) {
	within := func(mark uint64) bool { return slices.Contains(component, int(mark&kindMask)) }
	owned := map[uint64][]uint64{} // by owner
	waiting := map[uint64]int{}    // for so many owners
	for _, r := range s.refs {
		owner, found := s.find(r.owners)
		if found && within(owner) && within(r.own) {
			owned[owner&^kindMask] = append(owned[owner&^kindMask], r.own&^kindMask)
			waiting[r.own&^kindMask]++
		}
	}
	depths = map[uint64]int{}
	var next []uint64
	for owner := range owned {
		if waiting[owner] == 0 {
			next = append(next, owner)
		}
	}
	for len(next) > 0 {
		owner := next[0]
		next = next[1:]
		for _, own := range owned[owner] {
			depths[own] = max(depths[own], depths[owner]+1)
			if waiting[own]--; waiting[own] == 0 {
				next = append(next, own)
			}
		}
	}
	circular = map[uint64]bool{}
	for own, n := range waiting {
		circular[own] = n > 0
	}
	return depths, circular
}
