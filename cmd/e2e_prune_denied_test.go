package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/catalog"
	"github.com/kubeferry/kubeferry/remote/dir"
	"github.com/kubeferry/kubeferry/remote/remotetest"
	"github.com/kubeferry/kubeferry/remote/s3"
	"github.com/kubeferry/kubeferry/scripts/servers/s3proc"
)

// stockStore publishes archives, a day apart and the oldest first, and returns their
// names. Nobody opens them.
func stockStore(t *testing.T, store remote.Store, n int) []string {
	t.Helper()
	var names []string
	for i := range n {
		created := time.Now().Add(-time.Duration(n-i) * 24 * time.Hour)
		name, data := catalog.NewName("prod", created, int64(i), true), fmt.Appendf(nil, "archive %d", i)
		remotetest.Publish(t, store, name, data)
		check(t, catalog.Publish(t.Context(), store, catalog.NewReceipt(catalog.Receipt{
			ArchiveID: fmt.Sprintf("%032x", i), Name: name, Created: created, KubeSystemUID: "uid", Cluster: "prod", Whole: true, ToolVersion: "test",
		}, remote.DigestOf(data))))
		names = append(names, name)
	}
	return names
}

// holdingsOf is all that a store holds.
func holdingsOf(t *testing.T, store remote.Store) map[string]string {
	t.Helper()
	held := map[string]string{}
	for _, name := range remotetest.Names(t, store, "") {
		held[name] = string(remotetest.Read(t, store, name))
	}
	return held
}

// only are these archives of what was held, with their receipts.
func only(held map[string]string, archives ...string) map[string]string {
	some := map[string]string{}
	for _, name := range archives {
		for _, name := range []string{name, catalog.ReceiptName(name)} {
			some[name] = held[name]
		}
	}
	return some
}

// makeImmutable keeps a file from being removed, for the time of the test.
func makeImmutable(t *testing.T, path string) {
	t.Helper()
	t.Cleanup(func() { _ = exec.Command("chattr", "-i", path).Run() }) // it may be gone by then
	if out, err := exec.Command("chattr", "+i", path).CombinedOutput(); err != nil {
		t.Skipf("no file can be made immutable here: chattr +i: %v: %s", err, out)
	}
}

// An archive that the file system does not let go stays as it was, the others go,
// and it goes when it may.
func TestPruneOfAnImmutableArchiveLeavesItsReceipt(t *testing.T) {
	for name, mode := range map[string]os.FileMode{"a folder of one's own": 0o700, "a folder that others can write to": 0o777} {
		t.Run(name, func(t *testing.T) {
			place := t.TempDir()
			check(t, os.Chmod(place, mode))
			store := dir.New(place, dir.Options{AllowShared: true})
			archives := stockStore(t, store, 4)
			before := holdingsOf(t, store)
			makeImmutable(t, filepath.Join(place, archives[1]))
			prune := []string{"prune", place, "--keep-last=1", "--max-delete-percent=80"}

			r := must(t, exitIncomplete, prune...)
			r.says(t, "denied", archives[1]+": ", "it stays, with its receipt", "operation not permitted")
			if n := strings.Count(r.stdout, "  removed"); n != 2 {
				t.Errorf("%d were removed, want 2:\n%s", n, r.stdout)
			}
			want := only(before, archives[1], archives[3])
			if diff := cmp.Diff(holdingsOf(t, store), want); diff != "" {
				t.Errorf("the folder (-got +want):\n%s", diff)
			}
			if list := must(t, exitDone, "list", place, "--all"); strings.Count(list.stdout, " ok\n") != 2 || strings.Contains(list.stdout, "no receipt") {
				t.Errorf("the list says\n%s", list.stdout)
			}
			must(t, exitIncomplete, append(prune, "--json")...).says(t, `"denied":[{"name":"`+archives[1]+`","reason":"remove `, "with its receipt")

			check(t, exec.Command("chattr", "-i", filepath.Join(place, archives[1])).Run())
			must(t, exitDone, prune...)
			if diff := cmp.Diff(holdingsOf(t, store), only(before, archives[3])); diff != "" {
				t.Errorf("the folder in the end (-got +want):\n%s", diff)
			}
		})
	}
}

// prunerWithoutArchives is the published policy of the pruner, with or without its
// optional statement, where somebody has denied it the archives that are encrypted.
func prunerWithoutArchives(t *testing.T, optional bool) string {
	t.Helper()
	var policy struct {
		Version   string
		Statement []map[string]any
	}
	check(t, json.Unmarshal([]byte(policyOf(t, "pruner")), &policy))
	all := len(policy.Statement)
	isOptional := func(s map[string]any) bool { return s["Sid"] == "OptionalPutReceiptsBack" }
	if !optional {
		policy.Statement = slices.DeleteFunc(policy.Statement, isOptional)
		if len(policy.Statement) != all-1 {
			t.Fatalf("the policy has %d statements and %d without the optional one", all, len(policy.Statement))
		}
	}
	policy.Statement = append(policy.Statement, map[string]any{
		"Sid": "KeepArchives", "Effect": "Deny", "Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::backups/prod/*.age",
		"Principal": map[string]any{"AWS": []string{"$USER"}},
	})
	text, err := json.Marshal(policy)
	check(t, err)
	return string(text)
}

// openProd is s3://backups/prod for the user of the environment.
func openProd(t *testing.T) *s3.Store {
	t.Helper()
	at, err := s3.Parse("s3://backups/prod")
	check(t, err)
	store, err := s3.Open(t.Context(), at, s3.Config{})
	check(t, err)
	return store
}

// startDenied is a server with archives in s3://backups/prod, whose pruner may remove
// the receipts but not the archives. The environment is the pruner's.
func startDenied(t *testing.T, optional bool) (store *s3.Store, archives []string) {
	t.Helper()
	server, _ := startS3(t, s3proc.Options{Users: true})
	store = openProd(t)
	archives = stockStore(t, store, 4)
	server.AddUser("pruner", "pruner-secret", "backups", prunerWithoutArchives(t, optional))
	t.Setenv("AWS_ACCESS_KEY_ID", "pruner")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "pruner-secret")
	return store, archives
}

var pruneDenied = []string{"prune", "s3://backups/prod", "--keep-last=1", "--max-delete-percent=80"}

func TestS3PruneOfDeniedArchivesPutsTheirReceiptsBack(t *testing.T) {
	store, archives := startDenied(t, true)
	before := holdingsOf(t, store)
	r := must(t, exitIncomplete, pruneDenied...)
	r.says(t, "s3:DeleteObject", "and 2 more")
	for _, name := range archives[:3] {
		r.says(t, name+": ", "it stays, with its receipt")
	}
	if diff := cmp.Diff(holdingsOf(t, store), before); diff != "" {
		t.Errorf("the bucket (-got +want):\n%s", diff)
	}
	if list := must(t, exitDone, "list", "s3://backups/prod", "--all"); strings.Count(list.stdout, " ok\n") != 4 {
		t.Errorf("the list says\n%s", list.stdout)
	}
	// Receipts are all that it may put.
	upload, err := openProd(t).Create(t.Context(), "other.zip.age")
	check(t, err)
	if err := upload.Commit(remote.DigestOf(nil)); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("putting an archive: got %v, want %v", err, fs.ErrPermission)
	}
}

func TestS3PruneThatMayNotPutAReceiptBackLosesOneAndNamesTheCommand(t *testing.T) {
	store, archives := startDenied(t, false)
	want := holdingsOf(t, store)
	r := must(t, exitIncomplete, pruneDenied...)
	r.says(t, "s3:DeleteObject", "s3:PutObject", "and 2 more", "kubeferry receipt "+archives[0]+" -i IDENTITY", "hint: kubeferry receipt ")
	delete(want, catalog.ReceiptName(archives[0]))
	if diff := cmp.Diff(holdingsOf(t, store), want); diff != "" {
		t.Errorf("the bucket (-got +want):\n%s", diff)
	}
	r = must(t, exitIncomplete, append(pruneDenied, "--json")...)
	r.says(t, `{"name":"`+archives[1]+`","reason":"remove `, `"receipt_lost":true`, `"hint":"kubeferry receipt `)
}
