package cmd

import (
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/remote/s3"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
	"github.com/kubeferry/kubeferry/scripts/servers/s3proc"
)

// startS3 runs an S3 server with a bucket, and makes it the one of this test's
// environment.
func startS3(t *testing.T, o s3proc.Options) (*s3proc.Server, *s3proc.Proxy) {
	t.Helper()
	server := s3proc.Start(t, o)
	server.MakeBucket("backups", o.Versioning)
	proxy := s3proc.NewProxy(t, server)
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": s3proc.RootAccessKey, "AWS_SECRET_ACCESS_KEY": s3proc.RootSecretKey,
		"AWS_ENDPOINT_URL_S3": proxy.Endpoint, "AWS_REGION": server.Region, "AWS_EC2_METADATA_DISABLED": "true",
		stateDir: t.TempDir(), // ports come again, and with them places of other tests
	} {
		t.Setenv(name, value)
	}
	return server, proxy
}

// The keyspace of a real API server goes to S3, is listed, described and verified
// there, comes back, and leaves by the rules.
func TestFixtureTravelsThroughS3(t *testing.T) {
	_, proxy := startS3(t, s3proc.Options{})
	keys := newPair(t)
	source, _ := startFixture(t)
	const place = "s3://backups/prod"
	var archives []string
	for range 2 {
		printed := must(t, exitDone, "backup", "--endpoints", source.Endpoint, "--to", place, "-r", keys.recipient).stdout
		archives = append(archives, strings.TrimSpace(printed))
	}
	if !strings.HasPrefix(archives[0], place+"/") {
		t.Errorf("the archive is %s", archives[0])
	}
	if list := must(t, exitDone, "list", place); strings.Count(list.stdout, " ok\n") != 2 {
		t.Errorf("the list says\n%s", list.stdout)
	}
	if twin := must(t, exitDone, "list", "s3://backups/pro"); twin.stdout != "" { // of the prefix
		t.Errorf("a prefix takes what is not in it:\n%s", twin.stdout)
	}
	above := must(t, exitDone, "list", "s3://backups", "--all", "-v")
	if strings.Contains(above.stdout, ".zip") {
		t.Errorf("a place takes what is in one below it:\n%s", above.stdout)
	}
	if !strings.Contains(above.stderr, "There are no archives in s3://backups; below it there are prod.\n") {
		t.Errorf("an empty place says\n%s", above.stderr)
	}
	must(t, exitDone, "describe", archives[1], "-i", keys.identity).says(t, "configmaps")
	must(t, exitDone, "verify", "latest", "--store", place, "-i", keys.identity)
	must(t, exitDone, "check", place, "--max-age", "1h", "--min-count", "2", "--verify")

	t.Setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
	elsewhere := strings.TrimSpace(must(t, exitDone, "backup", "--endpoints", source.Endpoint, "--to", "s3://backups/elsewhere?endpoint="+proxy.Endpoint, "-r", keys.recipient).stdout)
	must(t, exitDone, "verify", elsewhere, "-i", keys.identity) // what is printed names it again
	t.Setenv("AWS_ENDPOINT_URL_S3", proxy.Endpoint)

	target := etcdproc.Start(t, etcdproc.Options{Version: etcdproc.V36})
	before := sent(proxy, path.Base(archives[1]))
	must(t, exitDone, "restore", "--from", archives[1], "-i", keys.identity, "--endpoints", target.Endpoint, "--scenario=new", "--leases=regrant", "--yes")
	want := those(holdings(t, source.Client(t), 0), func(key string) bool { return key != "compact_rev_key" && !transient(key) })
	same(t, "after the restore out of S3", holdings(t, target.Client(t), 0), want)
	size := objectSize(t, archives[1])
	if read := sent(proxy, path.Base(archives[1])) - before; read > size+size/10 {
		t.Errorf("the restore read %d bytes of an archive of %d", read, size)
	}

	must(t, exitDone, "prune", place, "--keep-last", "1", "--dry-run").says(t, "would be removed")
	must(t, exitDone, "prune", place, "--keep-last", "1").says(t, "removed")
	if list := must(t, exitDone, "list", place, "--all"); strings.Count(list.stdout, " ok\n") != 1 || strings.Contains(list.stdout, "no receipt") {
		t.Errorf("the list says\n%s", list.stdout)
	}
	gone := 0
	for _, archive := range archives {
		if runHere(t, "verify", archive, "-i", keys.identity).code == exitNotFound {
			gone++
		}
	}
	if gone != 1 {
		t.Errorf("%d archives are not found, want 1", gone)
	}
}

// sent is how many bytes of an object the store has answered with.
func sent(proxy *s3proc.Proxy, name string) (n int64) {
	for _, r := range proxy.Requests("GetObject") {
		if path.Base(r.Path) == name {
			n += r.Sent
		}
	}
	return n
}

// objectSize is the size of an archive, by its receipt.
func objectSize(t *testing.T, archive string) int64 {
	t.Helper()
	at, err := s3.Parse(archive)
	check(t, err)
	place, name := at.Split()
	listed := must(t, exitDone, "list", place.Address(), "--json").stdout
	_, rest, found := strings.Cut(listed, fmt.Sprintf(`"name":%q,"size":`, name))
	var size int64
	if _, err := fmt.Sscanf(rest, "%d", &size); !found || err != nil {
		t.Fatalf("no size of %s in %s", name, listed)
	}
	return size
}
