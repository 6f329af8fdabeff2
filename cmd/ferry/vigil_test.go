package ferry_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

const identity = "/registry/leases/kube-system/apiserver-abc"

// A fresh etcd is one that is to be filled, and what an API server would do to it.
type fresh struct {
	t      *testing.T
	client *clientv3.Client
	ferry.Restore
}

// newFresh is a restore of three objects, and more if there are any, into an empty etcd that
// is watched for so long.
func newFresh(t *testing.T, watch time.Duration, more ...etcdwalk.Entry) *fresh {
	t.Helper()
	server := etcdproc.Start(t, etcdproc.Options{})
	cluster := dial(t, server)
	archive := walktest.NewView(append(objects(2), more...)...)
	archive.About = etcdwalk.Info{API: etcdwalk.V3, ClusterID: 0xa, Revision: 9}
	return &fresh{t, server.Client(t), ferry.Restore{
		Source: archive, Query: query(t, kube.Filter{}), Cluster: cluster, Target: cluster.Target(),
		Scenario: kube.ScenarioNew, Raw: true, WatchSigns: watch,
	}}
}

// sign puts a sign of life, under a lease of so many seconds; 0: none.
func (f *fresh) sign(key string, ttl int64) {
	var options []clientv3.OpOption
	if ttl > 0 {
		lease, err := f.client.Grant(context.Background(), ttl)
		if err != nil {
			f.t.Error(err)
			return
		}
		options = append(options, clientv3.WithLease(lease.ID))
	}
	if _, err := f.client.Put(context.Background(), key, "{}", options...); err != nil {
		f.t.Error(err)
	}
}

// later does something after a while, and is over when the test is.
func (f *fresh) later(after time.Duration, do func()) {
	done := make(chan struct{})
	go func() { defer close(done); time.Sleep(after); do() }()
	f.t.Cleanup(func() { <-done })
}

// wantRefused fails the test unless that is refused with these words, and nothing is written
// but what API servers put.
func (f *fresh) wantRefused(err error, words ...string) {
	f.t.Helper()
	if !errors.Is(err, etcdwalk.ErrRefused) {
		f.t.Fatalf("got %v, want a refusal", err)
	}
	for _, word := range append(words, "/etc/kubernetes/manifests", "wait 15 seconds", "run the same command again") {
		if !strings.Contains(err.Error(), word) {
			f.t.Errorf("it does not say %q: %v", word, err)
		}
	}
	f.wantNothing()
}

func (f *fresh) wantNothing() {
	f.t.Helper()
	for _, e := range holdings(f.t, f.client, 0) {
		if key := string(e.Key); key != sign && key != identity && !strings.HasPrefix(key, "/registry/peerserverleases/") {
			f.t.Errorf("key %s was written", key)
		}
	}
}

// TestALivingServerIsSeen: it rewrites its keys, under leases that end before the watch does.
func TestALivingServerIsSeen(t *testing.T) {
	t.Parallel()
	f := newFresh(t, 30*time.Second)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			f.sign(sign, 2)
			time.Sleep(200 * time.Millisecond)
		}
	}()
	t.Cleanup(func() { stop(); <-done })
	begun := time.Now()
	_, err := f.Plan(t.Context())
	f.wantRefused(err, "it wrote key "+sign)
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it was seen after %s only", took)
	}
}

// TestAServerThatDiesIsWaitedFor: it was there when the restore began. Its lease runs out, and
// the restore goes on.
func TestAServerThatDiesIsWaitedFor(t *testing.T) {
	t.Parallel()
	f := newFresh(t, 4*time.Second)
	f.sign(sign, 2)
	planned, err := f.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(planned.Doubts) != 1 || !strings.Contains(planned.Doubts[0], sign+" has expired") {
		t.Errorf("doubts: %q", planned.Doubts)
	}
	if planned.Watched < f.WatchSigns || planned.Waited < time.Second {
		t.Errorf("watched for %s, waited for %s", planned.Watched, planned.Waited)
	}
	if _, err = f.Apply(t.Context(), planned); err != nil {
		t.Fatal(err)
	}
	if n := len(holdings(t, f.client, 0)); n != 3 {
		t.Errorf("%d keys are there, want 3", n)
	}
}

// TestASignThatStaysIsRefused: nobody rewrites it, and it does not go.
func TestASignThatStaysIsRefused(t *testing.T) {
	t.Parallel()
	f := newFresh(t, time.Second)
	f.sign(sign, 600)
	_, err := f.Plan(t.Context())
	f.wantRefused(err, "its key "+sign+" is still there after")
}

// TestALateServerIsSeen: one that finds the target while it is watched, whatever it writes
// first; and one that finds it after the plan.
func TestALateServerIsSeen(t *testing.T) {
	t.Parallel()
	for _, key := range []string{sign, "/registry/peerserverleases/a", "/kubernetes.io/masterleases/192.0.2.1", identity} {
		t.Run(strings.ReplaceAll(strings.Trim(key, "/"), "/", "_"), func(t *testing.T) {
			t.Parallel()
			f := newFresh(t, 3*time.Second)
			f.later(time.Second, func() { f.sign(key, 0) })
			_, err := f.Plan(t.Context())
			if !errors.Is(err, etcdwalk.ErrRefused) || !strings.Contains(err.Error(), "it wrote key "+key) {
				t.Errorf("got %v", err)
			}
			f.wantNothing()
		})
	}
	t.Run("after_the_plan", func(t *testing.T) {
		t.Parallel()
		f := newFresh(t, 200*time.Millisecond)
		planned, err := f.Plan(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		f.sign(identity, 0)
		_, err = f.Apply(t.Context(), planned)
		f.wantRefused(err, "it wrote key "+identity)
	})
}

// TestTheWatchBeginsAtItsMark: what was done since then is not waited for again, and what was
// put since then is a sign, though it is gone from before the plan's eyes.
func TestTheWatchBeginsAtItsMark(t *testing.T) {
	t.Parallel()
	f := newFresh(t, time.Second, etcdwalk.Entry{Key: []byte(identity), Value: []byte("{}"), CreateRevision: 2, ModRevision: 8, Version: 1})
	f.sign(identity, 0) // of a server that is gone: it stays, and is the archive's too
	begun, err := f.Mark(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f.Begun = begun
	f.Begun.Taken = begun.Taken.Add(-time.Minute) // the archive was large
	planned, err := f.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if planned.Waited > 500*time.Millisecond || planned.Watched < time.Minute {
		t.Errorf("watched for %s, waited for %s", planned.Watched, planned.Waited)
	}
	f.sign(identity, 0)
	_, err = f.Plan(t.Context())
	f.wantRefused(err, "it wrote key "+identity)
}

// TestAWatchForSignsIsInterrupted: nothing is written.
func TestAWatchForSignsIsInterrupted(t *testing.T) {
	t.Parallel()
	f := newFresh(t, time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	f.Progress = func(now ferry.Phase, _, total int64) {
		if now == ferry.Watching && total == 60 {
			cancel()
		}
	}
	if _, err := f.Plan(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	f.wantNothing()
}

// TestWhatWasTurnedBackIsWatched: in the same cluster too, a server that lives may not have
// written yet.
func TestWhatWasTurnedBackIsWatched(t *testing.T) {
	t.Parallel()
	f := newFresh(t, 2*time.Second)
	f.Scenario = kube.ScenarioSame
	put(t, f.client, system, string(objects(0)[0].Value))
	f.later(time.Second, func() { f.sign(identity, 0) })
	f.Allow = []string{kube.Closure}
	_, err := f.Plan(t.Context())
	if !errors.Is(err, etcdwalk.ErrRefused) || !strings.Contains(err.Error(), "turned back or made anew") || !strings.Contains(err.Error(), "it wrote key "+identity) {
		t.Errorf("got %v", err)
	}
	f.Allow = append(f.Allow, kube.TurnedBack)
	planned, err := f.Plan(t.Context())
	if err != nil || planned.Waited > 0 {
		t.Errorf("--allow %s: %v", kube.TurnedBack, err)
	}
}
