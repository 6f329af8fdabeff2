package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// The objects of a small cluster: a family whose top owner can be missing, an account, and
// what nobody looks after.
var living = map[string]string{
	"/registry/namespaces/kube-system":     `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"kube-system","uid":"11111111-2222-3333-4444-555555555555"}}`,
	"/registry/namespaces/shop":            `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"shop","uid":"n1"}}`,
	"/registry/deployments/shop/web":       `{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"web","namespace":"shop","uid":"d1"}}`,
	"/registry/replicasets/shop/web-1":     `{"kind":"ReplicaSet","apiVersion":"apps/v1","metadata":{"name":"web-1","namespace":"shop","uid":"r1","ownerReferences":[{"apiVersion":"apps/v1","kind":"Deployment","name":"web","uid":"d1","controller":true}]}}`,
	"/registry/serviceaccounts/shop/robot": `{"kind":"ServiceAccount","apiVersion":"v1","metadata":{"name":"robot","namespace":"shop","uid":"a1"}}`,
	"/registry/configmaps/shop/settings":   `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"settings","namespace":"shop","uid":"c1"}}`,
}

// startLiving is an etcd with these objects, and what puts others.
func startLiving(t *testing.T) (keys pair, server *etcdproc.Server, put func(key, value string)) {
	t.Helper()
	server = etcdproc.Start(t, etcdproc.Options{})
	client := server.Client(t)
	put = func(key, value string) {
		_, err := client.Put(context.Background(), key, value)
		check(t, err)
	}
	for key, value := range living {
		put(key, value)
	}
	return newPair(t), server, put
}

// collector is the garbage collector in small: a while after an object is put it deletes
// it, if of its owners none is there (kubernetes: pkg/controller/garbagecollector).
func collector(t *testing.T, client *clientv3.Client, delay time.Duration) *atomic.Int32 {
	t.Helper()
	fired := &atomic.Int32{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })
	events := client.Watch(ctx, "/registry/", clientv3.WithPrefix())
	go func() {
		defer close(done)
		for answer := range events {
			for _, event := range answer.Events {
				_, m, err := object.Read(event.Kv.Value)
				if event.Type != clientv3.EventTypePut || err != nil || len(m.Owners) == 0 {
					continue
				}
				time.Sleep(delay)
				owner, err := client.Get(ctx, "/registry/deployments/"+m.Namespace+"/"+m.Owners[0].Name)
				if err != nil || len(owner.Kvs) > 0 {
					continue
				}
				if _, err := client.Delete(ctx, string(event.Kv.Key)); err == nil {
					fired.Add(1)
				}
			}
		}
	}()
	return fired
}

// TestWhatDoesNotStayIsToldOf: a restore into a living cluster looks again. What its
// controllers have undone within seconds is no success.
func TestWhatDoesNotStayIsToldOf(t *testing.T) {
	t.Parallel()
	keys, server, put := startLiving(t)
	client := server.Client(t)
	remove := func(keys ...string) {
		for _, key := range keys {
			_, err := client.Delete(context.Background(), key)
			check(t, err)
		}
	}
	archive := keys.backUp(t, server.Endpoint, t.TempDir())
	restore := func(code exitCode, more ...string) ran {
		return must(t, code, append([]string{"restore", "--endpoints", server.Endpoint, "--from", archive, "-i", keys.identity, "--allow=closure", "--yes"}, more...)...)
	}
	remove("/registry/replicasets/shop/web-1", "/registry/configmaps/shop/settings")
	if r := restore(exitDone); strings.Contains(r.stdout+r.stderr, "stay") {
		t.Errorf("nobody lives there, and it says\n%s%s", r.stdout, r.stderr)
	}

	put("/registry/masterleases/10.0.0.1", "k8s\x00 an API server")
	fired := collector(t, client, 300*time.Millisecond)
	remove("/registry/replicasets/shop/web-1", "/registry/configmaps/shop/settings")
	restore(exitDone, "-v", "--watch-for", "2s").says(t, "Looking for 2s whether what was written stays", "2 keys were written, and all stayed as they were for 2s")

	// Without its owner the family goes, and only it.
	remove("/registry/replicasets/shop/web-1", "/registry/configmaps/shop/settings", "/registry/deployments/shop/web")
	r := restore(exitIncomplete, "rs,cm", "--watch-for", "3s")
	r.says(t, "2 keys were written: 1 of what was written did not stay", "/registry/replicasets/shop/web-1: gone: it belongs to Deployment web (UID d1)")
	if fired.Load() == 0 || strings.Contains(r.stdout, "settings: gone") {
		t.Errorf("the collector fired %d times, and it says\n%s", fired.Load(), r.stdout)
	}
	r = restore(exitIncomplete, "rs", "--watch-for", "2s", "--json")
	var told struct{ Result restoreResult }
	check(t, json.Unmarshal([]byte(r.stdout[strings.LastIndex(strings.TrimSpace(r.stdout), "\n")+1:]), &told))
	if w := told.Result.Watched; w == nil || w.Count != 1 || len(w.Lost) != 1 || w.Lost[0].What != "gone" {
		t.Errorf("--json tells %+v", told.Result.Watched)
	}
	restore(exitDone, "rs", "--no-watch")
}

// TestWhatIsMadeAnewIsToldOf: another object in the place of one, one that is being deleted,
// a namespace that goes, and what goes as its kind goes.
func TestWhatIsMadeAnewIsToldOf(t *testing.T) {
	t.Parallel()
	keys, server, put := startLiving(t)
	client := server.Client(t)
	const job = "/registry/jobs/shop/once"
	put(job, `{"kind":"Job","apiVersion":"batch/v1","metadata":{"name":"once","namespace":"shop","uid":"j1"},"spec":{"ttlSecondsAfterFinished":60,"template":{"spec":{}}},"status":{"completionTime":"2026-01-01T00:00:00Z"}}`)
	archive := keys.backUp(t, server.Endpoint, t.TempDir())
	put("/registry/masterleases/10.0.0.1", "k8s\x00 an API server")
	account, settings, replicas := "/registry/serviceaccounts/shop/robot", "/registry/configmaps/shop/settings", "/registry/replicasets/shop/web-1"
	for _, key := range []string{account, settings, replicas, job} {
		_, err := client.Delete(t.Context(), key)
		check(t, err)
	}
	// As soon as the account is there, controllers do what they do.
	events := client.Watch(t.Context(), account)
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-events
		time.Sleep(400 * time.Millisecond)
		put(account, strings.ReplaceAll(living[account], "a1", "a2"))
		put(settings, strings.ReplaceAll(living[settings], `"uid"`, `"deletionTimestamp":"2026-01-01T00:00:00Z","uid"`))
		put(replicas, strings.ReplaceAll(living[replicas], `"metadata"`, `"status":{"replicas":1},"metadata"`))
		_, err := client.Delete(context.Background(), job)
		if err != nil {
			t.Error(err)
		}
	}()
	r := must(t, exitIncomplete, "restore", "--endpoints", server.Endpoint, "--from", archive, "-i", keys.identity, "--yes", "-v", "--watch-for", "2s")
	<-done
	r.says(t, "4 keys were written: 2 of what was written did not stay", account+": another is in its place: its UID is a2, and a1 was restored", settings+": being deleted",
		"Gone as expected: "+job+": a Job that has ended")
	must(t, exitUsage, "restore", "--from", archive, "--no-watch", "--watch-for", "2s").says(t, "contradict")
	must(t, exitUsage, "restore", "--from", archive, "--watch-for", "0s").says(t, "--no-watch")
}

// TestAWatchIsInterrupted: what was written is told, and that it was not watched.
func TestAWatchIsInterrupted(t *testing.T) {
	t.Parallel()
	keys, server, _ := startLiving(t)
	client := server.Client(t)
	archive := keys.backUp(t, server.Endpoint, t.TempDir())
	_, err := client.Delete(t.Context(), "/registry/configmaps/shop/settings")
	check(t, err)
	p := start(t, "restore", "--endpoints", server.Endpoint, "--from", archive, "-i", keys.identity, "--yes", "--watch-for", "60s", "-v")
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		got, err := client.Get(t.Context(), "/registry/configmaps/shop/settings")
		check(t, err)
		if len(got.Kvs) > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing is restored")
		}
	}
	time.Sleep(1500 * time.Millisecond)
	check(t, p.Process.Signal(syscall.SIGINT))
	r := p.end(t)
	if r.code != exitInterrupted {
		t.Errorf("it ended with %d", r.code)
	}
	r.says(t, "1 key was written, and not watched to the end")
}

// TestEachLossIsCountedOnce: also of those that are too many to be named, at each look.
func TestEachLossIsCountedOnce(t *testing.T) {
	t.Parallel()
	const many, prefix = 1100, "/registry/serviceaccounts/crowd/"
	keys, server, put := startLiving(t)
	client := server.Client(t)
	for i := range many {
		put(fmt.Sprintf("%srobot-%04d", prefix, i), fmt.Sprintf(`{"kind":"ServiceAccount","apiVersion":"v1","metadata":{"name":"robot-%04d","namespace":"crowd","uid":"u%d"}}`, i, i))
	}
	archive := keys.backUp(t, server.Endpoint, t.TempDir())
	empty := func() {
		gone, err := client.Delete(context.Background(), prefix, clientv3.WithPrefix())
		if err != nil || gone.Deleted != many {
			t.Errorf("%v of %d were deleted: %v", gone, many, err)
		}
	}
	empty()
	events, done := client.Watch(t.Context(), prefix, clientv3.WithPrefix()), make(chan struct{})
	go func() {
		defer close(done)
		for seen := 0; seen < many; {
			seen += len((<-events).Events)
		}
		empty()
	}()
	r := must(t, exitIncomplete, "restore", "sa", "--endpoints", server.Endpoint, "--from", archive, "-i", keys.identity, "--allow=closure", "--yes", "--watch-for", "2s")
	<-done
	r.says(t, "1,100 keys were written: 1100 of what was written did not stay")
}
