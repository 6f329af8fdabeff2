package ferry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/catalog"
)

// fragmentLife is how long an archive without a receipt is left alone: its backup
// may be about to write it.
const fragmentLife = 24 * time.Hour

// maxSkew is how far this machine's clock may be from the store's: ages decide.
const maxSkew = 5 * time.Minute

// A Prune removes from a store the archives that a policy does not keep.
type Prune struct {
	Store  remote.Store
	Policy catalog.Policy
	// Archives: apply the policy. Without it only what is incomplete goes.
	Archives bool
	// MaxPercent is how many in a hundred of the archives may go at once; more is
	// an etcdwalk.ErrRefused.
	MaxPercent int
	// Incomplete also removes what is no archive: uploads that never ended and
	// archives without a receipt, under names of our making, once they are a day old.
	Incomplete bool
	DryRun     bool
	Now        func() time.Time
	// Memory, if there is one, tells what the listing must show, and is told what is left.
	Memory memory
}

// Pruned is what became of a store.
type Pruned struct {
	Groups  []catalog.Group `json:"groups"`
	Removed []string        `json:"removed"`
	Swept   []string        `json:"swept"` // what was incomplete
	Denied  []Denial        `json:"denied"`
	// Cold are archives of which nothing is known, since their receipts are stored cold.
	Cold []string `json:"cold,omitempty"`
	// Gone are archives that this machine knew of, and that somebody else has removed.
	Gone   []string `json:"gone,omitempty"`
	DryRun bool     `json:"dry_run"`
}

// A Denial is an object that the store would not remove.
type Denial struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
	// ReceiptLost: it stays without its receipt, which could not be put back.
	ReceiptLost bool `json:"receipt_lost,omitempty"`
}

// A clock is a store that tells how far our time is ahead of its own, as of its
// last answer.
type clock interface {
	Skew() (ahead time.Duration, told bool)
}

// skewOf is how far our clock is ahead of a store's, as far as it tells.
func skewOf(store remote.Store) time.Duration {
	if c, ok := store.(clock); ok {
		if skew, told := c.Skew(); told {
			return skew
		}
	}
	return 0
}

// A sweeper is a store in which uploads that never ended leave something behind.
type sweeper interface {
	// Sweep removes what was begun before then under names that are ours, or only
	// tells their names if it is dry.
	Sweep(ctx context.Context, before time.Time, ours func(name string) bool, dry bool) ([]string, error)
}

// Run prunes. It decides about everything before it removes anything. What the
// store denies is an ErrIncomplete, after the rest is done.
func (p Prune) Run(ctx context.Context) (Pruned, error) {
	now := p.Now()
	listing, done, err := p.decide(ctx, now)
	if errors.Is(err, catalog.ErrHidden) { // or it came between two listings: then it is in both now
		listing, done, err = p.decide(ctx, now)
	}
	if err != nil {
		return done, err
	}
	defer func() { p.keep(listing, done) }()
	err = p.remove(ctx, catalog.Remove, leaving(done.Groups), &done.Removed, &done.Denied)
	if err == nil && p.Incomplete {
		err = p.sweep(ctx, listing, now.Add(-fragmentLife), &done)
	}
	return done, done.ended(err)
}

// decide looks at all that is there, and says what stays. Nothing was removed yet.
func (p Prune) decide(ctx context.Context, now time.Time) (l catalog.Listing, done Pruned, err error) {
	done = Pruned{Removed: []string{}, Swept: []string{}, Denied: []Denial{}, Groups: []catalog.Group{}, DryRun: p.DryRun}
	if l, err = catalog.List(ctx, p.Store); err != nil {
		return l, done, err
	}
	if skew := skewOf(p.Store); skew.Abs() > maxSkew {
		return l, done, fmt.Errorf("this machine's clock is %s ahead of the store's: %w", skew, catalog.ErrDoubt)
	}
	if p.Archives {
		if done.Groups, err = l.Retain(p.Policy, now); err != nil {
			return l, done, err
		}
	}
	for _, f := range l.Cold {
		done.Cold = append(done.Cold, f.Name)
	}
	going := len(leaving(done.Groups))
	if n := len(l.Items); going*100 > p.MaxPercent*n {
		return l, done, fmt.Errorf("%d of %d archives would be removed, more than %d %%%.0w", going, n, p.MaxPercent, etcdwalk.ErrRefused)
	}
	if going > 0 || p.Incomplete && len(l.Unfinished) > 0 {
		done.Gone, err = p.sure(ctx, l)
	}
	return l, done, doing(err, "make sure that nothing is left out")
}

// ended is the error of a run that ended with err. A receipt that is lost is told
// whatever ended it.
func (p Pruned) ended(err error) error {
	if len(p.Denied) == 0 {
		return err
	}
	i := slices.IndexFunc(p.Denied, func(d Denial) bool { return d.ReceiptLost })
	told := p.Denied[max(i, 0)]
	denied := fmt.Errorf("%s%.0w", told.Reason, ErrIncomplete)
	if more := len(p.Denied) - 1; more > 0 {
		denied = fmt.Errorf("%w; and %d more could not be removed", denied, more)
	}
	if told.ReceiptLost {
		denied = fmt.Errorf("%w%.0w", denied, catalog.ErrReceiptLost)
	}
	switch {
	case err == nil:
		return denied
	case told.ReceiptLost:
		return fmt.Errorf("%w; and %w", err, denied)
	}
	return err
}

// leaving are the archives that no rule keeps, the oldest first, so that a run
// that is cut short has removed what is worth least.
func leaving(groups []catalog.Group) []string {
	var going []catalog.Verdict
	for _, g := range groups {
		for _, v := range g.Verdicts {
			if !v.Keep {
				going = append(going, v)
			}
		}
	}
	slices.SortFunc(going, func(a, b catalog.Verdict) int { return a.Receipt.Created.Compare(b.Receipt.Created) })
	names := make([]string, len(going))
	for i, v := range going {
		names[i] = v.Name
	}
	return names
}

// remove removes archives, or only names them. A denial is noted, and what has been
// finished meanwhile stays; any other error ends it. Once a receipt could not be put
// back, no other is risked.
func (p Prune) remove(ctx context.Context, remove func(context.Context, remote.Store, string) error, archives []string, removed *[]string, denied *[]Denial) error {
	for _, name := range archives {
		var err error
		if !p.DryRun {
			err = remove(ctx, p.Store, name)
		}
		lost := errors.Is(err, catalog.ErrReceiptLost)
		if lost {
			remove = catalog.RemoveReceiptLast
		}
		switch {
		case errors.Is(err, fs.ErrExist):
		case errors.Is(err, fs.ErrPermission):
			*denied = append(*denied, Denial{name, err.Error(), lost})
		case err != nil:
			return doing(err, "pruning")
		default:
			*removed = append(*removed, name)
		}
	}
	return nil
}

// Leftovers are the names of uploads in a store that were begun before then and never
// ended: left by a run that was killed, or of one that goes on. There are none where
// the store has no such thing.
func Leftovers(ctx context.Context, store remote.Store, before time.Time) ([]string, error) {
	s, ok := store.(sweeper)
	if !ok {
		return nil, nil
	}
	left, err := s.Sweep(ctx, before, catalog.IsOurs, true)
	return left, doing(err, "look for unfinished uploads")
}

// sweep removes what is no archive and was begun before then.
func (p Prune) sweep(ctx context.Context, l catalog.Listing, before time.Time, done *Pruned) error {
	var old []string
	for _, f := range l.Unfinished {
		if !f.Modified.Before(before) || !catalog.IsOurs(f.Name) {
			continue
		}
		// A listing can leave a receipt out; what a listing says is not enough to
		// remove what may be a good archive.
		switch _, err := catalog.Read(ctx, p.Store, f.Name); {
		case errors.Is(err, catalog.ErrReserved): // the archive may be whole
			continue
		case err == nil:
			return fmt.Errorf("%s was listed without its receipt, and has one: %w", f.Name, catalog.ErrDoubt)
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("look for the receipt of %s: %w: %w", f.Name, catalog.ErrDoubt, err)
		}
		old = append(old, f.Name)
	}
	if err := p.remove(ctx, catalog.RemoveUnfinished, old, &done.Swept, &done.Denied); err != nil {
		return err
	}
	if s, ok := p.Store.(sweeper); ok {
		swept, err := s.Sweep(ctx, before, catalog.IsOurs, p.DryRun)
		done.Swept = append(done.Swept, swept...)
		if err != nil {
			return doing(err, "sweep unfinished uploads")
		}
	}
	return nil
}
