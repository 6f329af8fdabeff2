package ferry

import (
	"context"
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

// A keeper is a store that knows until when it keeps an object locked.
type keeper interface {
	// RetainedUntil is zero if no time is set. What these credentials may not see
	// is an fs.ErrPermission.
	RetainedUntil(ctx context.Context, name string) (time.Time, error)
}

// Run verifies the whole archive and publishes what it says of itself. A receipt
// that is there already is an fs.ErrExist if it agrees, and else a
// catalog.ErrMismatch or catalog.ErrReceipt: it is never replaced.
func (r Receipting) Run(ctx context.Context) (catalog.Receipt, Verified, error) {
	a, err := Open(ctx, r.Store, r.Name, r.Keys)
	if err != nil {
		return catalog.Receipt{}, Verified{}, err
	}
	defer a.Close()
	seen, err := a.Verify(ctx, r.Progress)
	if err != nil {
		return catalog.Receipt{}, seen, err
	}
	if a.Receipt != nil {
		return *a.Receipt, seen, fmt.Errorf("the receipt of %s is there, and agrees with the archive: %w", r.Name, fs.ErrExist)
	}
	digest, err := sum(ctx, a.object)
	if err != nil {
		return catalog.Receipt{}, seen, storing(err, "reading the archive "+r.Name)
	}
	told := receipt(a.Header(), a.Manifest(), r.Name)
	if k, ok := r.Store.(keeper); ok {
		if told.RetainUntil, err = k.RetainedUntil(ctx, r.Name); err != nil {
			return catalog.Receipt{}, seen, storing(err, "asking until when "+r.Name+" is kept")
		}
	}
	told = catalog.NewReceipt(told, digest)
	if err := catalog.Publish(ctx, r.Store, told); err != nil {
		return catalog.Receipt{}, seen, storing(err, "publishing the receipt of "+r.Name)
	}
	return told, seen, nil
}
