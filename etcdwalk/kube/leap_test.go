package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// lame is a view of a server that tells no keys without their values.
type lame struct {
	*walktest.View

	asked int
}

func (l *lame) Leap(context.Context, etcdwalk.Ranges, func([]byte) []byte) error {
	l.asked++
	return fmt.Errorf("keysOnly is not implemented%.0w", errors.ErrUnsupported)
}

// What cannot leap is walked.
func TestAViewThatCannotLeap(t *testing.T) {
	var entries []etcdwalk.Entry
	for _, key := range []string{"/a/1", "/a/2", "/b/1", "/c/1", "/c/2"} {
		entries = append(entries, etcdwalk.Entry{Key: []byte(key), Value: []byte("x"), CreateRevision: 1, ModRevision: 1, Version: 1})
	}
	view := &lame{View: walktest.NewView(entries...)}
	var got []string
	err := leap(t.Context(), view, etcdwalk.Ranges{etcdwalk.Prefix("/")}, func(key []byte) []byte {
		got = append(got, string(key))
		return etcdwalk.Prefix(string(key[:3])).End
	})
	if err != nil || view.asked != 1 || !slices.Equal(got, []string{"/a/1", "/b/1", "/c/1"}) {
		t.Errorf("%q after %d leaps: %v", got, view.asked, err)
	}
}
