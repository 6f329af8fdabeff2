package cmd

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// RS1: an archive is verified whole before anything connects. Where nobody
// listens, a sound one ends with 15, and a damaged one does not come so far.
func TestNothingConnectsBeforeTheArchiveIsVerified(t *testing.T) {
	t.Parallel()
	keys, folder := newPair(t), t.TempDir()
	server := crowd(t, 1500, 2000)
	archive := keys.backUp(t, server.Endpoint, folder)
	const nobody = "http://127.0.0.1:1"
	restore := func(path string) []string {
		return []string{"restore", "--from", path, "-i", keys.identity, "--endpoints", nobody, "--yes"}
	}
	must(t, exitCluster, restore(archive)...).says(t, nobody)
	whole := readFile(t, archive)
	for name, at := range map[string]int{"first": len(whole) / 10, "middle": len(whole) / 2, "last": len(whole) - 70_000} {
		damaged := filepath.Join(folder, name+".zip.age")
		data := bytes.Clone(whole)
		data[at] ^= 1
		check(t, os.WriteFile(damaged, data, 0o600))
		r := must(t, exitIntegrity, restore(damaged)...)
		if strings.Contains(r.stderr, nobody) {
			t.Errorf("damage in the %s part: it connected first: %s", name, r.stderr)
		}
	}
}

// L07: what is read from is not written to.
func TestTheInputIsNotTheOutput(t *testing.T) {
	t.Parallel()
	keys, folder := newPair(t), t.TempDir()
	server := crowd(t, 10, 100)
	archive := keys.backUp(t, server.Endpoint, folder)
	identity := readFile(t, keys.identity)
	before, receipt := readFile(t, archive), readFile(t, archive+".receipt.json")
	restore := []string{"restore", "--from", archive, "-i", keys.identity, "--endpoints", server.Endpoint, "--yes", "--report"}
	backup := []string{"backup", "--endpoints", server.Endpoint, "-r", keys.recipient, "--to"}
	for _, args := range [][]string{
		append(restore, archive), append(restore, archive+".receipt.json"), append(restore, keys.identity),
		append(backup, archive), {"keygen", "--here", "--out", keys.identity},
	} {
		must(t, exitConflict, args...)
	}
	link := filepath.Join(folder, "link.zip.age")
	check(t, os.Symlink(archive, link))
	must(t, exitConflict, append(restore, link)...)
	must(t, exitConflict, append(backup, link)...)
	if !bytes.Equal(readFile(t, archive), before) || !bytes.Equal(readFile(t, archive+".receipt.json"), receipt) || !bytes.Equal(readFile(t, keys.identity), identity) {
		t.Error("an input was changed")
	}
}

// E12: a prefix that is not that of the cluster.
func TestAWrongPrefixIsNotAnEmptyCluster(t *testing.T) {
	t.Parallel()
	keys, folder := newPair(t), t.TempDir()
	server := crowd(t, 10, 100)
	args := []string{"backup", "--endpoints", server.Endpoint, "--to", folder, "-r", keys.recipient, "--prefix", "/registri"}
	must(t, exitNotFound, args...)
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	must(t, exitDone, append(args, "--allow-empty")...)
}

// E16: rights on a part of what was asked for carry nothing, and the exit code
// says why; the part itself can be had.
func TestRightsOnAPart(t *testing.T) {
	t.Parallel()
	keys, folder := newPair(t), t.TempDir()
	server := etcdproc.Start(t, etcdproc.Options{})
	client, ctx := server.Client(t), context.Background()
	fill(t, client, 10, func(i int) (string, string) { return configMap(i, 100) })
	done := func(_ any, err error) { t.Helper(); check(t, err) }
	done(client.Put(ctx, "/registry/pods/shop/web", "{}"))
	done(client.UserAdd(ctx, "root", "toor"))
	done(client.UserGrantRole(ctx, "root", "root"))
	done(client.RoleAdd(ctx, "reader"))
	done(client.RoleGrantPermission(ctx, "reader", "/registry/configmaps/", "/registry/configmaps0", 0))
	done(client.UserAdd(ctx, "reader", "reader-password"))
	done(client.UserGrantRole(ctx, "reader", "reader"))
	done(client.AuthEnable(ctx))
	password := filepath.Join(t.TempDir(), "password")
	check(t, os.WriteFile(password, []byte("reader-password"), 0o600))
	args := []string{"backup", "--endpoints", server.Endpoint, "--to", folder, "-r", keys.recipient, "--user", "reader", "--password-file", password}
	must(t, exitDenied, args...).says(t, "grant-permission", "whole range")
	must(t, exitDenied, append(args, "--prefix", "/registry/")...).says(t, `read "/registry/" --prefix=true`)
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	// The part, and the key by which the cluster is known.
	part := append(args, "--prefix", "/registry/configmaps/")
	must(t, exitDenied, part...).says(t, `read "/registry/namespaces/kube-system"`)
	root := etcdproc.NewClient(t, clientv3.Config{Endpoints: []string{server.Endpoint}, Username: "root", Password: "toor"})
	done(root.RoleGrantPermission(ctx, "reader", "/registry/namespaces/kube-system", "", 0))
	must(t, exitDone, part...)
}
