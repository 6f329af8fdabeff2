package cmd

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// tool is a program of the system. Where it is missing the test is skipped,
// but for CI, which installs it.
func tool(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed, and CI must have it", names[0])
	}
	t.Skipf("%s is not installed (Debian: apt-get install age 7zip libarchive-tools)", names[0])
	return ""
}

// output runs a program that has to succeed.
func output(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// An archive can be opened, listed, tested and read without kubeferry.
func TestStandardToolsOpenAnArchive(t *testing.T) {
	t.Parallel()
	keys := newPair(t)
	server, _ := startFixture(t)
	archive := keys.backUp(t, server.Endpoint, t.TempDir())
	a := keys.open(t, archive)
	folder := t.TempDir()
	plain := filepath.Join(folder, "plain.zip")
	output(t, tool(t, "age"), "-d", "-i", keys.identity, "-o", plain, archive)

	names := []string{"README.txt", "header.json", "segment.proto"}
	for _, s := range a.Manifest().Segments {
		names = append(names, s.Name)
	}
	names = append(names, "leases.json", "manifest.json.zst")
	t.Run("7zz tests all of it", func(t *testing.T) {
		if out := output(t, tool(t, "7zz"), "t", plain); !strings.Contains(out, "Everything is Ok") {
			t.Errorf("7zz says:\n%s", out)
		}
	})
	t.Run("bsdtar lists it", func(t *testing.T) {
		if got := strings.Fields(output(t, tool(t, "bsdtar"), "-tf", plain)); !slices.Equal(got, names) {
			t.Errorf("got %q, want %q", got, names)
		}
	})
	t.Run("7zz unpacks segments that etcd's own message reads", func(t *testing.T) {
		output(t, tool(t, "7zz"), "x", "-o"+folder, plain)
		var got []etcdwalk.Entry
		for _, name := range names[3 : len(names)-2] {
			got = append(got, rangeResponse(t, filepath.Join(folder, name))...)
		}
		same(t, "read with etcd's message", got, contents(t, a))
	})
	t.Run("bsdtar unpacks a segment", func(t *testing.T) {
		alone := t.TempDir()
		output(t, tool(t, "bsdtar"), "-xf", plain, "-C", alone, names[3])
		if len(rangeResponse(t, filepath.Join(alone, names[3]))) == 0 {
			t.Errorf("%s is empty", names[3])
		}
	})
}

// rangeResponse parses an unpacked segment as what etcd answers to a range.
func rangeResponse(t *testing.T, path string) []etcdwalk.Entry {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var response etcdserverpb.RangeResponse
	if err := proto.Unmarshal(raw, &response); err != nil {
		t.Fatal(err)
	}
	if response.Header != nil || response.More || response.Count != 0 || len(response.Kvs) == 0 {
		t.Errorf("%s holds more than keys, or none", path)
	}
	var entries []etcdwalk.Entry
	for _, kv := range response.Kvs {
		entries = append(entries, etcdwalk.Entry{Key: kv.Key, Value: kv.Value, Lease: kv.Lease})
	}
	return entries
}
