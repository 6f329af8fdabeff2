package object_test

import (
	"encoding/base64"
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

// A stored value, and the key that it lies under.
type stored struct {
	key   string
	value []byte
}

// values are stored values, as etcd held them: the smallest of each kind, each
// definition of a custom resource, and some encrypted ones.
func values(t testing.TB) []stored {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(fixtures, "registry-1.36.values.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	var all []stored
	for line := range strings.Lines(string(raw)) {
		key, encoded, _ := strings.Cut(strings.TrimRight(line, "\n"), "\t")
		value, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, stored{key, value})
	}
	if len(all) < 60 {
		t.Fatalf("there are %d values", len(all))
	}
	return all
}

// valueOf is the first value in the fixture that lies under key and begins as told.
func valueOf(t testing.TB, key, begin string) []byte {
	t.Helper()
	for _, v := range values(t) {
		if v.key == key && strings.HasPrefix(string(v.value), begin) {
			return v.value
		}
	}
	t.Fatalf("no value for %q that begins with %q", key, begin)
	return nil
}
