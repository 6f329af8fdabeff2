package undo_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/cmd/ferry/undo"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/remote"
)

// A restore that brings a cluster's kube-system into an empty etcd keeps others out of it from
// then on, too.
func TestALockHoldsWhileTheIdentityComes(t *testing.T) {
	folder := t.TempDir()
	var before, after, other etcdwalk.Info
	before.ClusterID, after.ClusterID, other.ClusterID = 7, 7, 8
	before.Identify([]etcdwalk.Identity{{State: etcdwalk.IdentityNone}})
	after.Identify([]etcdwalk.Identity{{State: etcdwalk.IdentityUID, UID: "u"}})
	other.Identify([]etcdwalk.Identity{{State: etcdwalk.IdentityUID, UID: "u"}})
	release, err := undo.Lock(folder, before)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := undo.Lock(folder, after); !errors.Is(err, undo.ErrLocked) {
		t.Errorf("%v", err)
		_ = again()
	}
	elsewhere, err := undo.Lock(folder, other)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(release(), elsewhere()); err != nil {
		t.Error(err)
	}
}

// A vanishing store loses a plan, which another run removes, once it was listed.
type vanishing struct {
	remote.Store
	gone string
}

func (v *vanishing) Open(ctx context.Context, name string) (remote.Object, error) {
	if strings.HasPrefix(name, v.gone) && v.gone != "" {
		if err := v.Remove(ctx, name); err != nil {
			return nil, err
		}
		v.gone = ""
	}
	return v.Store.Open(ctx, name)
}

// A change that another run forgets while they are listed is no reason to refuse the next one.
func TestAChangeThatGoesWhileTheyAreListed(t *testing.T) {
	w := newWorld(t, text("a", "1"))
	w.change(t, nothing, text("a", "2"))
	first := w.newest(t)
	w.change(t, nothing, text("a", "3"))
	v := &vanishing{w.store, first}
	all, err := undo.List(t.Context(), v)
	if err != nil || len(all) != 1 || all[0].Name == first {
		t.Errorf("%v, %v", all, err)
	}
	if v.gone != "" {
		t.Error("none went")
	}
}
