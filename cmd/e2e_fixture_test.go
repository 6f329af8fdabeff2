package cmd

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

const fixtures = "../testdata/fixtures/registry-1.36"

// startFixture runs an etcd 3.6 on the database that a real kube-apiserver
// filled, and holds it against the list of what must be in it.
func startFixture(t testing.TB) (*etcdproc.Server, []etcdwalk.Entry) {
	t.Helper()
	server := etcdproc.Start(t, etcdproc.Options{Version: etcdproc.V36, Snapshot: unpack(t, fixtures+".db.zst")})
	there := holdings(t, server.Client(t), 0)
	found := map[string]etcdwalk.Entry{}
	for _, e := range there {
		found[string(e.Key)] = e
	}
	list, err := os.ReadFile(fixtures + ".keys.tsv")
	if err != nil {
		t.Fatal(err)
	}
	listed := 0
	for row := range strings.Lines(string(list)) {
		cells := strings.Split(strings.TrimSuffix(row, "\n"), "\t")
		if cells[0] == "key" || transient(cells[0]) {
			continue
		}
		listed++
		e := found[cells[0]]
		if strconv.Itoa(len(e.Value)) != cells[1] || strconv.FormatInt(e.ModRevision, 10) != cells[2] || strconv.FormatInt(e.Lease, 16) != cells[3] {
			t.Fatalf("the database has %d bytes at revision %d under lease %x, the list says %q", len(e.Value), e.ModRevision, e.Lease, row)
		}
	}
	if lasting := those(there, func(key string) bool { return !transient(key) }); listed != 1107 || len(lasting) != listed {
		t.Fatalf("the database has %d lasting keys, the list %d, want 1107", len(lasting), listed)
	}
	return server, there
}

// The keyspace of a real API server goes from 3.6 to 3.7, from there to 3.5,
// and back into 3.6: each version is a source and a target, and in the end
// nothing has changed.
func TestFixtureTravelsThroughAllVersions(t *testing.T) {
	t.Parallel()
	keys := newPair(t)
	server, _ := startFixture(t)
	archive := keys.backUp(t, server.Endpoint, t.TempDir())
	first := holdings(t, server.Client(t), keys.open(t, archive).Info().Revision)
	want := those(first, func(key string) bool { return key != "compact_rev_key" && !transient(key) })
	for _, version := range []string{etcdproc.V37, etcdproc.V35, etcdproc.V36} {
		target := etcdproc.Start(t, etcdproc.Options{Version: version})
		checkRestored(t, keys, archive, target)
		same(t, "after the restore into "+version, holdings(t, target.Client(t), 0), want)

		r := must(t, exitDone, "backup", "-v", "--endpoints", target.Endpoint, "--to", t.TempDir(), "-r", keys.recipient)
		if streamed := strings.Contains(r.stderr, "read as a stream"); streamed != (version == etcdproc.V37) {
			t.Errorf("etcd %s: read as a stream: %v\n%s", version, streamed, r.stderr)
		}
		archive = strings.TrimSpace(r.stdout)
		got := contents(t, keys.open(t, archive))
		same(t, "in the archive of "+version, got, want)
	}
}

// checkRestored restores an archive into an empty server, and holds the report
// and the leases against the server.
func checkRestored(t *testing.T, keys pair, archive string, target *etcdproc.Server) {
	t.Helper()
	report := filepath.Join(t.TempDir(), "report")
	must(t, exitDone, "restore", "--from", archive, "-i", keys.identity, "--endpoints", target.Endpoint,
		"--scenario", "new", "--leases=regrant", "--yes", "--report", report).says(t, "  in ci: configmaps ", "  + created   … and ")
	a := keys.open(t, archive)
	there := map[string]etcdwalk.Entry{}
	for _, e := range holdings(t, target.Client(t), 0) {
		there[string(e.Key)] = e
	}
	lines := readReport(t, report)
	held := contents(t, a)
	if len(lines) != len(held) {
		t.Errorf("the report has %d keys, the archive %d", len(lines), len(held))
	}
	for _, e := range held {
		key := string(e.Key)
		l, e2 := lines[key], there[key]
		switch {
		case transient(key):
			if l.Outcome != replay.Excluded || l.Reason == "" || e2.Key != nil {
				t.Errorf("key %s: %+v; on the target: %v", key, l, e2.Key != nil)
			}
			continue
		case l.Outcome != replay.Created || l.Revision == 0 || l.Revision != e2.ModRevision:
			t.Errorf("key %s has mod revision %d: %+v", key, e2.ModRevision, l)
		case (e.Lease == 0) != (e2.Lease == 0):
			t.Errorf("key %s: lease %x became %x", key, e.Lease, e2.Lease)
		}
	}
	checkLeases(t, target.Client(t), a, held, there)
}

// checkLeases makes sure that each lease of the archive became one lease of the
// target, with the time that was left of it.
func checkLeases(t *testing.T, client *clientv3.Client, source etcdwalk.View, held []etcdwalk.Entry, there map[string]etcdwalk.Entry) {
	t.Helper()
	became := map[int64]int64{}
	for _, e := range held {
		if e.Lease == 0 || transient(string(e.Key)) {
			continue
		}
		id := there[string(e.Key)].Lease
		if before, ok := became[e.Lease]; ok {
			if before != id {
				t.Errorf("lease %x became both %x and %x", e.Lease, before, id)
			}
			continue
		}
		became[e.Lease] = id
		told, err := source.Leases(t.Context(), []int64{e.Lease})
		if err != nil {
			t.Fatal(err)
		}
		got, err := client.TimeToLive(context.Background(), clientv3.LeaseID(id))
		if err != nil {
			t.Fatal(err)
		}
		if left := told[0].Remaining; left < 3000 || got.GrantedTTL != left || got.TTL < left-60 || got.TTL > left {
			t.Errorf("lease %x had %d s left; it was granted for %d s and has %d s left", e.Lease, left, got.GrantedTTL, got.TTL)
		}
	}
	if len(became) != 3 {
		t.Errorf("%d leases were granted again, want 3", len(became))
	}
}

func TestFixtureSelections(t *testing.T) {
	t.Parallel()
	keys := newPair(t)
	server, all := startFixture(t)
	archive := keys.backUp(t, server.Endpoint, t.TempDir())
	target := etcdproc.Start(t, etcdproc.Options{Version: etcdproc.V37})
	client := target.Client(t)
	inData := func(key string) bool {
		return strings.Contains(key, "/data/") || key == "/registry/namespaces/data"
	}
	under := func(prefix string) func(string) bool {
		return func(key string) bool { return strings.HasPrefix(key, prefix) }
	}
	for name, test := range map[string]struct {
		args []string
		want func(key string) bool
		keys int
	}{
		"one kind of a namespace":            {[]string{"--include", "configmaps", "-n", "data"}, under("/registry/configmaps/data/"), 17},
		"a namespace with all that is in it": {[]string{"-n", "data"}, inData, 0},
		"custom resources":                   {[]string{"widgets.shop.example.io"}, under("/registry/shop.example.io/widgets/"), 24},
		"custom resources by short name":     {[]string{"wi", "-n", "data"}, under("/registry/shop.example.io/widgets/data/"), 5},
		"custom resources of no namespace":   {[]string{"regions"}, under("/registry/infra.example.io/regions/"), 6},
		"services, and not serviceaccounts":  {[]string{"svc"}, under("/registry/services/specs/"), 20},
		"objects by name": {[]string{"cm/app-config-1,secret/secret-1", "-n", "data"}, func(key string) bool {
			return key == "/registry/configmaps/data/app-config-1" || key == "/registry/secrets/data/secret-1"
		}, 2},
		"an object by name in all namespaces": {[]string{"cm/kube-root-ca.crt", "-A"}, func(key string) bool {
			return strings.HasPrefix(key, "/registry/configmaps/") && strings.HasSuffix(key, "/kube-root-ca.crt")
		}, 15},
		"all but some": {[]string{"--exclude", "events,secrets"}, func(key string) bool {
			return key != "compact_rev_key" && !transient(key) && !strings.HasPrefix(key, "/registry/events/") && !strings.HasPrefix(key, "/registry/secrets/")
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			want := those(all, test.want)
			if len(want) == 0 || test.keys != 0 && len(want) != test.keys {
				t.Fatalf("the fixture has %d such keys, want %d", len(want), test.keys)
			}
			restore := []string{"restore", "--from", archive, "-i", keys.identity, "--endpoints", target.Endpoint, "--scenario=new", "--leases=regrant", "--yes"}
			must(t, exitDone, append(restore, test.args...)...)
			same(t, "restored", holdings(t, client, 0), want)

			part := keys.backUp(t, server.Endpoint, t.TempDir(), test.args...)
			same(t, "backed up", those(contents(t, keys.open(t, part)), func(key string) bool { return !transient(key) }), want)
			if _, err := client.Delete(context.Background(), "\x00", clientv3.WithFromKey()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Without --leases=regrant what is under a lease stays behind, and is counted.
func TestFixtureLeavesLeasedKeys(t *testing.T) {
	t.Parallel()
	keys := newPair(t)
	server, _ := startFixture(t)
	archive := keys.backUp(t, server.Endpoint, t.TempDir())
	target := etcdproc.Start(t, etcdproc.Options{Version: etcdproc.V35})
	report := filepath.Join(t.TempDir(), "report")
	r := must(t, exitDone, "restore", "--from", archive, "-i", keys.identity, "--endpoints", target.Endpoint,
		"--scenario", "new", "--yes", "--report", report)
	r.says(t, "120 leased")
	held := contents(t, keys.open(t, archive))
	leased := int64(0)
	for _, e := range held {
		if e.Lease != 0 && !transient(string(e.Key)) {
			leased++
		}
	}
	counts := count(readReport(t, report))
	if counts[replay.Leased] != leased || leased != 120 || counts.Total() != int64(len(held)) {
		t.Errorf("the report counts %v; %d keys are under a lease, want 120", counts, leased)
	}
	same(t, "restored", holdings(t, target.Client(t), 0), those(held, func(key string) bool {
		return !transient(key) && !strings.HasPrefix(key, "/registry/events/")
	}))
}
