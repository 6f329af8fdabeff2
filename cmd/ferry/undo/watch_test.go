package undo_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubeferry/kubeferry/cmd/ferry/undo"
	"github.com/kubeferry/kubeferry/etcdwalk"
)

// A cluster that does not answer once is looked at again; the last look counts.
func TestLookAgain(t *testing.T) {
	away := errors.Join(errors.New("no answer"), etcdwalk.ErrUnavailable)
	for name, c := range map[string]struct {
		answers []error // of the looks after 1, 5, and 6 seconds
		looks   int
		err     error
	}{
		"away once":   {[]error{nil, away, nil}, 2, nil},
		"away at end": {[]error{nil, nil, away}, 2, etcdwalk.ErrUnavailable},
		"denied":      {[]error{etcdwalk.ErrDenied, nil, nil}, 0, etcdwalk.ErrDenied},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun, n, told := time.Now(), 0, 0
				watched, looks, err := undo.LookAgain(t.Context(), 6*time.Second, func(time.Duration) { told++ }, func() error {
					n++
					return c.answers[n-1]
				})
				if looks != c.looks || !errors.Is(err, c.err) || watched != time.Since(begun) || told != n {
					t.Errorf("%d looks, %d told, after %v: %v", looks, told, watched, err)
				}
			})
		})
	}
}
