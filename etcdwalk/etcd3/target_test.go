package etcd3_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// creates is entries as writes that create them.
func creates(entries []etcdwalk.Entry) []etcdwalk.Write {
	writes := make([]etcdwalk.Write, len(entries))
	for i, e := range entries {
		writes[i] = etcdwalk.Write{Key: e.Key, Value: e.Value}
	}
	return writes
}

// tally counts results by their state.
func tally(results []etcdwalk.Result) map[etcdwalk.WriteState]int {
	counts := map[etcdwalk.WriteState]int{}
	for _, r := range results {
		counts[r.State]++
	}
	return counts
}

// wantTruth checks each result against what the server holds: applied writes
// are there, failed ones are not.
func wantTruth(t *testing.T, client *clientv3.Client, writes []etcdwalk.Write, results []etcdwalk.Result) {
	t.Helper()
	held := map[string]string{}
	for _, e := range contents(t, client, 0) {
		held[string(e.Key)] = string(e.Value)
	}
	for i, r := range results {
		value, there := held[string(writes[i].Key)]
		there = there && value == string(writes[i].Value)
		if (r.State == etcdwalk.WriteApplied && !there) || (r.State == etcdwalk.WriteFailed && there) {
			t.Errorf("write %d of key %q: state %d, %v; it is there: %v", i, writes[i].Key, r.State, r.Err, there)
		}
		if (r.State == etcdwalk.WriteFailed || r.State == etcdwalk.WriteUnknown) != (r.Err != nil) {
			t.Errorf("write %d: state %d and error %v", i, r.State, r.Err)
		}
	}
}

// TestLostAnswers: R02, R03.
func TestLostAnswers(t *testing.T) {
	writes := creates(generate(1000, 100))                 // 8 transactions
	cfg := connect.Config{CommandTimeout: 2 * time.Second} // more than a busy machine takes
	for name, lose := range map[string]func(context.Context) error{
		"the connection breaks":            func(context.Context) error { return status.Error(codes.Unavailable, "error reading from server: EOF") },
		"no answer comes in time":          func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"the server's own deadline passes": func(context.Context) error { return status.Error(codes.DeadlineExceeded, "context deadline exceeded") },
		"the server cancels":               func(context.Context) error { return status.Error(codes.Canceled, "context canceled") },
		"the leader is lost meanwhile":     func(context.Context) error { return rpctypes.ErrGRPCTimeoutDueToLeaderFail },
		"the server gives up waiting":      func(context.Context) error { return rpctypes.ErrGRPCTimeout },
		"the server stops":                 func(context.Context) error { return rpctypes.ErrGRPCStopped },
		"the answer is garbled":            func(context.Context) error { return status.Error(codes.Internal, "stream terminated") },
		"the answer is a strange error":    func(context.Context) error { return status.Error(codes.Unknown, "what is this") },
	} {
		t.Run(name, func(t *testing.T) {
			server := etcdproc.Start(t, etcdproc.Options{})
			r := newRelay(t, server.Endpoint)
			var lost atomic.Int64
			r.answered = func(ctx context.Context, method string, n int, message []byte) ([]byte, error) {
				if method == "Txn" && (n == 2 || n == 5) {
					lost.Add(1)
					return nil, lose(ctx)
				}
				return message, nil
			}
			cfg := cfg
			cfg.Endpoints = []string{r.endpoint}
			results := dial(t, cfg).Target().Apply(t.Context(), writes)
			wantTruth(t, server.Client(t), writes, results)
			if got := tally(results); lost.Load() != 2 || got[etcdwalk.WriteUnknown] != 2*128 || got[etcdwalk.WriteApplied] != 1000-2*128 {
				t.Errorf("%d answers were lost, got states %v", lost.Load(), got)
			}
			if n := r.count("Txn"); n != 8 {
				t.Errorf("%d transactions, want 8: a write was sent twice", n)
			}
		})
	}
	t.Run("of deletes", func(t *testing.T) {
		server := etcdproc.Start(t, etcdproc.Options{})
		r := newRelay(t, server.Endpoint)
		deletes := make([]etcdwalk.Write, len(writes))
		for i, created := range dial(t, connect.Config{Endpoints: []string{server.Endpoint}}).Target().Apply(t.Context(), writes) {
			deletes[i] = etcdwalk.Write{Key: writes[i].Key, Seen: created.Revision, Delete: true}
		}
		r.answered = func(_ context.Context, method string, n int, message []byte) ([]byte, error) {
			if method == "Txn" && n == 2 {
				return nil, status.Error(codes.Unavailable, "error reading from server: EOF")
			}
			return message, nil
		}
		results := dial(t, connect.Config{Endpoints: []string{r.endpoint}}).Target().Apply(t.Context(), deletes)
		if got := tally(results); got[etcdwalk.WriteUnknown] == 0 || got[etcdwalk.WriteUnknown]+got[etcdwalk.WriteApplied] != len(writes) {
			t.Errorf("got states %v", got)
		}
		if left := contents(t, server.Client(t), 0); len(left) != 0 { // what is unknown was done
			t.Errorf("%d keys are left", len(left))
		}
	})
	t.Run("the connection is cut", func(t *testing.T) {
		server := etcdproc.Start(t, etcdproc.Options{})
		p := newPipe(t, server.Endpoint)
		c := dial(t, connect.Config{Endpoints: []string{p.endpoint}})
		p.after.Store(p.passed.Load() + 2000)
		results := c.Target().Apply(t.Context(), writes)
		wantTruth(t, server.Client(t), writes, results)
		if got := tally(results); p.fired.Load() != 1 || got[etcdwalk.WriteUnknown] == 0 || got[etcdwalk.WriteUnknown]+got[etcdwalk.WriteApplied] != 1000 {
			t.Errorf("%d cuts, got states %v", p.fired.Load(), got)
		}
	})
}

// TestRefusedForNow: what the server certainly did not do is sent again.
func TestRefusedForNow(t *testing.T) {
	for name, fault := range map[string]error{
		"no leader":          rpctypes.ErrGRPCNoLeader,
		"a dropped proposal": status.Error(codes.Unknown, "raft proposal dropped"),
		"too many requests":  status.Error(codes.Unknown, "etcdserver: too many requests"),
		"an old token":       rpctypes.ErrGRPCAuthOldRevision,
	} {
		t.Run(name, func(t *testing.T) {
			server := etcdproc.Start(t, etcdproc.Options{})
			r := newRelay(t, server.Endpoint)
			r.asked = func(_ context.Context, method string, n int) error {
				if method == "Txn" && n <= 2 {
					return fault
				}
				return nil
			}
			writes := creates(generate(100, 100))
			results := dial(t, connect.Config{Endpoints: []string{r.endpoint}}).Target().Apply(t.Context(), writes)
			wantTruth(t, server.Client(t), writes, results)
			if got := tally(results); got[etcdwalk.WriteApplied] != 100 || r.count("Txn") != 3 {
				t.Errorf("got states %v after %d transactions, want all applied by the third", got, r.count("Txn"))
			}
		})
	}
}

// TestTargetGone: nobody is there, so nothing was sent.
func TestTargetGone(t *testing.T) {
	server := etcdproc.Start(t, etcdproc.Options{})
	c := dial(t, connect.Config{Endpoints: []string{server.Endpoint}, RetryBudget: 500 * time.Millisecond})
	server.Kill()
	writes := creates(generate(5000, 100))
	within(t, 3*time.Second, func() {
		for i, r := range c.Target().Apply(t.Context(), writes) {
			// The first may meet the connection just as it breaks.
			if lost := i < 128 && r.State == etcdwalk.WriteUnknown; !lost && (r.State != etcdwalk.WriteFailed || !errors.Is(r.Err, etcdwalk.ErrUnavailable)) {
				t.Fatalf("write %d: got %+v", i, r)
			}
		}
	})
	if _, err := c.Target().Heads(t.Context(), [][]byte{[]byte("k")}); !errors.Is(err, etcdwalk.ErrUnavailable) {
		t.Errorf("Heads: got %v, want %v", err, etcdwalk.ErrUnavailable)
	}
	if _, err := c.Target().Grant(t.Context(), 60); !errors.Is(err, etcdwalk.ErrUnavailable) {
		t.Errorf("Grant: got %v, want %v", err, etcdwalk.ErrUnavailable)
	}
}

// TestLimits: R06.
func TestLimits(t *testing.T) {
	for _, version := range etcdproc.Versions() {
		t.Run(version, func(t *testing.T) {
			server := etcdproc.Start(t, etcdproc.Options{Version: version, Flags: []string{"--max-txn-ops=16", "--max-request-bytes=65536"}})
			client := server.Client(t)
			c := dial(t, connect.Config{Endpoints: []string{server.Endpoint}, MaxRecvBytes: 64 << 10})
			entries := generate(300, 500)
			entries[7].Value = make([]byte, 60000)
			entries[150].Value = make([]byte, 3<<20) // beyond gRPC's limit at the server, too
			entries[200].Value = make([]byte, 100<<10)
			writes := creates(entries)
			target := c.Target()
			results := target.Apply(t.Context(), writes)
			wantTruth(t, client, writes, results)
			for i, r := range results {
				if i != 150 && i != 200 {
					if r.State != etcdwalk.WriteApplied {
						t.Fatalf("write %d: got %+v", i, r)
					}
				} else if r.State != etcdwalk.WriteFailed || !errors.Is(r.Err, etcdwalk.ErrTooLarge) ||
					!strings.Contains(r.Err.Error(), "--max-request-bytes") || !strings.Contains(r.Err.Error(), string(writes[i].Key)) {
					t.Errorf("the large write %d: got %+v", i, r)
				}
			}
			keys := make([][]byte, len(entries))
			for i, e := range entries {
				keys[i] = e.Key
			}
			found, err := target.Lookup(t.Context(), keys)
			if err != nil {
				t.Fatal(err)
			}
			heads, err := target.Heads(t.Context(), keys)
			if err != nil {
				t.Fatal(err)
			}
			for i, e := range found {
				if (e == nil) != (i == 150 || i == 200) || e != nil && (string(e.Value) != string(entries[i].Value) || heads[i] != e.ModRevision) {
					t.Fatalf("looking up key %d: got %+v", i, e)
				}
			}
		})
	}
	t.Run("the limit of operations is learnt", func(t *testing.T) {
		server := etcdproc.Start(t, etcdproc.Options{Flags: []string{"--max-txn-ops=16"}})
		r := newRelay(t, server.Endpoint)
		results := dial(t, connect.Config{Endpoints: []string{r.endpoint}}).Target().Apply(t.Context(), creates(generate(1280, 10)))
		// 80 transactions are needed, and seven that are too large until it is found out.
		if got := tally(results); got[etcdwalk.WriteApplied] != 1280 || r.count("Txn") > 87 {
			t.Errorf("got states %v after %d transactions, want all applied after at most 87", got, r.count("Txn"))
		}
	})
	t.Run("an answer that is too large is asked for in parts", func(t *testing.T) {
		entries := append(generate(100, 100), generate(110, 30000)[100:]...)
		entries = append(entries, etcdwalk.Entry{Key: []byte("/registry/zones/huge"), Value: make([]byte, 1<<20)})
		server, _ := served(t, etcdproc.V36, entries)
		keys := make([][]byte, len(entries))
		for i, e := range entries {
			keys[i] = e.Key
		}
		found, err := dial(t, connect.Config{Endpoints: []string{server.Endpoint}, MaxRecvBytes: 100 << 10}).Target().Lookup(t.Context(), keys)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]etcdwalk.Entry, len(found))
		for i, e := range found {
			if e == nil {
				t.Fatalf("key %q was not found", keys[i])
			}
			got[i] = *e
		}
		if diff := walktest.Diff(got, entries); diff != "" {
			t.Error(diff)
		}
	})
}

// TestNoSpace: RS6, R04.
func TestNoSpace(t *testing.T) {
	// Each write is committed by itself, or the server would see its size too late.
	server := etcdproc.Start(t, etcdproc.Options{Flags: []string{"--quota-backend-bytes=10000000", "--backend-batch-limit=1"}})
	r := newRelay(t, server.Endpoint)
	writes := creates(generate(100, 300<<10))
	results := dial(t, connect.Config{Endpoints: []string{r.endpoint}}).Target().Apply(t.Context(), writes)
	wantTruth(t, server.Client(t), writes, results)
	got := tally(results)
	if got[etcdwalk.WriteApplied] == 0 || got[etcdwalk.WriteFailed] == 0 || got[etcdwalk.WriteRaced] != 0 {
		t.Errorf("got states %v", got)
	}
	for i, r := range results {
		if r.Err != nil && !errors.Is(r.Err, etcdwalk.ErrNoSpace) {
			t.Errorf("write %d: got %v", i, r.Err)
		}
	}
	// Three writes a transaction, one that is refused, one that looks.
	if n, most := r.count("Txn"), got[etcdwalk.WriteApplied]/3+3; n > most {
		t.Errorf("%d transactions, want at most %d: it did not stop at once", n, most)
	}
	if _, err := dial(t, connect.Config{Endpoints: []string{r.endpoint}}).Target().Grant(t.Context(), 60); !errors.Is(err, etcdwalk.ErrNoSpace) {
		t.Errorf("Grant: got %v, want %v", err, etcdwalk.ErrNoSpace)
	}
}

// TestNoSpaceAfterAll: etcd can apply a write and complain about its quota in
// the same breath.
func TestNoSpaceAfterAll(t *testing.T) {
	server := etcdproc.Start(t, etcdproc.Options{})
	r := newRelay(t, server.Endpoint)
	r.answered = func(_ context.Context, method string, n int, message []byte) ([]byte, error) {
		if method == "Txn" && n == 1 {
			return nil, rpctypes.ErrGRPCNoSpace
		}
		return message, nil
	}
	writes := creates(generate(10, 10))
	results := dial(t, connect.Config{Endpoints: []string{r.endpoint}}).Target().Apply(t.Context(), writes)
	wantTruth(t, server.Client(t), writes, results)
	if got := tally(results); got[etcdwalk.WriteUnknown] != 10 || !errors.Is(results[0].Err, etcdwalk.ErrNoSpace) {
		t.Errorf("got states %v, %v", got, results[0].Err)
	}
}

// TestCancelledInFlight: of what was sent it is said that nobody knows, and
// nothing more goes out.
func TestCancelledInFlight(t *testing.T) {
	server := etcdproc.Start(t, etcdproc.Options{})
	r := newRelay(t, server.Endpoint)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r.answered = func(_ context.Context, method string, n int, message []byte) ([]byte, error) {
		if method == "Txn" && n == 3 {
			cancel()
			time.Sleep(200 * time.Millisecond)
		}
		return message, nil
	}
	writes := creates(generate(1000, 100))
	results := dial(t, connect.Config{Endpoints: []string{r.endpoint}}).Target().Apply(ctx, writes)
	wantTruth(t, server.Client(t), writes, results)
	if got := tally(results); got[etcdwalk.WriteApplied] != 2*128 || got[etcdwalk.WriteUnknown] != 128 || got[etcdwalk.WriteFailed] != 1000-3*128 || !errors.Is(results[999].Err, context.Canceled) {
		t.Errorf("got states %v, and %v at the end", got, results[999].Err)
	}
}

// TestGrant: R08.
func TestGrant(t *testing.T) {
	server := etcdproc.Start(t, etcdproc.Options{})
	target := dial(t, connect.Config{Endpoints: []string{server.Endpoint}}).Target()
	for _, ttl := range []int64{-1, 0, 1 << 40} {
		if id, err := target.Grant(t.Context(), ttl); err == nil || !strings.Contains(err.Error(), fmt.Sprint(ttl)) {
			t.Errorf("a lease of %d s: got %x, %v", ttl, id, err)
		}
	}
	id, err := target.Grant(t.Context(), 300)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := server.Client(t).TimeToLive(t.Context(), clientv3.LeaseID(id)); err != nil || got.GrantedTTL != 300 {
		t.Errorf("got %+v, %v", got, err)
	}
}
