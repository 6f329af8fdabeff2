package cmd

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

const (
	heartbeat      = "/registry/leases/kube-system/apiserver-abc"
	heartbeatValue = `{"kind":"Lease","apiVersion":"coordination.k8s.io/v1","metadata":{"name":"apiserver-abc","namespace":"kube-system"}}`
)

// emptied is an archive of a small cluster, and an etcd that is to be filled with it.
func emptied(t *testing.T) (target *etcdproc.Server, client *clientv3.Client, restore []string) {
	t.Helper()
	keys, source, put := startLiving(t)
	put(heartbeat, heartbeatValue)
	archive := keys.backUp(t, source.Endpoint, t.TempDir())
	target = etcdproc.Start(t, etcdproc.Options{})
	return target, target.Client(t), []string{"restore", "--from", archive, "-i", keys.identity, "--endpoints", target.Endpoint, "--scenario=new", "--yes"}
}

// wantOnly fails the test if there are other keys than these.
func wantOnly(t *testing.T, client *clientv3.Client, keys ...string) {
	t.Helper()
	for _, e := range holdings(t, client, 0) {
		if !slices.Contains(keys, string(e.Key)) {
			t.Errorf("key %s was written", e.Key)
		}
	}
}

// TestANewEtcdIsNamed: what is filled is what somebody has named, wherever; a default, and
// what DNS says, is not.
func TestANewEtcdIsNamed(t *testing.T) {
	t.Parallel()
	profile := filepath.Join(t.TempDir(), "config.yaml")
	check(t, os.WriteFile(profile, []byte("default_profile: p\nprofiles: [{name: p, endpoints: ['http://127.0.0.1:1']}]\n"), 0o600))
	args := []string{"restore", "--from", filepath.Join(t.TempDir(), "x.zip.age"), "--scenario=new"}
	for _, more := range [][]string{nil, {"--discovery-srv", "example.test"}} {
		must(t, exitUsage, append(args, more...)...).says(t, "--scenario=new", "--endpoints HOST:PORT", "ETCDCTL_ENDPOINTS", "profile")
	}
	must(t, exitUsage, append(args, "--discovery-srv", "example.test")...).says(t, "the SRV records of example.test")
	for _, more := range [][]string{{"--endpoints", "http://127.0.0.1:1"}, {"--config", profile}} {
		must(t, exitNotFound, append(args, more...)...)
	}
	for _, name := range []string{"ETCDCTL_ENDPOINTS", "KUBEFERRY_ENDPOINTS"} {
		runIn(t, []string{name + "=http://127.0.0.1:1"}, args...).ends(t, exitNotFound)
	}
	must(t, exitNotFound, "restore", "--from", filepath.Join(t.TempDir(), "x.zip.age")) // the same cluster may be the default
}

// TestANewEtcdIsWatched: the time is told apart, and what to do next.
func TestANewEtcdIsWatched(t *testing.T) {
	t.Parallel()
	_, client, restore := emptied(t)
	r := must(t, exitDone, append(restore, "-v", "--dry-run")...)
	r.says(t, "signs of API servers, while the archive is verified", "No API server gave a sign of life for 1 s; one that keeps none is not seen", "--watch-for=1s (from KUBEFERRY_WATCH_FOR)")
	if strings.Contains(r.stderr, "restart") {
		t.Errorf("nothing is done, and it says what to do next: %s", r.stderr)
	}
	wantOnly(t, client)
	r = must(t, exitDone, append(restore, "--json")...)
	result, _ := lastObject(t, r.stdout)["result"].(map[string]any)
	next, _ := result["next"].([]any)
	if len(next) != 3 || !strings.Contains(fmt.Sprint(next[0]), "restart every kube-apiserver") || !strings.Contains(fmt.Sprint(next[2]), "kubelets") {
		t.Errorf("next: %v", next)
	}
	steps, _ := result["steps"].(map[string]any)
	seconds := func(name string) float64 {
		step, _ := steps[name].(map[string]any)
		s, _ := step["seconds"].(float64)
		return s
	}
	if watch := seconds("signs"); watch <= 0 || watch > 1.5 || seconds("plan") <= 0 {
		t.Errorf("steps: %v", steps)
	}
	must(t, exitDone, append(restore, "-v")...).says(t, "Restart, and do not only start", "1. restart every kube-apiserver", "3. then restart the kubelets")
	r = must(t, exitDone, append(restore, "--no-watch", "-v")...)
	r.says(t, "warning: --no-watch: API servers are looked for once only", "1. restart every kube-apiserver")
	if strings.Contains(r.stderr, "sign of life for 1 s") {
		t.Errorf("it was watched: %s", r.stderr)
	}
}

// TestAnAPIServerInANewEtcdIsRefused: it is named by its key, and how to stop it.
func TestAnAPIServerInANewEtcdIsRefused(t *testing.T) {
	t.Parallel()
	_, client, restore := emptied(t)
	const sign = "/registry/masterleases/192.0.2.1"
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ; ctx.Err() == nil; time.Sleep(200 * time.Millisecond) {
			lease, err := client.Grant(context.Background(), 2)
			if err == nil {
				_, err = client.Put(context.Background(), sign, "x", clientv3.WithLease(lease.ID))
			}
			if err != nil {
				t.Error(err)
			}
		}
	}()
	t.Cleanup(func() { stop(); <-done })
	r := must(t, exitGuard, append(restore, "--watch-for=15s")...)
	r.says(t, "nothing was written: a kube-apiserver uses the target", "it wrote key "+sign, "/etc/kubernetes/manifests", "wait 15 seconds", "run the same command again")
	if strings.Contains(r.stderr, "warning") {
		t.Errorf("it warns: %s", r.stderr)
	}
	wantOnly(t, client, sign)
}

// trigger does something when a word is printed.
type trigger struct {
	bytes.Buffer
	word string
	do   func()
}

func (w *trigger) Write(b []byte) (int, error) {
	if w.do != nil && bytes.Contains(b, []byte(w.word)) {
		w.do()
		w.do = nil
	}
	return w.Buffer.Write(b)
}

// TestTheWatchBeginsWithTheRestore: what is put while the archive is verified is a sign.
func TestTheWatchBeginsWithTheRestore(t *testing.T) {
	t.Parallel()
	_, client, restore := emptied(t)
	check(t, os.Remove(restore[2]+".receipt.json"))
	stderr := &trigger{word: "has no receipt", do: func() { // it is verified, and not planned yet
		if _, err := client.Put(t.Context(), heartbeat, heartbeatValue); err != nil {
			t.Error(err)
		}
	}}
	shell := &console.Shell{
		Stdin: strings.NewReader(""), Stdout: &bytes.Buffer{}, Stderr: stderr, Environ: surroundings(),
		Unset: func(string) error { return nil }, Now: time.Now, Hostname: func() (string, error) { return "tester", nil },
	}
	if code := exitCode(run(t.Context(), append(restore, "-v"), shell)); code != exitGuard || stderr.do != nil || !strings.Contains(stderr.String(), "it wrote key "+heartbeat) {
		t.Errorf("it ended with %d: %s", code, stderr)
	}
	wantOnly(t, client, heartbeat)
}

// TestAWatchForAPIServersIsInterrupted: nothing is written, and it says so.
func TestAWatchForAPIServersIsInterrupted(t *testing.T) {
	t.Parallel()
	target, client, restore := emptied(t)
	d := newDoorbell(t, target.Endpoint)
	p := start(t, append(restore, "--endpoints", d.endpoint, "--watch-for=60s")...)
	p.await(t, "a connection", func() bool { return d.rung.Load() > 0 })
	time.Sleep(2 * time.Second) // verified and planned long ago
	check(t, p.Process.Signal(syscall.SIGINT))
	begun := time.Now()
	r := p.end(t)
	if took := time.Since(begun); r.code != exitInterrupted || took > 5*time.Second {
		t.Errorf("it ended with %d after %s", r.code, took)
	}
	r.says(t, "nothing was written", "Plan:")
	wantOnly(t, client)
}
