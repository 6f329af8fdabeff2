package cmd

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// What is never restored is told key by key, even if a backup took it.
func TestWhatIsNeverRestoredIsReported(t *testing.T) {
	t.Parallel()
	keys := newPair(t)
	server, _ := startFixture(t)
	archive := keys.backUp(t, server.Endpoint, t.TempDir(), "--prefix", "/")
	held := contents(t, keys.open(t, archive))
	target := etcdproc.Start(t, etcdproc.Options{Version: etcdproc.V37})
	report := filepath.Join(t.TempDir(), "report")
	must(t, exitDone, "restore", "--from", archive, "-i", keys.identity, "--endpoints", target.Endpoint,
		"--scenario=new", "--leases=regrant", "--yes", "--report", report)
	lines := readReport(t, report)
	if len(lines) != len(held) {
		t.Errorf("the report has %d keys, the archive %d", len(lines), len(held))
	}
	if l := lines["compact_rev_key"]; l.Outcome != replay.Excluded || !strings.Contains(l.Reason, "compaction") {
		t.Errorf("compact_rev_key: %+v", l)
	}
	same(t, "restored", holdings(t, target.Client(t), 0), those(held, func(key string) bool { return key != "compact_rev_key" && !transient(key) }))
}

// Into the cluster itself the bitmaps that its API servers keep are not restored; all else
// that was lost is, the addresses with the Services that have them.
func TestRestoreIntoTheSameClusterLeavesAllocations(t *testing.T) {
	t.Parallel()
	keys := newPair(t)
	server, all := startFixture(t)
	archive := keys.backUp(t, server.Endpoint, t.TempDir())
	client := server.Client(t)
	if _, err := client.Delete(t.Context(), "/registry/", clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
	left := map[string]bool{}
	for _, e := range all {
		left[string(e.Key)] = leftToOthers(t, e)
	}
	// The accident has left the namespace by which the cluster is known.
	for _, e := range all {
		if string(e.Key) == "/registry/namespaces/kube-system" {
			if _, err := client.Put(t.Context(), string(e.Key), string(e.Value)); err != nil {
				t.Fatal(err)
			}
		}
	}
	report := filepath.Join(t.TempDir(), "report")
	must(t, exitDone, "restore", "--from", archive, "-i", keys.identity, "--endpoints", server.Endpoint, "--leases=regrant", "--allow=deleting", "--yes", "--report", report)
	excluded := 0
	for key, l := range readReport(t, report) {
		if want := left[key] || transient(key); want != (l.Outcome == replay.Excluded) || want != (l.Reason != "") {
			t.Errorf("key %s: %+v", key, l)
		}
		if left[key] {
			excluded++
		}
	}
	if excluded < 90 {
		t.Errorf("%d objects were passed over", excluded)
	}
	same(t, "restored", holdings(t, client, 0), those(all, func(key string) bool { return !left[key] && !transient(key) }))
}

// leftToOthers tells what a restore into the same cluster leaves to it.
func leftToOthers(t *testing.T, e etcdwalk.Entry) bool {
	t.Helper()
	path := strings.TrimPrefix(string(e.Key), "/registry/")
	kind, _, _ := strings.Cut(path, "/")
	_, m, err := object.Read(e.Value)
	switch {
	case kind == "ranges", kind == "leases", kind == "certificatesigningrequests":
		return true
	case strings.HasPrefix(path, "services/endpoints/"):
		check(t, err)
		return path == "services/endpoints/default/kubernetes" || m.Labels["endpoints.kubernetes.io/managed-by"] != ""
	case path == "endpointslices/default/kubernetes":
		return true
	case kind == "pods", kind == "endpointslices":
		check(t, err)
		return slices.ContainsFunc(m.Owners, func(o object.Owner) bool { return o.Controller })
	}
	return false
}

// Keys are bytes (FAULTS.md E30): every odd one comes through a pipe and back.
func TestOddKeysTravel(t *testing.T) {
	t.Parallel()
	keys, corpus := newPair(t), walktest.Corpus()
	for _, version := range etcdproc.Versions() {
		t.Run(version, func(t *testing.T) {
			source := etcdproc.Start(t, etcdproc.Options{Version: version})
			putAll(t, source.Client(t), corpus)
			piped := must(t, exitDone, "backup", "--prefix", "/", "--to", "-", "-r", keys.recipient, "--endpoints", source.Endpoint)
			archive := filepath.Join(t.TempDir(), "piped.zip.age")
			if err := os.WriteFile(archive, []byte(piped.stdout), 0o600); err != nil {
				t.Fatal(err)
			}
			want := holdings(t, source.Client(t), 0)
			same(t, "the corpus", want, corpus)
			same(t, "the archive", contents(t, keys.open(t, archive)), want)

			target := etcdproc.Start(t, etcdproc.Options{Version: version})
			report := filepath.Join(t.TempDir(), "report")
			must(t, exitDone, "restore", "--from", archive, "-i", keys.identity, "--endpoints", target.Endpoint,
				"--prefix", "/", "--scenario=new", "--leases=regrant", "--raw", "--yes", "--report", report)
			same(t, "restored", holdings(t, target.Client(t), 0), want)
			lines := readReport(t, report)
			for _, e := range corpus {
				if lines[string(e.Key)].Outcome != replay.Created {
					t.Errorf("key %.60q: %+v", e.Key, lines[string(e.Key)])
				}
			}
		})
	}
}

// putAll puts entries, those with a lease under one of an hour.
func putAll(t *testing.T, client *clientv3.Client, entries []etcdwalk.Entry) {
	t.Helper()
	for _, e := range entries {
		var options []clientv3.OpOption
		if e.Lease != 0 {
			lease, err := client.Grant(context.Background(), 3600)
			if err != nil {
				t.Fatal(err)
			}
			options = append(options, clientv3.WithLease(lease.ID))
		}
		if _, err := client.Put(context.Background(), string(e.Key), string(e.Value), options...); err != nil {
			t.Fatal(err)
		}
	}
}
