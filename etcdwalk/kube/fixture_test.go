package kube_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/scripts/fixtures/database"
)

// A truth is one line of a fixture's keys.tsv, which was written from what
// kube-apiserver 1.36 had stored.
type truth struct {
	key, form string
	// kind is apiVersion/Kind, or provider and key name for what is encrypted.
	kind string
}

func fixtureLines(t testing.TB, name string) [][]string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "testdata", "fixtures", name))
	if err != nil {
		t.Fatal(err)
	}
	var lines [][]string
	for line := range strings.Lines(string(raw)) {
		lines = append(lines, strings.Split(strings.TrimRight(line, "\n"), "\t"))
	}
	if len(lines) < 10 {
		t.Fatalf("fixture %s has %d lines", name, len(lines))
	}
	return lines
}

func truths(t testing.TB, name string) []truth {
	t.Helper()
	var all []truth
	for _, columns := range fixtureLines(t, name)[1:] {
		if len(columns) != 6 {
			t.Fatalf("%s: %d columns in %q", name, len(columns), columns)
		}
		all = append(all, truth{key: columns[0], form: columns[4], kind: columns[5]})
	}
	return all
}

// values are stored values, as etcd held them: the smallest of each kind, each
// definition of a custom resource, and some encrypted ones.
func values(t testing.TB) []etcdwalk.Entry {
	t.Helper()
	all, err := database.Values(filepath.Join("..", "..", "testdata", "fixtures", "registry-1.36.values.tsv"))
	if err != nil || len(all) < 10 {
		t.Fatalf("there are %d values, %v", len(all), err)
	}
	return all
}

// valueOf is the first value in the fixture that lies under key and begins as
// told.
func valueOf(t testing.TB, key, begin string) []byte {
	t.Helper()
	for _, e := range values(t) {
		if string(e.Key) == key && strings.HasPrefix(string(e.Value), begin) {
			return e.Value
		}
	}
	t.Fatalf("no value for %q that begins with %q", key, begin)
	return nil
}

func newLayout(t testing.TB, prefixes ...string) *kube.Layout {
	t.Helper()
	l, err := kube.NewLayout(prefixes...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// groupKind takes the version out of apiVersion/Kind.
func groupKind(kind string) (group, name string) {
	parts := strings.Split(kind, "/")
	if len(parts) == 3 {
		return parts[0], parts[2]
	}
	return "", parts[1]
}

// query compiles a filter that makes sense.
func query(t interface {
	Helper()
	Fatal(args ...any)
}, f kube.Filter,
) kube.Query {
	t.Helper()
	q, err := f.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// resolve compiles a filter and resolves it.
func resolve(ctx context.Context, f kube.Filter, view etcdwalk.View) (etcdwalk.Selection, error) {
	q, err := f.Compile()
	if err != nil {
		return etcdwalk.Selection{}, err
	}
	return q.Resolve(ctx, view)
}
