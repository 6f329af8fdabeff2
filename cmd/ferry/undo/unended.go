package undo

import (
	"context"
	"hash/maphash"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/replay/journal"
	"github.com/kubeferry/kubeferry/remote"
)

// An Unended is a change that was interrupted. A plan that would do the rest of it goes on
// with it, so that one undo takes both back.
type Unended struct {
	Name   string
	Header []byte // of its plan

	store   remote.Store
	seed    maphash.Seed
	planned map[uint64]bool // keys that it was to change, by their hashes
}

// Unended is the change that was made last of a cluster, if it has no end; else nil.
func (k *Keeper) Unended(ctx context.Context, target etcdwalk.Info) (*Unended, error) {
	if k == nil {
		return nil, nil
	}
	all, err := List(ctx, k.Store)
	if err != nil {
		return nil, err
	}
	for _, one := range all {
		switch {
		case !one.Is(target):
		case one.Ended:
			return nil, nil
		default:
			plan, err := openPlan(ctx, k.Store, one.Name)
			if err != nil {
				return nil, err
			}
			u := &Unended{Name: one.Name, store: k.Store, seed: maphash.MakeSeed()}
			u.Header, err = plan.Header()
			return u, closing(plan, err)
		}
	}
	return nil, nil
}

// Covers tells whether the change has kept whatever a plan is about to change: it was to
// change these keys too, and they are as it saw them, or as it wrote them, of an adoption in its
// first half. Both have the same seal.
func (u *Unended) Covers(ctx context.Context, plan *journal.File, seal []byte) (covers bool, err error) {
	old, err := openPlan(ctx, u.store, u.Name)
	if err != nil {
		return false, err
	}
	defer func() { err = closing(old, err) }()
	old.Unseal(seal)
	u.planned = map[uint64]bool{}
	kept := map[uint64]journal.Line{} // without their keys
	for line, err := range old.Lines() {
		if err != nil {
			return false, err
		}
		if replay.Fate(line.Fate).Changes() {
			u.planned[u.hash(line.Key)], kept[u.hash(line.Key)] = true, journal.Line{Revision: line.Revision, Wanted: line.Wanted}
		}
	}
	for line, err := range plan.Lines() {
		if err != nil {
			return false, err
		}
		if was, is := kept[u.hash(line.Key)]; replay.Fate(line.Fate).Changes() && (!is || was.Revision != line.Revision && was.Wanted != line.Seen) {
			return false, nil
		}
	}
	return true, nil
}

// did tells whether a line is about a key that the change has touched before this run.
func (u *Unended) did(line replay.Line) bool {
	return u != nil && line.Fate == replay.Unchanged && u.planned[u.hash(line.Key)]
}

func (u *Unended) hash(key []byte) uint64 { return maphash.Bytes(u.seed, key) }
