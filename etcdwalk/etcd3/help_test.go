package etcd3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd3"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// everything is the whole keyspace.
var everything = etcdwalk.Ranges{{}}

// dial connects, and fails the test if that fails.
func dial(t testing.TB, cfg connect.Config) *etcd3.Cluster {
	t.Helper()
	c, err := etcd3.Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// pin dials and pins the whole keyspace.
func pin(t testing.TB, cfg connect.Config) *etcd3.View {
	t.Helper()
	v, err := dial(t, cfg).Pin(t.Context(), everything)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// walk reads a whole view.
func walk(ctx context.Context, v etcdwalk.View, each func(n int)) ([]etcdwalk.Entry, error) {
	var entries []etcdwalk.Entry
	for e, err := range v.Walk(ctx, walktest.Everything()) {
		if err != nil {
			return entries, err
		}
		entries = append(entries, e.Clone())
		if each != nil {
			each(len(entries))
		}
	}
	return entries, nil
}

// wantWhole walks a view and compares it with what etcd's own client reads at
// the same revision.
func wantWhole(t *testing.T, v etcdwalk.View, truth *clientv3.Client, each func(n int)) {
	t.Helper()
	got, err := walk(t.Context(), v, each)
	if err != nil {
		t.Fatalf("walking, after %d keys: %v", len(got), err)
	}
	want := contents(t, truth, v.Info().Revision)
	if len(want) == 0 {
		t.Fatal("there is nothing to compare with")
	}
	if diff := walktest.Diff(got, want); diff != "" {
		t.Error(diff)
	}
	for i := range got {
		if got[i].ModRevision != want[i].ModRevision || got[i].CreateRevision != want[i].CreateRevision || got[i].Version != want[i].Version {
			t.Fatalf("key %q: got revisions %+v, want %+v", got[i].Key, got[i], want[i])
		}
	}
}

func keysOf(entries []etcdwalk.Entry) (keys [][]byte) {
	for _, e := range entries {
		keys = append(keys, e.Key)
	}
	return keys
}

// contents is what etcd's own client reads at a revision; 0: the present one.
func contents(t testing.TB, c *clientv3.Client, revision int64) []etcdwalk.Entry {
	t.Helper()
	resp, err := c.Get(t.Context(), "\x00", clientv3.WithFromKey(), clientv3.WithRev(revision))
	if err != nil {
		t.Fatal(err)
	}
	var entries []etcdwalk.Entry
	for _, kv := range resp.Kvs {
		entries = append(entries, etcdwalk.Entry{
			Key: kv.Key, Value: kv.Value, Lease: kv.Lease,
			CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision, Version: kv.Version,
		})
	}
	return entries
}

// load puts entries, those with a lease under a lease of their own.
func load(t testing.TB, c *clientv3.Client, entries []etcdwalk.Entry) {
	t.Helper()
	for len(entries) > 0 {
		var (
			ops  []clientv3.Op
			size int
		)
		for len(entries) > 0 && len(ops) < 128 && (len(ops) == 0 || size+int(entries[0].Size()) < 1<<20) {
			e := entries[0]
			var opts []clientv3.OpOption
			if e.Lease != 0 {
				lease, err := c.Grant(t.Context(), 3600)
				if err != nil {
					t.Fatal(err)
				}
				opts = append(opts, clientv3.WithLease(lease.ID))
			}
			ops = append(ops, clientv3.OpPut(string(e.Key), string(e.Value), opts...))
			size, entries = size+int(e.Size()), entries[1:]
		}
		_, err := c.Txn(t.Context()).Then(ops...).Commit()
		for again := 0; errors.Is(err, rpctypes.ErrTimeout) && again < 3; again++ { // three members on a busy machine
			_, err = c.Txn(t.Context()).Then(ops...).Commit()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// wipe deletes all keys.
func wipe(t testing.TB, c *clientv3.Client) {
	t.Helper()
	if _, err := c.Delete(t.Context(), "\x00", clientv3.WithFromKey()); err != nil {
		t.Fatal(err)
	}
}

// generate makes n entries of the same size, in the order of their keys.
func generate(n, size int) []etcdwalk.Entry {
	entries := make([]etcdwalk.Entry, n)
	for i := range entries {
		entries[i] = etcdwalk.Entry{
			Key:   fmt.Appendf(nil, "/registry/pods/ns-%02d/name-%06d", i/1000, i),
			Value: bytes.Repeat([]byte{byte('a' + i%26)}, size),
		}
	}
	return entries
}

// A journal keeps what was logged.
type journal struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.out.Write(b)
}

func (j *journal) log() *slog.Logger {
	return slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// count tells how many lines hold text.
func (j *journal) count(text string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.out.String(), text)
}

// want fails the test if no line holds text.
func (j *journal) want(t *testing.T, text string) {
	t.Helper()
	if j.count(text) == 0 {
		t.Errorf("the log does not say %q:\n%s", text, j.out.String())
	}
}

// within fails the test if f takes longer.
func within(t *testing.T, limit time.Duration, f func()) {
	t.Helper()
	start := time.Now()
	f()
	if took := time.Since(start); took > limit {
		t.Errorf("it took %s, want at most %s", took, limit)
	}
}

func clientConfig(endpoint string) clientv3.Config {
	return clientv3.Config{Endpoints: []string{endpoint}}
}
