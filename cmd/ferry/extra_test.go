package ferry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// TestNothingWrittenAfterThePlanIsDeleted: while a restore deletes what the archive has not,
// others make new objects of the same kinds and write the old ones. What is deleted is what the
// plan has named, at the revision that it saw.
func TestNothingWrittenAfterThePlanIsDeleted(t *testing.T) {
	server := etcdproc.Start(t, etcdproc.Options{})
	client, cluster := server.Client(t), dial(t, server)
	populate(t, client, 50, 100)
	name, value := namespace("arena")
	put(t, client, name, value)
	a, _ := archived(t, cluster)
	moved, deleted := int64(0), int64(0)
	for round := range 5 {
		for i := range 400 {
			k, v := object("arena", fmt.Sprintf("extra-%d", i), round)
			put(t, client, k, v)
		}
		r := ferry.Restore{Source: a, Cluster: cluster, Target: cluster.Target(), Policy: replay.Overwrite, DeleteExtra: true}
		r.Query = query(t, kube.Filter{Namespaces: []string{"arena"}})
		seen := map[string]int64{}
		r.Report = func(line replay.Line) error {
			if line.Fate == replay.Deleted {
				seen[string(line.Key)] = line.Revision
			}
			return nil
		}
		stop := writeBeside(t, client, round)
		planned, err := r.Plan(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r.Report = nil
		before := now(t, cluster)
		done, err := r.Apply(t.Context(), planned)
		stop()
		if err != nil && !errors.Is(err, ferry.ErrIncomplete) {
			t.Fatal(err)
		}
		moved, deleted = moved+done.Counts[replay.Moved], deleted+done.Counts[replay.Deleted]
		if done.Counts[replay.Deleted] == 0 || done.Counts[replay.Moved] > 0 != errors.Is(err, ferry.ErrIncomplete) {
			t.Errorf("%v, %v", done.Counts, err)
		}
		count := int64(0)
		for _, e := range history(t, client, before, now(t, cluster)) {
			if e.Type != mvccpb.DELETE {
				continue
			}
			count++
			if revision := seen[string(e.Kv.Key)]; e.PrevKv.ModRevision != revision || revision > before {
				t.Errorf("key %q was deleted at revision %d, and the plan had seen %d of the first %d", e.Kv.Key, e.PrevKv.ModRevision, revision, before)
			}
		}
		if count != done.Counts[replay.Deleted] {
			t.Errorf("%d keys were deleted, %d are told", count, done.Counts[replay.Deleted])
		}
	}
	if moved == 0 {
		t.Errorf("nobody has written what was to be deleted, of %d keys", deleted)
	}
}

// writeBeside makes new objects and writes old ones, until it is stopped.
func writeBeside(t *testing.T, client *clientv3.Client, round int) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	random := rand.New(rand.NewPCG(uint64(round), 17))
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			k, v := object("arena", fmt.Sprintf("new-%d-%d", round, n), n)
			if random.IntN(2) == 0 {
				k, v = object("arena", fmt.Sprintf("extra-%d", random.IntN(400)), 1000+n)
			}
			if _, err := client.Put(context.WithoutCancel(ctx), k, v); err != nil {
				t.Error(err)
				return
			}
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

// history is what has happened to keys behind one revision, up to another.
func history(t *testing.T, client *clientv3.Client, from, to int64) (events []*clientv3.Event) {
	t.Helper()
	if from == to {
		return nil
	}
	watching, cancel := context.WithCancel(t.Context())
	defer cancel()
	for batch := range client.Watch(watching, "\x00", clientv3.WithFromKey(), clientv3.WithRev(from+1), clientv3.WithPrevKV()) {
		if err := batch.Err(); err != nil {
			t.Fatal(err)
		}
		last := from
		for _, e := range batch.Events { // several keys may be written at one revision
			if last = e.Kv.ModRevision; last <= to {
				events = append(events, e)
			}
		}
		if last >= to {
			return events
		}
	}
	return events
}

// TestExtrasMakeTheScopeEqual: with --delete-extra the selection is what the archive holds of it, key by
// key, and nothing beside it has changed.
func TestExtrasMakeTheScopeEqual(t *testing.T) {
	s := storeInMemory(t)
	s.empty(t)
	inhabit(t, s, rand.New(rand.NewPCG(3, 5)))
	archived := s.entries(t)
	put := func(key, value string) {
		t.Helper()
		if r := s.Apply(t.Context(), []etcdwalk.Write{{Key: []byte(key), Value: []byte(value)}})[0]; r.State != etcdwalk.WriteApplied {
			t.Fatal(r.Err)
		}
	}
	for _, namespace := range []string{"a", "b"} {
		for i := range 300 {
			put(object(namespace, fmt.Sprintf("extra-%d", i), i))
		}
	}
	r := ferry.Restore{Source: walktest.NewView(archived...), Cluster: s.Source, Target: s.Target, ClusterIs: []string{"uid-namespaces-kube-system"}, DeleteExtra: true}
	r.Query = query(t, kube.Filter{Include: []string{"configmaps"}, Namespaces: []string{"b"}})
	planned, err := r.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Apply(t.Context(), planned); err != nil {
		t.Fatal(err)
	}
	have := map[string][]byte{}
	for _, e := range s.entries(t) {
		have[string(e.Key)] = e.Value
	}
	for i := range 300 {
		k, v := object("a", fmt.Sprintf("extra-%d", i), i)
		if !bytes.Equal(have[k], []byte(v)) {
			t.Errorf("key %q is beside the selection, and has changed", k)
		}
		delete(have, k)
	}
	for _, e := range archived {
		if !bytes.Equal(have[string(e.Key)], e.Value) {
			t.Errorf("key %q has changed", e.Key)
		}
		delete(have, string(e.Key))
	}
	if len(have) > 0 {
		t.Errorf("%d keys are left that the archive has not", len(have))
	}
}

// TestANamespaceThatIsUsedAfterThePlanStays: what somebody makes in a namespace, between the plan
// that deletes it and the yes, would be in no namespace; so nothing is deleted.
func TestANamespaceThatIsUsedAfterThePlanStays(t *testing.T) {
	s := storeInMemory(t)
	s.empty(t)
	inhabit(t, s, rand.New(rand.NewPCG(3, 5)))
	archived := s.entries(t)
	put := func(key, value string) {
		t.Helper()
		if r := s.Apply(t.Context(), []etcdwalk.Write{{Key: []byte(key), Value: []byte(value)}})[0]; r.State != etcdwalk.WriteApplied {
			t.Fatal(r.Err)
		}
	}
	put(namespace("late"))
	r := ferry.Restore{Source: walktest.NewView(archived...), Cluster: s.Source, Target: s.Target, ClusterIs: []string{"uid-namespaces-kube-system"}, DeleteExtra: true, AllowEmpty: true}
	r.Query = query(t, kube.Filter{Namespaces: []string{"late"}})
	planned, err := r.Plan(t.Context())
	if err != nil || len(planned.Deletions) != 1 {
		t.Fatalf("%q, %v", planned.Deletions, err)
	}
	put(object("late", "theirs", 1))
	before := s.entries(t)
	if _, err := r.Apply(t.Context(), planned); !errors.Is(err, replay.ErrConflict) || !strings.Contains(err.Error(), "theirs") {
		t.Errorf("%v", err)
	}
	if diff := walktest.Diff(s.entries(t), before); diff != "" {
		t.Error(diff)
	}
}
