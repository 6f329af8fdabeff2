package ferry

import (
	"context"
	"iter"
	"slices"

	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/catalog"
)

// A memory is what this machine knows of a place from one run to the next: the finished
// archives that it has stored or seen there. It is no more than a help: what cannot be
// recalled is not known.
type memory interface {
	Recall() []string
	Keep(archives []string)
}

// A lister is a store that can be listed in another way, which a mistake of the first is
// hardly in.
type lister interface {
	ListAnew(ctx context.Context, prefix string) iter.Seq2[remote.Info, error]
}

// sure makes sure, before anything is removed, that the listing is the whole. It returns
// the archives that this machine knew of and that are gone.
func (p Prune) sure(ctx context.Context, l catalog.Listing) (gone []string, err error) {
	if gone, err = l.Absent(ctx, p.Store, p.recall()); err != nil {
		return nil, err
	}
	if s, ok := p.Store.(lister); ok {
		err = l.Confirm(ctx, p.Store, s.ListAnew(ctx, ""))
	}
	return gone, err
}

func (p Prune) recall() []string {
	if p.Memory == nil {
		return nil
	}
	return p.Memory.Recall()
}

// keep remembers what is there now.
func (p Prune) keep(l catalog.Listing, done Pruned) {
	if p.Memory == nil || p.DryRun {
		return
	}
	known := p.Memory.Recall()
	for _, item := range l.Items {
		known = append(known, item.Name)
	}
	slices.Sort(known)
	known = slices.DeleteFunc(slices.Compact(known), func(name string) bool {
		return slices.Contains(done.Removed, name) || slices.Contains(done.Gone, name)
	})
	p.Memory.Keep(known)
}
