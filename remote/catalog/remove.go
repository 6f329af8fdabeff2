package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/kubeferry/kubeferry/remote"
)

// ErrReceiptLost: an archive stays where its removal failed, or may stay, and its
// receipt is gone: it counts as unfinished.
var ErrReceiptLost = errors.New("the archive has lost its receipt")

// settleTime is how long it may take to settle what a failed removal leaves.
const settleTime = 30 * time.Second

// settling is a context of its own for what must be done though ctx has ended: a
// receipt that is gone already is nowhere else but here.
func settling(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), settleTime)
}

// A locker is a store that can lock objects.
type locker interface {
	// Locked tells why an object may not be removed; nil: nothing is known
	// against it.
	Locked(ctx context.Context, name string) error
}

// checkLock is an error if the store can tell that the archive is locked.
func checkLock(ctx context.Context, store remote.Store, archive string) error {
	if l, ok := store.(locker); ok {
		if err := l.Locked(ctx, archive); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove %s: %w", archive, err)
		}
	}
	return nil
}

// Remove removes an archive, its receipt first: a crash in between leaves an
// unfinished archive, and not a listed one that is not there. What is gone already
// is no error. Where the store can tell that the archive is locked, the receipt
// stays too.
//
// If the archive then stays, since the store denies its removal or fails, the
// receipt is put back as it was. Where that fails too, the error is an
// [ErrReceiptLost] besides. A receipt that cannot be read could not be put back:
// it stays, and so does its archive.
func Remove(ctx context.Context, store remote.Store, archive string) error {
	if err := checkLock(ctx, store, archive); err != nil {
		return err
	}
	receipt := ReceiptName(archive)
	kept, err := readAll(ctx, store, receipt)
	switch {
	case err == nil:
		err = store.Remove(ctx, receipt)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("remove %s, whose receipt could not be put back: %w", archive, err)
	}
	// Another removal may have taken the receipt just now, and may put it back.
	elsewhere := errors.Is(err, fs.ErrNotExist)
	if err == nil || elsewhere {
		err = store.Remove(ctx, archive)
	}
	switch {
	case err == nil || errors.Is(err, fs.ErrNotExist):
		if elsewhere {
			return removeNow(ctx, store, receipt)
		}
		return nil
	case kept == nil:
		return err
	}
	return settle(ctx, store, archive, kept, err)
}

// RemoveReceiptLast removes an archive before its receipt: for who has had an
// [ErrReceiptLost], so that another denial costs no other receipt. A crash in
// between leaves a receipt whose archive is missing.
func RemoveReceiptLast(ctx context.Context, store remote.Store, archive string) error {
	if err := removeOnly(ctx, store, archive); err != nil {
		return err
	}
	return removeNow(ctx, store, ReceiptName(archive))
}

// RemoveUnfinished removes an archive that has no receipt. One that has got a receipt
// by now is finished, and stays: fs.ErrExist. So does one beside an empty receipt,
// which may be whole.
func RemoveUnfinished(ctx context.Context, store remote.Store, archive string) error {
	switch err := look(ctx, store, ReceiptName(archive)); {
	case err == nil:
		return fmt.Errorf("remove %s, which has a receipt now: %w", archive, fs.ErrExist)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("look for the receipt of %s: %w", archive, err)
	}
	return removeOnly(ctx, store, archive)
}

// removeOnly removes an archive that is not locked, and looks at no receipt.
func removeOnly(ctx context.Context, store remote.Store, archive string) error {
	if err := checkLock(ctx, store, archive); err != nil {
		return err
	}
	if err := store.Remove(ctx, archive); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// removeNow removes the receipt of an archive that is gone, whatever became of the
// context.
func removeNow(ctx context.Context, store remote.Store, receipt string) error {
	ctx, done := settling(ctx)
	defer done()
	if err := store.Remove(ctx, receipt); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w; its archive is gone", err)
	}
	return nil
}

// settle gives an archive whose removal failed its receipt back, and tells what has
// become of both. The error is of the failure's kind only: what else fails is told
// by its text.
func settle(ctx context.Context, store remote.Store, archive string, kept []byte, failure error) error {
	ctx, done := settling(ctx)
	defer done()
	receipt := ReceiptName(archive)
	back := putBack(ctx, store, receipt, kept)
	// Looked at after that: who removes the archive from now on sees the receipt.
	unseen := look(ctx, store, archive)
	if errors.Is(unseen, fs.ErrNotExist) {
		if err := removeNow(ctx, store, receipt); err != nil {
			return fmt.Errorf("%w; and %s", failure, err.Error())
		}
		return failure
	}
	stays := "stays"
	if unseen != nil && !errors.Is(failure, fs.ErrPermission) { // a denial says that it is there
		stays = "may be there still"
	}
	switch {
	case back == nil:
		return fmt.Errorf("%w; it %s, with its receipt", failure, stays)
	case errors.Is(back, fs.ErrExist):
		return fmt.Errorf("%w; it %s, with a receipt that somebody else has put there", failure, stays)
	}
	return fmt.Errorf("%w; it %s, and has no receipt now, since putting it back failed (%s): kubeferry receipt %s -i IDENTITY recreates it%.0w",
		failure, stays, back.Error(), archive, ErrReceiptLost)
}

// putBack makes the receipt again that was removed. It is an fs.ErrExist if another
// is there by now.
func putBack(ctx context.Context, store remote.Store, receipt string, kept []byte) error {
	err := create(ctx, store, receipt, kept)
	if err == nil {
		return nil
	}
	// Another removal of the same archive may have put it back.
	there, unread := readAll(ctx, store, receipt)
	switch {
	case unread != nil:
		return err
	case bytes.Equal(there, kept):
		return nil
	}
	return fmt.Errorf("put back %s: %w", receipt, fs.ErrExist)
}

// look is nil if there is the object, and fs.ErrNotExist if there is none.
func look(ctx context.Context, store remote.Store, name string) error {
	o, err := store.Open(ctx, name)
	if err != nil {
		return err
	}
	return o.Close()
}
