package ferry_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd3"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/remote/remotetest"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// A rival is a real target before which another client writes: right before
// each batch, so that what was decided does not hold any more. It keeps what
// was asked of it, and what became of it.
type rival struct {
	etcdwalk.Target
	t      *testing.T
	client *clientv3.Client
	once   map[string]bool // keys that the other writes once
	always map[string]bool // keys that it writes each time

	fired   int
	applied map[string][]applied
}

type applied struct{ seen, revision int64 }

func (r *rival) Apply(ctx context.Context, writes []etcdwalk.Write) []etcdwalk.Result {
	for _, w := range writes {
		if key := string(w.Key); r.once[key] || r.always[key] {
			delete(r.once, key)
			r.fired++
			put(r.t, r.client, key, rivals(r.fired))
		}
	}
	results := r.Target.Apply(ctx, writes)
	for i, result := range results {
		if result.State == etcdwalk.WriteApplied {
			key := string(writes[i].Key)
			r.applied[key] = append(r.applied[key], applied{writes[i].Seen, result.Revision})
		}
	}
	return results
}

// rivals is a value that only the other client writes.
func rivals(n int) string { return fmt.Sprintf(`{"kind":"ConfigMap","rival":%d}`, n) }

// The keys of the arena, by what has become of them since the backup.
var arena = []struct {
	name   string
	change func(client *clientv3.Client, key string) error // nil: none
}{
	{name: "equal"},
	{name: "gone", change: remove},
	{name: "changed", change: alter},
	{name: "gone-then-written", change: remove},     // by the rival, once
	{name: "changed-and-written-on", change: alter}, // by the rival, each time
	{name: "busy", change: alter},                   // another client writes it all the time
	{name: "busy-gone", change: remove},
}

func remove(client *clientv3.Client, key string) error {
	_, err := client.Delete(context.Background(), key)
	return err
}

func alter(client *clientv3.Client, key string) error {
	_, err := client.Put(context.Background(), key, rivals(0))
	return err
}

const each = 60 // keys of each kind

func key(name string, i int) string {
	k, _ := object("arena", fmt.Sprintf("%s-%d", name, i), 0)
	return k
}

// A fight is one restore against a rival, and its history.
type fight struct {
	before, after int64 // revisions of the target
	outcomes      map[string]replay.Line
	summary       replay.Summary
	err           error
	rival         *rival
	archive       map[string]string
	events        map[string][]*clientv3.Event
}

// restoreAgainst makes a backup of the arena, changes it, and restores it under
// a policy while others write. without drops kinds of keys.
func restoreAgainst(t *testing.T, policy replay.Policy, without ...string) *fight {
	t.Helper()
	server := etcdproc.Start(t, etcdproc.Options{})
	client := server.Client(t)
	cluster := dial(t, server)
	f := &fight{outcomes: map[string]replay.Line{}, archive: map[string]string{}, events: map[string][]*clientv3.Event{}}
	name, value := kubeSystem()
	put(t, client, name, value)
	name, value = namespace("arena")
	put(t, client, name, value)
	f.rival = &rival{Target: cluster.Target(), t: t, client: client, once: map[string]bool{}, always: map[string]bool{}, applied: map[string][]applied{}}
	for _, kind := range arena {
		for i := 0; i < each && !slices.Contains(without, kind.name); i++ {
			k, v := object("arena", fmt.Sprintf("%s-%d", kind.name, i), 0)
			put(t, client, k, v)
		}
	}
	var store remotetest.Memory
	recipient, keys := newKeys(t)
	done, err := backup(cluster, &store, recipient).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range contents(t, &store, done.Receipt.Name, keys) {
		f.archive[string(e.Key)] = string(e.Value)
	}
	f.change(t, client)
	a, err := ferry.Open(t.Context(), &store, done.Receipt.Name, keys)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	f.run(t, ferry.Restore{Source: a, Cluster: cluster, Target: f.rival, Policy: policy}, client, cluster)
	return f
}

// change makes of the arena what its kinds say.
func (f *fight) change(t *testing.T, client *clientv3.Client) {
	t.Helper()
	for _, kind := range arena {
		for i := range each {
			k := key(kind.name, i)
			if _, ok := f.archive[k]; !ok || kind.change == nil {
				continue
			}
			if err := kind.change(client, k); err != nil {
				t.Fatal(err)
			}
			switch kind.name {
			case "gone-then-written":
				f.rival.once[k] = true
			case "changed-and-written-on":
				f.rival.always[k] = true
			}
		}
	}
}

// run plans and applies the restore while a busy client writes, and reads the
// history of the target behind it.
func (f *fight) run(t *testing.T, r ferry.Restore, client *clientv3.Client, cluster *etcd3.Cluster) {
	t.Helper()
	planned, err := r.Plan(t.Context())
	f.before = now(t, cluster)
	if f.err = err; err == nil {
		stop := busy(t, client, f.archive)
		r.Report = func(record replay.Line) error {
			k := string(record.Key)
			if _, twice := f.outcomes[k]; twice {
				t.Errorf("key %q has two outcomes", k)
			}
			f.outcomes[k] = record
			return nil
		}
		f.summary, f.err = r.Apply(t.Context(), planned)
		stop()
	}
	f.after = now(t, cluster)
	for _, e := range history(t, client, f.before, f.after) {
		f.events[string(e.Kv.Key)] = append(f.events[string(e.Kv.Key)], e)
	}
}

// busy writes the busy keys all the time, until it is stopped.
func busy(t *testing.T, client *clientv3.Client, archive map[string]string) (stop func()) {
	t.Helper()
	if _, ok := archive[key("busy", 0)]; !ok {
		return func() {}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	written := 0
	wg.Go(func() {
		for ; ctx.Err() == nil; written++ {
			k := key([]string{"busy", "busy-gone"}[written%2], written%each)
			if _, err := client.Put(context.WithoutCancel(ctx), k, rivals(1_000_000+written)); err != nil {
				t.Error(err)
				return
			}
		}
	})
	return func() {
		cancel()
		wg.Wait()
		if written == 0 {
			t.Error("the busy client has written nothing")
		}
	}
}

func now(t *testing.T, cluster *etcd3.Cluster) int64 {
	t.Helper()
	v, err := cluster.Pin(t.Context(), etcdwalk.Ranges{{}})
	if err != nil {
		t.Fatal(err)
	}
	return v.Info().Revision
}

// judge holds every outcome against the target's history.
func (f *fight) judge(t *testing.T, mayReplace bool) {
	t.Helper()
	for k, events := range f.events {
		var ours []*clientv3.Event
		for _, e := range events {
			switch {
			case e.Type == mvccpb.DELETE:
				t.Errorf("key %q was deleted", k)
			case strings.Contains(string(e.Kv.Value), "rival"):
			case string(e.Kv.Value) != f.archive[k]:
				t.Errorf("key %q got a value that is neither the archive's nor the rival's: %s", k, e.Kv.Value)
			default:
				ours = append(ours, e)
			}
		}
		f.judgeKey(t, k, ours, mayReplace)
	}
	for k, record := range f.outcomes {
		if len(f.events[k]) == 0 && (record.Fate == replay.Created || record.Fate == replay.Replaced) {
			t.Errorf("key %q: the report says %s, the target knows nothing of it", k, record.Fate)
		}
	}
	if f.summary.Counts.Total() != int64(len(f.archive)) {
		t.Errorf("the summary has %d keys, the archive %d", f.summary.Counts.Total(), len(f.archive))
	}
}

func (f *fight) judgeKey(t *testing.T, k string, ours []*clientv3.Event, mayReplace bool) {
	t.Helper()
	record := f.outcomes[k]
	wrote := record.Fate == replay.Created || record.Fate == replay.Replaced
	if !wrote && len(ours) == 0 {
		return
	}
	if !wrote || len(ours) != 1 {
		t.Errorf("key %q: the report says %q, we wrote it %d times", k, record.Fate, len(ours))
		return
	}
	e, replaced := ours[0], int64(0)
	if e.PrevKv != nil {
		replaced = e.PrevKv.ModRevision
	}
	if record.Revision != e.Kv.ModRevision || (record.Fate == replay.Replaced) != (replaced != 0) {
		t.Errorf("key %q: the report says %s at %d; at %d it replaced revision %d", k, record.Fate, record.Revision, e.Kv.ModRevision, replaced)
	}
	if log := f.rival.applied[k]; len(log) != 1 || log[0] != (applied{replaced, e.Kv.ModRevision}) {
		t.Errorf("key %q: at %d revision %d was replaced, but we had seen %+v", k, e.Kv.ModRevision, replaced, log)
	}
	if replaced != 0 && !mayReplace {
		t.Errorf("key %q: the value of revision %d was overwritten", k, replaced)
	}
}

// wantOutcomes checks the kinds of keys whose outcome is certain.
func (f *fight) wantOutcomes(t *testing.T, want map[string]replay.Fate) {
	t.Helper()
	for name, outcome := range want {
		for i := range each {
			if got := f.outcomes[key(name, i)].Fate; got != outcome {
				t.Fatalf("key %s: %q, want %q", key(name, i), got, outcome)
			}
		}
	}
}

func TestPoliciesAgainstOtherWriters(t *testing.T) {
	for policy, test := range map[replay.Policy]struct {
		outcomes map[string]replay.Fate
		err      error
		fired    int // at least
	}{
		replay.Skip: {map[string]replay.Fate{
			"equal": replay.Unchanged, "gone": replay.Created, "changed": replay.Skipped,
			"gone-then-written": replay.Moved, "changed-and-written-on": replay.Skipped,
		}, ferry.ErrIncomplete, each},
		replay.Overwrite: {map[string]replay.Fate{
			"equal": replay.Unchanged, "gone": replay.Created, "changed": replay.Replaced,
			"gone-then-written": replay.Moved, "changed-and-written-on": replay.Moved,
		}, ferry.ErrIncomplete, 2 * each},
		replay.Newer: {map[string]replay.Fate{
			"equal": replay.Unchanged, "gone": replay.Created, "changed": replay.Skipped,
			"gone-then-written": replay.Moved, "changed-and-written-on": replay.Skipped,
		}, ferry.ErrIncomplete, each},
	} {
		t.Run(policy.String(), func(t *testing.T) {
			f := restoreAgainst(t, policy)
			if !errors.Is(f.err, test.err) {
				t.Errorf("got %v, want %v", f.err, test.err)
			}
			f.judge(t, policy == replay.Overwrite)
			f.wantOutcomes(t, test.outcomes)
			if f.rival.fired < test.fired {
				t.Errorf("the rival wrote %d times, want %d at least", f.rival.fired, test.fired)
			}
		})
	}
}

func TestFailWritesNothingWhenThereIsAConflict(t *testing.T) {
	f := restoreAgainst(t, replay.Fail)
	if !errors.Is(f.err, replay.ErrConflict) || f.after != f.before || len(f.rival.applied) != 0 {
		t.Errorf("got %v, revision %d after %d; want an ErrConflict and no write", f.err, f.after, f.before)
	}
}

func TestFailStopsWhenAnotherWritesMeanwhile(t *testing.T) {
	f := restoreAgainst(t, replay.Fail, "changed", "changed-and-written-on", "busy", "busy-gone")
	if !errors.Is(f.err, replay.ErrConflict) {
		t.Errorf("got %v, want an ErrConflict", f.err)
	}
	f.judge(t, false)
	if f.rival.fired == 0 || f.summary.Counts[replay.Moved] == 0 {
		t.Errorf("the rival wrote %d times, %v", f.rival.fired, f.summary.Counts)
	}
}
