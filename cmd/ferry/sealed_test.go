package ferry_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
	"github.com/kubeferry/kubeferry/remote/remotetest"
)

// sealedObjects are n Secrets, each encrypted with a key of another name.
func sealedObjects(n int) []etcdwalk.Entry {
	var entries []etcdwalk.Entry
	for i := range n {
		entries = append(entries, etcdwalk.Entry{
			Key:            fmt.Appendf(nil, "/registry/secrets/shop/token-%04d", i),
			Value:          fmt.Appendf(nil, "k8s:enc:aescbc:v1:key-%04d:\x01\x02", i),
			CreateRevision: 2, ModRevision: int64(i + 2), Version: 1,
		})
	}
	return entries
}

// TestMadeUpNamesOfKeysAreBounded: whoever may write Secrets can make names of keys up;
// an archive names 64, and counts the others together.
func TestMadeUpNamesOfKeysAreBounded(t *testing.T) {
	var store remotetest.Memory
	done, err := backup(walktest.NewView(sealedObjects(1000)...), &store).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n, last := len(done.Sealed), done.Sealed[0]; n != 65 || last.Encoding != "k8s:enc" || last.Keys != 936 {
		t.Errorf("%d names, the first %+v", n, last)
	}
	a, err := ferry.Open(t.Context(), &store, done.Receipt.Name, ferry.Keys{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	v, err := a.Verify(t.Context(), nil, nil)
	if err != nil || len(v.Encodings) != 65 {
		t.Errorf("%d encodings, %v", len(v.Encodings), err)
	}
}

// TestCountsOfSealedValuesAreHeldAgainstTheValues: an archive that says otherwise than its
// values do is damaged.
func TestCountsOfSealedValuesAreHeldAgainstTheValues(t *testing.T) {
	const first, second = "k8s:enc:aescbc:v1:key-0000", "k8s:enc:aescbc:v1:key-0001"
	for _, c := range []struct {
		told []archive.SealedTotal
		want string // empty: it is sound
	}{
		{nil, ""}, // as before format 1.1
		{[]archive.SealedTotal{{Kind: "secrets", Encoding: first, Keys: 1}, {Kind: "secrets", Encoding: second, Keys: 1}}, ""},
		{[]archive.SealedTotal{}, "counts 0 values encrypted at rest with " + first + ", there are 1"},
		{[]archive.SealedTotal{{Kind: "secrets", Encoding: first, Keys: 2}}, "counts 2 values encrypted at rest with " + first + ", there are 1"},
		{[]archive.SealedTotal{{Kind: "secrets", Encoding: first, Keys: 1}}, "counts 0 values encrypted at rest with " + second + ", there are 1"},
		{[]archive.SealedTotal{{Kind: "secrets", Encoding: first, Keys: 1}, {Kind: "secrets", Encoding: second, Keys: 1}, {Kind: "secrets", Encoding: "k8s:enc:none:v1:x", Keys: 1}}, "counts 1 values encrypted at rest with k8s:enc:none:v1:x, there are none"},
	} {
		var store remotetest.Memory
		store.Put("a.zip", archiveTelling(t, c.told))
		a, err := ferry.Open(t.Context(), &store, "a.zip", ferry.Keys{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = a.Verify(t.Context(), nil, nil)
		a.Close()
		switch {
		case c.want == "" && err != nil:
			t.Errorf("told %v: %v", c.told, err)
		case c.want != "" && (!errors.Is(err, archive.ErrDamaged) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("told %v: got %v, want %q", c.told, err, c.want)
		}
	}
}

// archiveTelling is an archive of three Secrets, of which two are sealed, that tells so.
func archiveTelling(t *testing.T, told []archive.SealedTotal) []byte {
	t.Helper()
	layout, err := kube.NewLayout()
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	w, err := archive.NewWriter(&file, archive.Header{Sources: []etcdwalk.Info{{API: etcdwalk.V3}}, Created: time.Now()}, layout.Classify)
	if err != nil {
		t.Fatal(err)
	}
	entries := sealedObjects(3)
	entries[2].Value = []byte(`{"kind":"Secret","apiVersion":"v1","metadata":{"name":"token-0002","namespace":"shop"}}`)
	for _, e := range entries {
		if err := w.Put(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(archive.Ending{Outcome: etcdwalk.Outcome{Consistent: true}, Sealed: told}); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}
