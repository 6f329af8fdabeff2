package kube_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// Each kind's real value names the object that its key names.
func TestMetaOfRealValues(t *testing.T) {
	l := newLayout(t)
	kinds := map[string]string{}
	for _, fixture := range []string{"registry-1.36-encrypted.keys.tsv", "registry-1.36.keys.tsv"} {
		for _, line := range truths(t, fixture) {
			if line.form != "enc" {
				kinds[line.key] = line.kind
			}
		}
	}
	read, sealed := 0, 0
	for _, e := range values(t) {
		encoding, meta, err := object.Read(e.Value)
		if encoding.Encrypted() || string(e.Key) == "compact_rev_key" {
			sealed++
			if !errors.Is(err, object.ErrUnreadable) || !cmp.Equal(meta, object.Meta{}) {
				t.Errorf("%s: got %+v, %v", e.Key, meta, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", e.Key, err)
			continue
		}
		read++
		if got, want := meta.APIVersion+"/"+meta.Kind, kinds[string(e.Key)]; got != want {
			t.Errorf("%s: got %s, want %s", e.Key, got, want)
		}
		named, ok := l.Parse(e.Key)
		if ok && (meta.Name != named.Name || meta.Namespace != named.Namespace || meta.UID == "") {
			t.Errorf("%s: metadata %+v", e.Key, meta)
		}
		if want := string(e.Key) == "/registry/namespaces/empty-ns"; meta.Deleting != want {
			t.Errorf("%s: deleting %t, want %t", e.Key, meta.Deleting, want)
		}
		if err := l.CheckValue(e.Key, e.Value); err != nil {
			t.Error(err)
		}
	}
	if read < 65 || sealed < 8 {
		t.Errorf("read %d values and found %d sealed", read, sealed)
	}
}
