package ferry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/catalog"
)

// A Receipting makes the receipt of an archive that has none: one that came
// through a pipe, was copied alone, or lost it to a removal that was then denied.
type Receipting struct {
	Store    remote.Store
	Name     string // of the archive
	Keys     Keys
	Progress Progress
}

// Receipted is what became of a Receipting.
type Receipted struct {
	Receipt   catalog.Receipt
	Verified  Verified
	Encrypted bool
	// LockUnseen: whether the store keeps the archive locked these credentials may not
	// see, and the receipt does not say.
	LockUnseen bool
}

// A keeper is a store that knows until when it keeps an object locked.
type keeper interface {
	// RetainedUntil is zero if no time is set. What these credentials may not see
	// is an fs.ErrPermission.
	RetainedUntil(ctx context.Context, name string) (time.Time, error)
}

// Run verifies the whole archive and publishes what it says of itself. A receipt
// that is there already is an fs.ErrExist if it agrees, and else a
// catalog.ErrMismatch or catalog.ErrReceipt: it is never replaced. What no listing
// of the store shows gets none: an ErrUnlisted.
func (r Receipting) Run(ctx context.Context) (Receipted, error) {
	if err := r.listed(ctx); err != nil {
		return Receipted{}, err
	}
	a, err := Open(ctx, r.Store, r.Name, r.Keys)
	if err != nil {
		return Receipted{}, err
	}
	defer a.Close()
	done := Receipted{Encrypted: a.Encrypted}
	if done.Verified, err = a.Verify(ctx, nil, r.Progress); err != nil {
		return done, err
	}
	if a.Receipt != nil {
		return done, fmt.Errorf("%s already has a valid receipt%.0w", r.Name, fs.ErrExist)
	}
	digest, err := sum(ctx, a.object)
	if err != nil {
		return done, doing(err, "read archive "+r.Name)
	}
	told := receipt(a.Header(), a.Manifest(), r.Name)
	if k, ok := r.Store.(keeper); ok {
		told.RetainUntil, err = k.RetainedUntil(ctx, r.Name)
		if done.LockUnseen = errors.Is(err, fs.ErrPermission); err != nil && !done.LockUnseen {
			return done, doing(err, "ask until when "+r.Name+" is kept")
		}
	}
	done.Receipt = catalog.NewReceipt(told, digest)
	if err := catalog.Publish(ctx, r.Store, done.Receipt); err != nil {
		return done, doing(err, "publish the receipt of "+r.Name)
	}
	return done, nil
}

// ErrUnlisted: a listing does not show the archive, so that a receipt would make it
// a broken one.
var ErrUnlisted = errors.New("no listing shows it")

// listed refuses an archive that is a link to another, or hidden.
func (r Receipting) listed(ctx context.Context) error {
	for info, err := range r.Store.List(ctx, r.Name) {
		switch {
		case errors.Is(err, fs.ErrPermission):
			return nil // who may not list finds out by looking
		case err != nil:
			return doing(err, "look for "+r.Name)
		case info.Name == r.Name:
			return nil
		}
	}
	switch o, err := r.Store.Open(ctx, r.Name); {
	case err != nil:
		return err
	default:
		_ = o.Close() // it was not read
	}
	return fmt.Errorf("%s is a link, or hidden: %w", r.Name, ErrUnlisted)
}
