package object_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/scripts/fixtures/database"
)

// TestWithoutOwnersChangesNothingElse: of every stored object.
func TestWithoutOwnersChangesNothingElse(t *testing.T) {
	owned, edited := 0, 0
	db, err := database.Read(fixtures + "/registry-1.36.db.zst")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range db.Entries {
		before, err := object.Decode(v.Value)
		if err != nil {
			continue
		}
		value, err := object.WithoutOwners(v.Value)
		if before.Encoding == object.CBOR || before.Encoding == object.YAML {
			if err == nil {
				t.Errorf("%s, %s: it was edited", v.Key, before.Encoding)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", v.Key, err)
		}
		edited++
		after, err := object.Decode(value)
		if err != nil {
			t.Fatalf("%s: %v", v.Key, err)
		}
		if len(after.Meta.Owners) > 0 || !before.EqualButOwners(after) {
			t.Errorf("%s: %+v\n%s", v.Key, after.Meta, cmp.Diff(before.Tree(), after.Tree()))
		}
		if len(before.Meta.Owners) == 0 {
			if before.Encoding == object.Protobuf && !bytes.Equal(value, v.Value) {
				t.Errorf("%s has no owners, and was changed", v.Key)
			}
			continue
		}
		owned++
		if object.Equal(before, after) {
			t.Errorf("%s: without its owners it equals itself", v.Key)
		}
	}
	if owned < 50 || edited < 500 {
		t.Errorf("%d objects, %d of them with owners", edited, owned)
	}
}

func FuzzWithoutOwners(f *testing.F) {
	for _, v := range values(f) {
		f.Add(v.Value)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		edited, err := object.WithoutOwners(value)
		if err != nil {
			return
		}
		if len(edited) > len(value)+32 { // a length may be written shorter or longer than it was
			t.Errorf("%d bytes became %d", len(value), len(edited))
		}
		if o, err := object.Decode(edited); err == nil && len(o.Meta.Owners) > 0 {
			t.Errorf("it still has owners: %+v", o.Meta)
		}
	})
}

func TestSelects(t *testing.T) {
	for _, c := range []struct {
		value string
		match bool
	}{
		{`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a"},"spec":{"selector":{"matchLabels":{"app":"web"}}}}`, true},
		{`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a"},"spec":{"selector":{"matchLabels":{"app":"db"}}}}`, false},
		{`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a"},"spec":{"selector":{"matchExpressions":[{"key":"app","operator":"In","values":["web","db"]}]}}}`, true},
		{`{"apiVersion":"v1","kind":"ReplicationController","metadata":{"name":"a"},"spec":{"selector":{"app":"web"}}}`, true},
		{`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}`, false},
	} {
		o, err := object.Decode([]byte(c.value))
		if err != nil {
			t.Fatal(err)
		}
		selects, some := o.Selects()
		if got := some && selects.Match(object.Meta{Labels: map[string]string{"app": "web"}}); got != c.match {
			t.Errorf("%s: %v", c.value, got)
		}
	}
}
