package cmd

import (
	"encoding/json"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
	"github.com/kubeferry/kubeferry/scripts/servers/s3proc"
)

// policyOf is one of the published policies, as a bucket's policy for a user of the
// test server, which knows no conditions.
func policyOf(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../scripts/s3-policies/" + name + ".json")
	check(t, err)
	var policy struct {
		Version   string
		Statement []map[string]any
	}
	check(t, json.Unmarshal([]byte(strings.NewReplacer("BUCKET", "backups", "PREFIX", "prod").Replace(string(text))), &policy))
	var kept []map[string]any
	for _, s := range policy.Statement {
		if s["Effect"] == "Deny" {
			continue
		}
		delete(s, "Condition")
		s["Principal"] = map[string]any{"AWS": []string{"$USER"}}
		kept = append(kept, s)
	}
	policy.Statement = kept
	text, err = json.Marshal(policy)
	check(t, err)
	return string(text)
}

// S03, SP6: with the rights of the published policies each user can do its own work
// and nothing else.
func TestS3LeastRights(t *testing.T) {
	server, proxy := startS3(t, s3proc.Options{Users: true})
	as := func(user string) { // the bucket has one policy at a time
		server.AddUser(user, user+"-secret", "backups", policyOf(t, user))
		t.Setenv("AWS_ACCESS_KEY_ID", user)
		t.Setenv("AWS_SECRET_ACCESS_KEY", user+"-secret")
	}
	etcd := etcdproc.Start(t, etcdproc.Options{})
	fill(t, etcd.Client(t), 3, func(i int) (string, string) { return configMap(i, 100) })
	keys := newPair(t)
	const place = "s3://backups/prod"
	backup := []string{"backup", "--endpoints", etcd.Endpoint, "-r", keys.recipient, "--to"}

	as("writer")
	archive := strings.TrimSpace(must(t, exitDone, append(backup, place)...).stdout)
	profile := filepath.Join(t.TempDir(), "config.yaml")
	check(t, os.WriteFile(profile, []byte("default_profile: p\nprofiles: [{name: p, to: '"+place+"', s3_endpoint: '"+server.Endpoint+"'}]\n"), 0o600))
	t.Setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
	must(t, exitDone, "backup", "--config", profile, "--endpoints", etcd.Endpoint, "-r", keys.recipient)
	t.Setenv("AWS_ENDPOINT_URL_S3", proxy.Endpoint)
	must(t, exitDone, append(backup, place, "--json")...).says(t, `"checked":"not read back`)
	must(t, exitDenied, "list", place).says(t, "s3:ListBucket")
	must(t, exitDenied, "verify", archive, "-i", keys.identity).says(t, "s3:GetObject")
	must(t, exitDenied, append(backup, "s3://backups/other")...).says(t, "s3:PutObject")

	as("reader")
	if list := must(t, exitDone, "list", place); strings.Count(list.stdout, " ok\n") != 3 {
		t.Errorf("the list says\n%s", list.stdout)
	}
	must(t, exitDone, "verify", archive, "-i", keys.identity)
	must(t, exitDenied, append(backup, place)...).says(t, "s3:PutObject")
	must(t, exitIncomplete, "prune", place, "--keep-last=1", "--max-delete-percent=70").says(t, "denied", "s3:DeleteObject")

	as("pruner")
	must(t, exitDone, "check", place, "--max-age=1h", "--min-count=2", "--verify")
	must(t, exitDenied, append(backup, place)...)
	must(t, exitDone, "prune", place, "--keep-last=1", "--max-delete-percent=70", "--incomplete").says(t, "removed")
	must(t, exitDone, "check", place, "--max-age=1h")
}

// The condition that AWS has and the test server does not: nobody overwrites.
func TestWriterNeverOverwrites(t *testing.T) {
	text, err := os.ReadFile("../scripts/s3-policies/writer.json")
	check(t, err)
	const golden = `"Condition":{"Bool":{"s3:ObjectCreationOperation":"true"},"Null":{"s3:if-none-match":"true"}},"Effect":"Deny"`
	var policy any
	check(t, json.Unmarshal(text, &policy))
	plain, err := json.Marshal(policy)
	check(t, err)
	if !strings.Contains(string(plain), golden) {
		t.Errorf("the policy is %s, want it with %s", plain, golden)
	}
}

// A receipt that is lost in S3 is made anew: the lock that it tells of is the store's.
func TestS3ReceiptAnew(t *testing.T) {
	server, _ := startS3(t, s3proc.Options{Versioning: true})
	etcd := etcdproc.Start(t, etcdproc.Options{})
	fill(t, etcd.Client(t), 3, func(i int) (string, string) { return configMap(i, 100) })
	keys := newPair(t)
	const place = "s3://backups/prod"
	for _, lock := range [][]string{nil, {"--retain-for=1d"}} {
		backup := append([]string{"backup", "--endpoints", etcd.Endpoint, "-r", keys.recipient, "--to", place}, lock...)
		archive := strings.TrimSpace(must(t, exitDone, backup...).stdout)
		name := strings.TrimPrefix(archive, "s3://backups/") + ".receipt.json"
		read := func() string {
			t.Helper()
			object, _, _, err := server.Client().GetObject(t.Context(), "backups", name, minio.GetObjectOptions{})
			check(t, err)
			text, err := io.ReadAll(object)
			check(t, err)
			return string(text)
		}
		before := read()
		if strings.Contains(before, "retain_until") != (lock != nil) {
			t.Fatalf("the receipt is %s", before)
		}
		seen, err := server.Client().StatObject(t.Context(), "backups", name, minio.StatObjectOptions{})
		check(t, err)
		check(t, server.Client().RemoveObject(t.Context(), "backups", name, minio.RemoveObjectOptions{VersionID: seen.VersionID, GovernanceBypass: true}))
		if list := must(t, exitDone, "list", place).stdout; strings.Contains(list, path.Base(archive)) {
			t.Errorf("without a receipt it is listed\n%s", list)
		}
		must(t, exitDone, "receipt", archive, "-i", keys.identity)
		if after := read(); after != before {
			t.Errorf("the receipt is\n%s\nand was\n%s", after, before)
		}
		must(t, exitConflict, "receipt", archive, "-i", keys.identity).says(t, "already has a valid receipt")
	}
	must(t, exitDone, "check", place, "--min-count=2", "--verify", "-i", keys.identity)
	must(t, exitNotFound, "receipt", place+"/nothing.zip.age", "-i", keys.identity)
}

// RT5, S18: what is locked stays, and is told of; it is tried once.
func TestS3Locks(t *testing.T) {
	server, proxy := startS3(t, s3proc.Options{Versioning: true})
	etcd := etcdproc.Start(t, etcdproc.Options{})
	fill(t, etcd.Client(t), 3, func(i int) (string, string) { return configMap(i, 100) })
	keys := newPair(t)
	const place = "s3://backups/prod"
	backup := []string{"backup", "--endpoints", etcd.Endpoint, "-r", keys.recipient, "--to", place}
	must(t, exitDone, append(backup, "--retain-for=1d", "--retain-mode=governance", "--s3-tag=team=infra")...)
	put := proxy.Requests("PutObject")[0].Header
	if put.Get("X-Amz-Object-Lock-Mode") != "GOVERNANCE" || put.Get("X-Amz-Tagging") != "team=infra" || put.Get("X-Amz-Object-Lock-Retain-Until-Date") == "" {
		t.Errorf("the headers of the archive are %v", put)
	}
	time.Sleep(1100 * time.Millisecond) // receipts tell of seconds, and the locked one is to be the oldest
	for range 2 {
		must(t, exitDone, backup...)
	}
	must(t, exitDone, "list", place, "-o", "wide").says(t, "locked until")
	must(t, exitDone, "prune", place, "--keep-last=1").says(t, "locked until", "removed")
	if list := must(t, exitDone, "list", place, "-o", "wide"); strings.Count(list.stdout, " ok ") != 1 || strings.Count(list.stdout, " locked until ") != 1 {
		t.Errorf("the list says\n%s", list.stdout)
	}

	// A hold that no receipt tells of: it stays, listed, and the others go.
	held := strings.TrimSpace(must(t, exitDone, append(backup[:len(backup)-1], "s3://backups/held")...).stdout)
	time.Sleep(1100 * time.Millisecond)
	for range 2 {
		must(t, exitDone, append(backup[:len(backup)-1], "s3://backups/held")...)
	}
	on := minio.LegalHoldEnabled
	check(t, server.Client().PutObjectLegalHold(t.Context(), "backups", strings.TrimPrefix(held, "s3://backups/"), minio.PutObjectLegalHoldOptions{Status: &on}))
	must(t, exitIncomplete, "prune", "s3://backups/held", "--keep-last=1", "--max-delete-percent=70").says(t, "denied", "legal hold", "removed")
	must(t, exitDone, "list", "s3://backups/held", "-o", "wide").says(t, path.Base(held))
}
