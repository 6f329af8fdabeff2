package catalog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"slices"

	"github.com/kubeferry/kubeferry/remote"
)

// ErrHidden: a listing leaves out what is there. It is a remote.ErrUnavailable.
var ErrHidden = fmt.Errorf("the listing leaves out what is there%.0w", remote.ErrUnavailable)

// Absent looks for archives that somebody knows of, and their receipts, which the listing
// does not show. One that is there is an [ErrHidden]; those that are gone are returned.
func (l Listing) Absent(ctx context.Context, store remote.Store, archives []string) (gone []string, err error) {
	for _, archive := range archives {
		for _, name := range []string{archive, ReceiptName(archive)} {
			if _, listed := l.objects[name]; listed {
				continue
			}
			switch err := look(ctx, store, name); {
			case err == nil:
				return nil, fmt.Errorf("%s: %w", name, ErrHidden)
			case !errors.Is(err, fs.ErrNotExist):
				return nil, fmt.Errorf("look for %s, which is not listed: %w", name, err)
			case name == archive:
				gone = append(gone, archive)
			}
		}
	}
	return gone, nil
}

// Confirm holds another listing of the store against this one. What one of them leaves
// out is an [ErrHidden], but for what went meanwhile. So is what came meanwhile: the time
// that a store tells of an object may be that of its upload's beginning.
func (l Listing) Confirm(ctx context.Context, store remote.Store, again iter.Seq2[remote.Info, error]) error {
	objects, err := gather(again)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(objects)) {
		if _, listed := l.objects[name]; !listed {
			return fmt.Errorf("%s is in one listing and not in another: %w", name, ErrHidden)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.objects)) {
		if _, listed := objects[name]; listed {
			continue
		}
		switch err := look(ctx, store, name); {
		case err == nil:
			return fmt.Errorf("%s is in one listing and not in another: %w", name, ErrHidden)
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("look for %s, which is in one listing only: %w", name, err)
		}
	}
	return nil
}
