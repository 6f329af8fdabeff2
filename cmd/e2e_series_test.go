package cmd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// A diary is a place of archives in which things happen day by day, at noon.
type diary struct {
	t     *testing.T
	keys  pair
	place string
	day   int
}

func newDiary(t *testing.T) *diary {
	return &diary{t: t, keys: newPair(t), place: t.TempDir(), day: 1}
}

// must runs a command line at noon of the day, which ends with a code.
func (d *diary) must(code exitCode, args ...string) ran {
	d.t.Helper()
	now := time.Date(2026, 11, d.day, 12, 0, 0, 0, time.UTC)
	r := runAt(d.t, now, args...)
	if r.code != code {
		d.t.Fatalf("day %d: kubeferry %s ended with %d, want %d\nstdout: %s\nstderr: %s", d.day, strings.Join(args, " "), r.code, code, r.stdout, r.stderr)
	}
	return r
}

// backUp makes an archive on the day, and returns its name.
func (d *diary) backUp(server *etcdproc.Server, more ...string) string {
	d.t.Helper()
	r := d.must(exitDone, append([]string{"backup", "--endpoints", server.Endpoint, "--to", d.place, "-r", d.keys.recipient}, more...)...)
	return filepath.Base(strings.TrimSpace(r.stdout))
}

// verify opens the archive that a word means.
func (d *diary) verify(code exitCode, word string, more ...string) ran {
	d.t.Helper()
	return d.must(code, append([]string{"verify", word, "--store", d.place, "-i", d.keys.identity}, more...)...)
}

func (d *diary) prune(more ...string) ran {
	d.t.Helper()
	return d.must(exitDone, append([]string{"prune", d.place, "-v", "--max-delete-percent=100"}, more...)...)
}

func (d *diary) there(name string) bool {
	return strings.Contains(d.must(exitDone, "list", d.place, "-o", "wide").stdout, name)
}

// namespace puts the kube-system of a cluster, in whatever form.
func namespace(t *testing.T, server *etcdproc.Server, value string) {
	t.Helper()
	client := server.Client(t)
	for key, value := range map[string]string{
		"/registry/namespaces/kube-system":     value,
		"/registry/namespaces/shop":            `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"shop"}}`,
		"/registry/configmaps/shop/c1":         `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"c1","namespace":"shop"}}`,
		"/registry/events/shop/e1":             `{"kind":"Event","apiVersion":"v1","metadata":{"name":"e1","namespace":"shop"}}`,
		"/tenant-a/namespaces/kube-system":     value,
		"/tenant-a/configmaps/shop/of-tenants": `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"of-tenants","namespace":"shop"}}`,
	} {
		if _, err := client.Put(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
	}
}

func withUID(uid string) string {
	return `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"kube-system","uid":"` + uid + `"}}`
}

const (
	sealedProd = "k8s:enc:aescbc:v1:key1:prod"
	sealedTest = "k8s:enc:aescbc:v1:key1:test"
)

// RT1: what a narrow role, an exclusion or a tenant's prefix makes every night is
// what its cluster has: check and latest find it, and what was made once by hand
// neither counts nor pushes anything out.
func TestNarrowSeriesCount(t *testing.T) {
	for selection, args := range map[string][]string{
		"everything under /registry/":     {"--prefix", "/registry/"},
		"everything but events":           {"--exclude", "events"},
		"everything under 1 other prefix": {"--prefix", "/tenant-a/"},
		"everything in 1 namespace":       {"-n", "shop"},
	} {
		t.Run(selection, func(t *testing.T) {
			d, server := newDiary(t), etcdproc.Start(t, etcdproc.Options{})
			namespace(t, server, withUID("11111111-2222-3333-4444-555555555555"))

			first := d.backUp(server, args...)
			d.verify(exitNotFound, "latest").says(t, "no archive of the whole keyspace, nor of a selection that was backed up on three days", selection)
			d.must(exitCheck, "check", d.place).says(t, selection)
			d.verify(exitDone, "latest", "--selection", selection).says(t, first)
			d.must(exitDone, "check", d.place, "--selection", selection, "--max-age=1h").says(t, selection)
			d.verify(exitNotFound, "latest", "--selection", "everything else")
			d.must(exitCheck, "check", d.place, "--selection", "everything else").says(t, "everything else")

			d.day++
			d.backUp(server, args...)
			d.verify(exitNotFound, "latest")
			d.day++
			newest := d.backUp(server, args...)
			byHand := d.backUp(server, "cm/c1", "-n", "shop")
			d.verify(exitDone, "latest").says(t, newest)
			d.verify(exitDone, "latest~2").says(t, first)
			d.must(exitDone, "check", d.place, "--max-age=26h", "--min-count=3").says(t, selection)

			d.prune("--keep-last=1").says(t, "configmaps (1 object) in 1 namespace")
			if !d.there(newest) || !d.there(byHand) || d.there(first) {
				t.Error("prune removed the newest of a series, or not the oldest")
			}
			d.day += 2
			d.must(exitDone, "check", d.place, "--selection", selection)
			d.must(exitCheck, "check", d.place, "--max-age=26h", "--selection", selection).says(t, "more than 26h")

			// Once there is a whole one, it is what is meant.
			whole := d.backUp(server)
			d.verify(exitDone, "latest").says(t, whole)
			d.must(exitDone, "check", d.place, "--max-age=26h").says(t, "whole")
			d.prune("--keep-last=1")
			d.verify(exitDone, "latest", "--selection", selection).says(t, newest)
		})
	}
}

// Two selections with one text, as two namespaces have, are told apart by their
// digests, of which the beginning will do.
func TestSelectionsOfOneText(t *testing.T) {
	d, server := newDiary(t), etcdproc.Start(t, etcdproc.Options{})
	namespace(t, server, withUID("11111111-2222-3333-4444-555555555555"))
	for range 3 {
		d.backUp(server, "-n", "shop")
		d.backUp(server, "-n", "kube-system")
		d.day++
	}
	d.verify(exitUsage, "latest").says(t, "everything in 1 namespace [", "--selection")
	d.verify(exitUsage, "latest", "--selection", "everything in 1 namespace").says(t, "--selection")
	said := d.verify(exitUsage, "latest").stderr
	for range 2 {
		_, after, found := strings.Cut(said, "1 namespace [")
		if !found {
			t.Fatalf("no two digests: %s", said)
		}
		said = after
		d.verify(exitDone, "latest", "--selection", after[:8])
	}
	d.must(exitDone, "check", d.place, "--max-age=48h", "--min-count=3")
}

// Unreadable is not absent: twins, which share etcd's cluster id, back up into one
// folder while both are sealed at rest. Neither's archives go for the other's.
func TestTwinsInOneFolder(t *testing.T) {
	d := newDiary(t)
	prod, test := etcdproc.Start(t, etcdproc.Options{Template: true}), etcdproc.Start(t, etcdproc.Options{Template: true})
	namespace(t, prod, sealedProd)
	namespace(t, test, sealedTest)
	var all []string
	for range 3 {
		all = append(all, d.backUp(prod), d.backUp(test))
		d.day++
	}
	d.prune("--keep-last=1").says(t, "its cluster is not known", "0 archives removed")
	for _, name := range all {
		if !d.there(name) {
			t.Errorf("%s was removed", name)
		}
	}
	d.verify(exitUsage, "latest").says(t, "its cluster is not known")
	d.must(exitCheck, "check", d.place).says(t, "may be of several clusters")

	// With labels each is a series again, and what was made before stays.
	labelled := d.backUp(prod, "--cluster=prod")
	d.backUp(test, "--cluster=test")
	d.day++
	newest := d.backUp(prod, "--cluster=prod")
	d.backUp(test, "--cluster=test")
	d.verify(exitUsage, "latest").says(t, "--cluster")
	d.verify(exitDone, "latest", "--cluster=prod").says(t, newest)
	d.must(exitDone, "check", d.place, "--cluster=prod", "--max-age=1h", "--min-count=2")
	d.prune("--keep-last=1").says(t, "2 archives removed")
	if d.there(labelled) || !d.there(newest) || !d.there(all[0]) {
		t.Error("prune kept a series' oldest, or removed what is in doubt")
	}
}

// Encryption at rest is switched on in the middle of a series. The label that was
// made of the UID cannot be made any more, which is said; the label that the user
// gives goes on with the series.
func TestEncryptionSwitchedOn(t *testing.T) {
	d, server := newDiary(t), etcdproc.Start(t, etcdproc.Options{})
	namespace(t, server, withUID("11111111-2222-3333-4444-555555555555"))
	old := d.backUp(server)
	namespace(t, server, sealedProd)
	d.day++
	r := d.must(exitDone, "backup", "--endpoints", server.Endpoint, "--to", d.place, "-r", d.keys.recipient)
	r.says(t, "Set --cluster NAME", "Earlier archives of this cluster may have another label")
	split := filepath.Base(strings.TrimSpace(r.stdout))
	if list := d.must(exitDone, "list", d.place); !strings.Contains(list.stdout, "11111111 ") || !strings.Contains(list.stdout, "identity unreadable") {
		t.Errorf("the list does not show both:\n%s", list.stdout)
	}
	d.verify(exitUsage, "latest").says(t, old[:8], split, "--cluster")

	d.day++
	joined := d.backUp(server, "--cluster=11111111")
	d.verify(exitDone, "latest", "--cluster=11111111").says(t, joined)
	d.prune("--keep-last=1")
	if d.there(old) || !d.there(split) || !d.there(joined) {
		t.Error("the label does not go on with the series, or what is in doubt went")
	}
}

// A backup says how many keys it leaves behind; a role that sees its prefix only
// makes that unknown, and no error.
func TestKeysOutsideOfANarrowRole(t *testing.T) {
	d, server := newDiary(t), etcdproc.Start(t, etcdproc.Options{})
	namespace(t, server, withUID("11111111-2222-3333-4444-555555555555"))
	client := server.Client(t)
	for _, err := range []error{
		second(client.UserAdd(t.Context(), "root", "pw")), second(client.RoleAdd(t.Context(), "root")), second(client.UserGrantRole(t.Context(), "root", "root")),
		second(client.UserAdd(t.Context(), "backup", "pw")), second(client.RoleAdd(t.Context(), "reader")), second(client.UserGrantRole(t.Context(), "backup", "reader")),
		second(client.RoleGrantPermission(t.Context(), "reader", "/registry/", clientv3.GetPrefixRangeEnd("/registry/"), clientv3.PermissionType(clientv3.PermRead))),
	} {
		check(t, err)
	}
	seen := d.backUp(server, "--prefix=/registry/", "--cluster=seen")
	_, err := client.AuthEnable(t.Context())
	check(t, err)
	password := filepath.Join(t.TempDir(), "password")
	check(t, os.WriteFile(password, []byte("pw"), 0o600))
	blind := d.backUp(server, "--prefix=/registry/", "--user=backup", "--password-file", password)
	if text := string(readFile(t, filepath.Join(d.place, seen+".receipt.json"))); !strings.Contains(text, `"outside_keys": 2`) {
		t.Errorf("the receipt of who sees all is %s", text)
	}
	if text := string(readFile(t, filepath.Join(d.place, blind+".receipt.json"))); strings.Contains(text, "outside") {
		t.Errorf("the receipt of a narrow role is %s", text)
	}
}

func second[T any](_ T, err error) error { return err }
