package object_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/scripts/fixtures/database"
)

// fixtures is where the keyspaces of real API servers are.
var fixtures = filepath.Join("..", "..", "..", "testdata", "fixtures")

// entriesOf are the live keys of a fixture.
func entriesOf(t testing.TB, fixture string) []etcdwalk.Entry {
	t.Helper()
	db, err := database.Read(filepath.Join(fixtures, fixture+".db.zst"))
	if err != nil {
		t.Fatal(err)
	}
	return db.Entries
}

// openerOf has the keys of a configuration among the fixtures.
func openerOf(t testing.TB, name string) *object.Opener {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(fixtures, name))
	if err != nil {
		t.Fatal(err)
	}
	opener, err := object.ParseEncryption(text)
	if err != nil {
		t.Fatal(err)
	}
	return opener
}

// values are stored values, as etcd held them: the smallest of each kind, each
// definition of a custom resource, and some encrypted ones.
func values(t testing.TB) []etcdwalk.Entry {
	t.Helper()
	all, err := database.Values(filepath.Join(fixtures, "registry-1.36.values.tsv"))
	if err != nil || len(all) < 60 {
		t.Fatalf("there are %d values, %v", len(all), err)
	}
	return all
}

// valueOf is the first value in the fixture that lies under key and begins as told.
func valueOf(t testing.TB, key, begin string) []byte {
	t.Helper()
	for _, v := range values(t) {
		if string(v.Key) == key && strings.HasPrefix(string(v.Value), begin) {
			return v.Value
		}
	}
	t.Fatalf("no value for %q that begins with %q", key, begin)
	return nil
}
