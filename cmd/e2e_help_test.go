package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/crypt"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
	"github.com/kubeferry/kubeferry/remote/dir"
	"github.com/kubeferry/kubeferry/scripts/fixtures/database"
)

// A ran is what became of one command line.
type ran struct {
	args           []string
	code           exitCode
	stdout, stderr string
}

// runHere runs a command line in this process, without a terminal.
func runHere(t testing.TB, args ...string) ran {
	t.Helper()
	return runWith(t, []string{"TERM=dumb"}, time.Now, args...)
}

// runAt does so at another time of its clock.
func runAt(t testing.TB, now time.Time, args ...string) ran {
	t.Helper()
	return runWith(t, []string{"TERM=dumb"}, func() time.Time { return now }, args...)
}

// runOnTerminal does so on a terminal of 80 columns.
func runOnTerminal(t testing.TB, args ...string) ran {
	t.Helper()
	return runOn(t, &console.Shell{Environ: []string{"TERM=dumb"}, Now: time.Now, OutTerminal: true, ErrTerminal: true}, args...)
}

// runWith does so with an environment and a clock.
func runWith(t testing.TB, environ []string, now func() time.Time, args ...string) ran {
	t.Helper()
	return runOn(t, &console.Shell{Environ: environ, Now: now}, args...)
}

// runOn runs a command line in a shell, of which the streams are made here.
func runOn(t testing.TB, shell *console.Shell, args ...string) ran {
	t.Helper()
	var out, talk bytes.Buffer
	shell.Stdin, shell.Stdout, shell.Stderr = strings.NewReader(""), &out, &talk
	shell.Environ = append(slices.Clip(shell.Environ), surroundings()...)
	shell.Unset = func(string) error { return nil }
	shell.Hostname = func() (string, error) { return "tester", nil }
	code := run(t.Context(), args, shell)
	return ran{args, exitCode(code), out.String(), talk.String()}
}

// must runs a command line that has to end with a code.
func must(t testing.TB, code exitCode, args ...string) ran {
	t.Helper()
	r := runHere(t, args...)
	if r.code != code {
		t.Fatalf("kubeferry %s ended with %d, want %d\nstdout: %s\nstderr: %s", strings.Join(args, " "), r.code, code, r.stdout, r.stderr)
	}
	return r
}

// says fails the test unless stdout and stderr together hold all the words.
func (r ran) says(t testing.TB, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(r.stdout+r.stderr, word) {
			t.Errorf("kubeferry %s does not say %q\nstdout: %s\nstderr: %s", strings.Join(r.args, " "), word, r.stdout, r.stderr)
		}
	}
}

// A pair is an identity file and the recipient that belongs to it.
type pair struct{ identity, recipient string }

func newPair(t testing.TB) pair {
	t.Helper()
	identity := filepath.Join(t.TempDir(), "identity")
	r := must(t, exitDone, "keygen", "--here", "--out", identity)
	return pair{identity, strings.TrimSpace(r.stdout)}
}

// open opens an archive with the identity.
func (p pair) open(t testing.TB, path string) *ferry.Archive {
	t.Helper()
	file, err := os.Open(p.identity)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	ids, err := crypt.ParseIdentities(file, p.identity)
	if err != nil {
		t.Fatal(err)
	}
	a, err := ferry.Open(t.Context(), dir.New(filepath.Dir(path), dir.Options{}), filepath.Base(path), ferry.Keys{Identities: ids})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// backUp backs a cluster up, verifies the archive, and returns its path.
func (p pair) backUp(t testing.TB, endpoints, folder string, more ...string) string {
	t.Helper()
	r := must(t, exitDone, append([]string{"backup", "--endpoints", endpoints, "--to", folder, "-r", p.recipient}, more...)...)
	path := strings.TrimSpace(r.stdout)
	must(t, exitDone, "verify", path, "-i", p.identity)
	return path
}

// holdings reads all keys of a cluster, as etcd's own client does. A revision
// of 0 is the present one.
func holdings(t testing.TB, client *clientv3.Client, revision int64) []etcdwalk.Entry {
	t.Helper()
	answer, err := client.Get(context.Background(), "\x00", clientv3.WithFromKey(), clientv3.WithRev(revision))
	if err != nil {
		t.Fatal(err)
	}
	entries := make([]etcdwalk.Entry, len(answer.Kvs))
	for i, kv := range answer.Kvs {
		entries[i] = etcdwalk.Entry{
			Key: kv.Key, Value: kv.Value, Lease: kv.Lease,
			CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision, Version: kv.Version,
		}
	}
	return entries
}

// contents reads all entries of an archive.
func contents(t testing.TB, a *ferry.Archive) []etcdwalk.Entry {
	t.Helper()
	var entries []etcdwalk.Entry
	for e, err := range a.Walk(t.Context(), walktest.Everything()) {
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e.Clone())
	}
	return entries
}

// revision is the present revision of a cluster.
func revision(t testing.TB, client *clientv3.Client) int64 {
	t.Helper()
	answer, err := client.Get(context.Background(), "x", clientv3.WithCountOnly())
	if err != nil {
		t.Fatal(err)
	}
	return answer.Header.Revision
}

// same fails the test unless two keyspaces are equal.
func same(t testing.TB, what string, got, want []etcdwalk.Entry) {
	t.Helper()
	if len(want) == 0 {
		t.Errorf("%s: there is nothing to compare with", what)
	}
	if diff := walktest.Diff(got, want); diff != "" {
		t.Errorf("%s:\n%s", what, diff)
	}
}

// those filters entries by key.
func those(entries []etcdwalk.Entry, keep func(key string) bool) []etcdwalk.Entry {
	return slices.DeleteFunc(slices.Clone(entries), func(e etcdwalk.Entry) bool { return !keep(string(e.Key)) })
}

// transient tells whether a key is one that API servers keep only while they
// run. It is never restored, and vanishes from a source by itself.
func transient(key string) bool {
	return strings.HasPrefix(key, "/registry/masterleases/") || strings.HasPrefix(key, "/registry/peerserverleases/")
}

// readReport reads a report, in which each key must stand once.
func readReport(t testing.TB, path string) map[string]line {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]line{}
	for row := range bytes.Lines(text) {
		var l line
		if err := json.Unmarshal(row, &l); err != nil {
			t.Fatalf("%s: %v in %s", path, err, row)
		}
		key := l.Key
		if l.Bytes != nil {
			key = string(l.Bytes)
		}
		if _, twice := lines[key]; twice {
			t.Errorf("key %q stands in the report twice", key)
		}
		lines[key] = l
	}
	return lines
}

// count counts the lines of a report by outcome.
func count(lines map[string]line) replay.Counts {
	counts := replay.Counts{}
	for _, l := range lines {
		counts[l.Outcome]++
	}
	return counts
}

// unpack decompresses a zstd file into a temporary folder.
func unpack(t testing.TB, path string) string {
	t.Helper()
	raw, err := database.Unpack(path)
	if err != nil {
		t.Fatal(err)
	}
	unpacked := filepath.Join(t.TempDir(), strings.TrimSuffix(filepath.Base(path), ".zst"))
	if err := os.WriteFile(unpacked, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return unpacked
}

// fill puts the entries of a generator into an etcd, in large transactions.
func fill(t testing.TB, client *clientv3.Client, n int, entry func(i int) (key, value string)) {
	t.Helper()
	var ops []clientv3.Op
	bytes := 0
	flush := func() {
		if _, err := client.Txn(context.Background()).Then(ops...).Commit(); err != nil {
			t.Fatal(err)
		}
		ops, bytes = nil, 0
	}
	for i := range n {
		key, value := entry(i)
		ops, bytes = append(ops, clientv3.OpPut(key, value)), bytes+len(key)+len(value)
		if len(ops) == 128 || bytes > 1<<20 || i == n-1 {
			flush()
		}
	}
}

// long skips a sweep unless it was asked for.
func long(t testing.TB) {
	t.Helper()
	if os.Getenv("KUBEFERRY_LONG") == "" {
		t.Skip("long: run make test-long")
	}
}
