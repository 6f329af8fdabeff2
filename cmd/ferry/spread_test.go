package ferry_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
	"github.com/kubeferry/kubeferry/remote/remotetest"
)

// The names are counted in the one reading that a verification is.
func TestNamesAreCountedWhileTheArchiveIsVerified(t *testing.T) {
	var store remotetest.Memory
	recipient, keys := newKeys(t)
	made, err := backup(walktest.NewView(noise(20, "configmaps", "secrets")...), &store, recipient).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	read := func(verify func(*ferry.Archive) error) (int64, error) {
		a, err := ferry.Open(t.Context(), &store, made.Receipt.Name, keys)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		err = verify(a)
		if !a.Storable() {
			t.Error("the archive was not verified to its end")
		}
		return a.BytesRead(), err
	}
	want, err := read(func(a *ferry.Archive) error { _, err := a.Verify(t.Context(), nil, nil); return err })
	if err != nil {
		t.Fatal(err)
	}
	q := query(t, kube.Filter{Include: []string{"cm/object-007", "secret/object-008"}})
	for all, text := range map[bool]string{true: "", false: "cm/object-007 is in 100 namespaces, secret/object-008 is in 100 namespaces: add -n NAMESPACE, or -A for all"} {
		got, err := read(func(a *ferry.Archive) error { _, err := a.VerifyFor(t.Context(), q, all, nil); return err })
		if got != want {
			t.Errorf("all: %v: %d bytes were read, and %d by a verification alone", all, got, want)
		}
		if errors.Is(err, ferry.ErrSeveral) == all || err != nil && err.Error() != text {
			t.Errorf("all: %v: got %v, want %q", all, err, text)
		}
	}
}

// What a backup counts is its own: another one begins anew.
func TestABackupCountsTheNamespacesOfANameOnce(t *testing.T) {
	var entries []etcdwalk.Entry
	for i := range 4 {
		key, value := object(fmt.Sprintf("ns-%d", i), "app", 40)
		entries = append(entries, etcdwalk.Entry{Key: []byte(key), Value: []byte(value), ModRevision: int64(i + 2), Version: 1})
	}
	b := backup(walktest.NewView(entries...), &remotetest.Memory{})
	b.Query = query(t, kube.Filter{Include: []string{"cm/app"}})
	want := []kube.InNamespaces{{Word: "cm/app", Namespaces: 4}}
	for range 2 {
		done, err := b.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		counted, err := b.Tally(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, done.Named) + cmp.Diff(want, counted.Named); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}
