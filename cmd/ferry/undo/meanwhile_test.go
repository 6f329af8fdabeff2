package undo_test

import (
	"errors"
	"testing"

	"github.com/kubeferry/kubeferry/cmd/ferry/undo"
	"github.com/kubeferry/kubeferry/etcdwalk"
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
