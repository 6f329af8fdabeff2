package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/kubeferry/kubeferry/scripts/bench/keyspace"
)

// A server up to 3.6 goes over all keys of the range that a page is asked of,
// and keeps writers waiting meanwhile: what a walk of M costs it is bounded, and so
// are the requests that keep it so. The walk logs what the server told; that it
// logs the truth is held by TestRequests of etcdwalk/etcd3.
func TestVisits(t *testing.T) {
	if os.Getenv("KUBEFERRY_LONG") == "" {
		t.Skip("long: run make test-long")
	}
	const (
		keys      = 200_000
		pageBytes = 1 << 20 // what a page aims at
	)
	root, err := findRoot()
	if err != nil {
		t.Fatal(err)
	}
	etcd := os.Getenv("KUBEFERRY_TEST_ETCD_36")
	if etcd == "" {
		t.Fatal("KUBEFERRY_TEST_ETCD_36 does not tell where etcd 3.6 is: make test-long sets it")
	}
	s, err := start(t.Context(), etcd, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	client, err := s.client()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	k, err := keyspace.New(keys, 1)
	if err != nil {
		t.Fatal(err)
	}
	put, err := fill(t.Context(), k, client, 1)
	if err != nil {
		t.Fatal(err)
	}
	var bytes int64
	for _, n := range put {
		bytes += n
	}
	c := exec.CommandContext(t.Context(), filepath.Join(root, "bin", "kubeferry"), "backup", "--dry-run", "-v", "--endpoints", s.endpoint)
	said, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	var read, pages, passed int64
	for _, line := range regexp.MustCompile(`msg="read in pages" .*keys=(\d+) pages=(\d+) passed=(\d+)`).FindAllSubmatch(said, -1) {
		for i, sum := range []*int64{&read, &pages, &passed} {
			n, err := strconv.ParseInt(string(line[i+1]), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			*sum += n
		}
	}
	if read < keys {
		t.Fatalf("%d of %d keys were read in pages, says the log:\n%s", read, keys, said)
	}
	t.Logf("%d keys, %d passed (%.2f ×), %d pages (%.2f × what bytes need)", read, passed, float64(passed)/float64(read),
		pages, float64(pages)/float64(bytes/pageBytes+1))
	if passed > 2*read {
		t.Errorf("the server passed %d keys for %d, more than 2 × as many", passed, read)
	}
	if most := 3 * (bytes/pageBytes + 1) / 2; pages > most {
		t.Errorf("%d pages for %d bytes, more than %d, 1.5 × what bytes need", pages, bytes, most)
	}
}
