package cmd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
	"github.com/kubeferry/kubeferry/scripts/servers/s3proc"
)

// What this machine has stored and is gone is told once, and no command fails for want of
// what it knows.
func TestWhatThisMachineKnowsOfAStore(t *testing.T) {
	server, _ := startS3(t, s3proc.Options{})
	etcd := etcdproc.Start(t, etcdproc.Options{})
	fill(t, etcd.Client(t), 3, func(i int) (string, string) { return configMap(i, 100) })
	keys := newPair(t)
	backup := func() string {
		return strings.TrimSpace(must(t, exitDone, "backup", "--endpoints", etcd.Endpoint, "--to", "s3://backups/prod", "-r", keys.recipient).stdout)
	}
	prune := []string{"prune", "s3://backups/prod", "--keep-last=1"}
	lost := strings.TrimPrefix(backup(), "s3://backups/")
	for _, key := range keysBelow(t, server, lost) {
		check(t, server.Client().RemoveObject(t.Context(), "backups", key, minio.RemoveObjectOptions{}))
	}
	backup()
	backup()
	must(t, exitDone, append(prune, "--dry-run")...).says(t, "gone since this machine saw them there", filepath.Base(lost))
	must(t, exitDone, prune...).says(t, "gone since this machine saw them there", filepath.Base(lost))
	backup()
	if r := must(t, exitDone, prune...); strings.Contains(r.stderr, "gone since") {
		t.Errorf("it is told again: %s", r.stderr)
	}
	files, err := filepath.Glob(filepath.Join(os.Getenv(stateDir), "places", "*.json"))
	check(t, err)
	if len(files) != 1 || strings.Count(string(readFile(t, files[0])), "zip.age") != 1 {
		t.Fatalf("there are %v", files)
	}
	for _, junk := range []string{"{", `{"place": "s3://elsewhere", "archives": ["a.zip"]}`} {
		check(t, os.WriteFile(files[0], []byte(junk), 0o600))
		must(t, exitDone, append(prune, "-v")...).says(t, "cannot be read")
	}
	t.Setenv(stateDir, files[0]) // no folder can be made there
	backup()
	if r := must(t, exitDone, prune...); strings.Contains(r.stderr, "warning") {
		t.Errorf("says %s", r.stderr)
	}
}
