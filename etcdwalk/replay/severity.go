package replay

import (
	"context"
	"errors"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// The weights of errors: of two, the heavier one decides.
const (
	nothing = iota
	ending  // only that a context has ended
	waiting // the target is unavailable, which may pass
	stopping
)

func weight(err error) int {
	switch {
	case err == nil:
		return nothing
	case ended(err):
		return ending
	case errors.Is(err, etcdwalk.ErrUnavailable):
		return waiting
	}
	return stopping
}

// ended tells whether err says no more than that a context has ended. An error
// that was joined with such a one does say more, although errors.Is finds both.
func ended(err error) bool {
	switch e := err.(type) { //nolint:errorlint // this is what takes an error apart
	case interface{ Unwrap() []error }:
		for _, part := range e.Unwrap() {
			if !ended(part) {
				return false
			}
		}
		return true
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			return ended(inner)
		}
	}
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// moreSevere picks the error that decides: the first that stops, else the first for
// which there is a wait, else the first.
func moreSevere(a, b error) error {
	if weight(b) > weight(a) {
		return b
	}
	return a
}

// both joins what two batches came to, but for what adds nothing to the other:
// that a context has ended, and that the target is unavailable, once more.
func both(a, b error) error {
	x, y := weight(a), weight(b)
	if min(x, y) <= ending || max(x, y) == waiting {
		return moreSevere(a, b)
	}
	return errors.Join(a, b)
}
