package etcd3_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd3"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// both are a version with the streaming range and one without.
var both = []string{etcdproc.V36, etcdproc.V37}

// served starts a server that holds entries.
func served(t *testing.T, version string, entries []etcdwalk.Entry, flags ...string) (*etcdproc.Server, *clientv3.Client) {
	t.Helper()
	server := etcdproc.Start(t, etcdproc.Options{Version: version, Flags: flags})
	client := server.Client(t)
	load(t, client, entries)
	return server, client
}

// TestCompaction: E01, E02.
func TestCompaction(t *testing.T) {
	for _, version := range both {
		t.Run("a compaction ends the walk on "+version, func(t *testing.T) {
			server, client := served(t, version, generate(10000, 2000))
			v := pin(t, etcd3.Config{Endpoints: []string{server.Endpoint}})
			compactions := 0
			got, err := walk(t.Context(), v, func(n int) {
				if n != 10 {
					return
				}
				put, err := client.Put(t.Context(), "/registry/pods/more", "")
				if err != nil {
					t.Fatal(err)
				}
				if _, err := client.Compact(t.Context(), put.Header.Revision); err != nil {
					t.Fatal(err)
				}
				compactions++
			})
			if !errors.Is(err, etcdwalk.ErrCompacted) || !strings.Contains(err.Error(), "all keys") {
				t.Errorf("got %v, want %v with the range", err, etcdwalk.ErrCompacted)
			}
			if compactions != 1 || len(got) >= 10000 {
				t.Errorf("%d compactions, %d keys; want one compaction on the way", compactions, len(got))
			}
		})
	}
}

// TestBrokenStream: WK9, a stream is not resumed, pages go on.
func TestBrokenStream(t *testing.T) {
	server, client := served(t, etcdproc.V37, generate(5000, 2000))
	t.Run("a stream that is cut goes on in pages", func(t *testing.T) {
		p := newPipe(t, server.Endpoint)
		p.after.Store(3 << 20)
		var journal journal
		wantWhole(t, pin(t, etcd3.Config{Endpoints: []string{p.endpoint}, Log: journal.log()}), client, nil)
		if p.fired.Load() != 1 {
			t.Errorf("%d connections were cut, want 1", p.fired.Load())
		}
		journal.want(t, "the stream broke")
	})
	t.Run("a stream that stalls is cut and goes on in pages", func(t *testing.T) {
		r := newRelay(t, server.Endpoint)
		var stalled atomic.Int64
		r.answered = func(ctx context.Context, method string, n int, message []byte) ([]byte, error) {
			if method == "RangeStream" && n == 4 {
				stalled.Add(1)
				<-ctx.Done()
			}
			return message, ctx.Err()
		}
		var journal journal
		v := pin(t, etcd3.Config{Endpoints: []string{r.endpoint}, CommandTimeout: 300 * time.Millisecond, Log: journal.log()})
		within(t, 5*time.Second, func() { wantWhole(t, v, client, nil) })
		if stalled.Load() != 1 || r.count("RangeStream") != 1 {
			t.Errorf("%d streams stalled of %d, want 1 of 1", stalled.Load(), r.count("RangeStream"))
		}
		journal.want(t, "the stream broke")
	})
	t.Run("a slow consumer is not taken for a stalled stream", func(t *testing.T) {
		var journal journal
		v := pin(t, etcd3.Config{Endpoints: []string{server.Endpoint}, CommandTimeout: 200 * time.Millisecond, Log: journal.log()})
		wantWhole(t, v, client, func(n int) {
			if n == 20 {
				time.Sleep(500 * time.Millisecond)
			}
		})
		journal.want(t, "read as a stream")
	})
}

// TestPassingErrors: E07, E25 and others that a second attempt gets over.
func TestPassingErrors(t *testing.T) {
	server, client := served(t, etcdproc.V36, generate(1000, 2000))
	for name, fault := range map[string]error{
		"a member that lags behind":   rpctypes.ErrGRPCFutureRev,
		"an overloaded server":        status.Error(codes.ResourceExhausted, "slow down"),
		"too many requests":           status.Error(codes.Unknown, "etcdserver: too many requests"),
		"no leader":                   rpctypes.ErrGRPCNoLeader,
		"a server that goes away":     status.Error(codes.Unavailable, "transport is closing"),
		"a timeout inside the server": rpctypes.ErrGRPCTimeout,
		"a learner":                   rpctypes.ErrGRPCNotSupportedForLearner,
	} {
		t.Run(name+" is asked again", func(t *testing.T) {
			r := newRelay(t, server.Endpoint)
			var fired atomic.Int64
			r.asked = func(_ context.Context, method string, n int) error {
				if method == "Range" && n >= 3 && n <= 5 {
					fired.Add(1)
					return fault
				}
				return nil
			}
			wantWhole(t, pin(t, etcd3.Config{Endpoints: []string{r.endpoint}}), client, nil)
			if fired.Load() != 3 {
				t.Errorf("%d faults, want 3", fired.Load())
			}
		})
	}
	t.Run("a slow server is asked for less", func(t *testing.T) {
		r := newRelay(t, server.Endpoint)
		var fired atomic.Int64
		r.answered = func(ctx context.Context, method string, _ int, message []byte) ([]byte, error) {
			if method == "Range" && len(message) > 150000 {
				fired.Add(1)
				<-ctx.Done()
			}
			return message, ctx.Err()
		}
		wantWhole(t, pin(t, etcd3.Config{Endpoints: []string{r.endpoint}, CommandTimeout: 100 * time.Millisecond}), client, nil)
		if fired.Load() == 0 {
			t.Error("no answer was slow")
		}
	})
	t.Run("an error that nothing is known about is final", func(t *testing.T) {
		r := newRelay(t, server.Endpoint)
		r.asked = func(_ context.Context, method string, n int) error {
			if method == "Range" && n > 2 {
				return status.Error(codes.Unknown, "what is this")
			}
			return nil
		}
		_, err := walk(t.Context(), pin(t, etcd3.Config{Endpoints: []string{r.endpoint}}), nil)
		if err == nil || !strings.Contains(err.Error(), "what is this") || r.count("Range") != 3 {
			t.Errorf("got %v after %d requests, want the error after 3", err, r.count("Range"))
		}
	})
}

// TestGone: the server goes away for good.
func TestGone(t *testing.T) {
	server, _ := served(t, etcdproc.V36, generate(3000, 2000))
	cfg := etcd3.Config{Endpoints: []string{server.Endpoint}, RetryBudget: time.Second, CommandTimeout: time.Second}
	v := pin(t, cfg)
	within(t, 5*time.Second, func() {
		_, err := walk(t.Context(), v, func(n int) {
			if n == 10 {
				server.Kill()
			}
		})
		if !errors.Is(err, etcdwalk.ErrUnavailable) || !strings.Contains(err.Error(), server.Endpoint) {
			t.Errorf("got %v, want %v with the endpoint", err, etcdwalk.ErrUnavailable)
		}
	})
	server.Restart()
	if _, err := walk(t.Context(), v, nil); err != nil {
		t.Errorf("after the restart: %v", err)
	}
}

// TestMemberKilled: E04, with the member that serves the walk.
func TestMemberKilled(t *testing.T) {
	for _, version := range both {
		t.Run("another member takes over on "+version, func(t *testing.T) {
			members := etcdproc.StartCluster(t, 3, etcdproc.Options{Version: version})
			var (
				pipes     []*pipe
				endpoints []string
			)
			for _, m := range members {
				p := newPipe(t, m.Endpoint)
				p.after.Store(1 << 60) // only counts
				pipes, endpoints = append(pipes, p), append(endpoints, p.endpoint)
			}
			client := etcdproc.NewClient(t, clientv3.Config{Endpoints: etcdproc.Endpoints(members)})
			load(t, client, generate(10000, 2000))
			v := pin(t, etcd3.Config{Endpoints: endpoints})
			killed := -1
			wantWhole(t, v, client, func(n int) {
				if n != 1000 {
					return
				}
				killed = 0
				for i, p := range pipes {
					if p.passed.Load() > pipes[killed].passed.Load() {
						killed = i
					}
				}
				members[killed].Kill()
			})
			if killed < 0 {
				t.Error("no member was killed")
			}
		})
	}
}

// TestEarlyStop: whoever stops reading leaves nothing behind.
func TestEarlyStop(t *testing.T) {
	for _, version := range both {
		t.Run(version, func(t *testing.T) {
			server, _ := served(t, version, generate(5000, 2000))
			before := goleak.IgnoreCurrent()
			c, err := etcd3.Dial(t.Context(), etcd3.Config{Endpoints: []string{server.Endpoint}})
			if err != nil {
				t.Fatal(err)
			}
			v, err := c.Pin(t.Context(), everything)
			if err != nil {
				t.Fatal(err)
			}
			for range 5 {
				for range v.Walk(t.Context(), walktest.Everything()) {
					break
				}
				ctx, cancel := context.WithCancel(t.Context())
				if _, err := walk(ctx, v, func(int) { cancel() }); !errors.Is(err, context.Canceled) {
					t.Errorf("the cancelled walk: got %v", err)
				}
				cancel()
			}
			c.Close()
			goleak.VerifyNone(t, before)
		})
	}
}

// TestEarlyStopAsksForNoMore: nor does the server go on working.
func TestEarlyStopAsksForNoMore(t *testing.T) {
	server, _ := served(t, etcdproc.V36, generate(5000, 2000))
	r := newRelay(t, server.Endpoint)
	v := pin(t, etcd3.Config{Endpoints: []string{r.endpoint}})
	for range v.Walk(t.Context(), walktest.Everything()) {
		break
	}
	// The count, the page that was used, the one ahead, and the one behind it.
	if n := r.count("Range"); n > 4 {
		t.Errorf("%d requests, want at most 4", n)
	}
}

// TestLargeValues: E11, WK5.
func TestLargeValues(t *testing.T) {
	small := generate(12000, 200)
	var large []etcdwalk.Entry
	for _, e := range generate(60, 1<<20) {
		e.Key = append([]byte("/registry/secrets/"), e.Key...)
		large = append(large, e)
	}
	huge := etcdwalk.Entry{Key: []byte("/registry/zones/huge"), Value: make([]byte, 20<<20)}
	entries := append(append(small, large...), huge)
	for version, says := range map[string]string{
		etcdproc.V36: "asking for fewer keys",
		etcdproc.V37: "message larger than max",
	} {
		t.Run("small keys, then large ones, then a huge one, on "+version, func(t *testing.T) {
			server, _ := served(t, version, entries, "--max-request-bytes=25000000")
			var journal journal
			v := pin(t, etcd3.Config{Endpoints: []string{server.Endpoint}, Log: journal.log()})
			var (
				peak   uint64
				memory runtime.MemStats
				n      int
			)
			for e, err := range v.Walk(t.Context(), walktest.Everything()) {
				if err != nil {
					t.Fatal(err)
				}
				if want := entries[n]; string(e.Key) != string(want.Key) || string(e.Value) != string(want.Value) {
					t.Fatalf("key %d is %q, want %q", n, e.Key, want.Key)
				}
				if n++; e.Size() > 1<<19 {
					runtime.ReadMemStats(&memory)
					peak = max(peak, memory.HeapInuse)
				}
			}
			if n != len(entries) {
				t.Errorf("%d keys, want %d", n, len(entries))
			}
			journal.want(t, says)
			journal.want(t, "raising the receive limit")
			if own := uint64(len(large)<<20 + len(huge.Value)); peak > own+256<<20 {
				t.Errorf("the heap grew to %d MiB", peak>>20)
			}
		})
	}
}

// TestLeaderMoves: E03, and R02 with a real election.
func TestLeaderMoves(t *testing.T) {
	members := etcdproc.StartCluster(t, 3, etcdproc.Options{})
	client := etcdproc.NewClient(t, clientv3.Config{Endpoints: etcdproc.Endpoints(members)})
	load(t, client, generate(5000, 2000))
	c := dial(t, etcd3.Config{Endpoints: etcdproc.Endpoints(members)})
	v, err := c.Pin(t.Context(), everything)
	if err != nil {
		t.Fatal(err)
	}
	stop, moves := moveLeader(t, members)
	wantWhole(t, v, client, func(n int) {
		if n%1000 == 0 {
			time.Sleep(60 * time.Millisecond)
		}
	})
	writes := creates(generate(8000, 2000)[5000:])
	results := c.Target().Apply(t.Context(), writes)
	stop()
	wantTruth(t, client, writes, results)
	if got := tally(results); got[replay.Raced] != 0 || got[replay.Applied] == 0 {
		t.Errorf("got states %v", got)
	}
	if moves.Load() == 0 {
		t.Error("the leader never moved")
	}
}

// moveLeader makes one member after the other the leader, until it is stopped.
func moveLeader(t *testing.T, members []*etcdproc.Server) (stop func(), moves *atomic.Int64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	moves = new(atomic.Int64)
	var ids []uint64
	clients := map[uint64]*clientv3.Client{}
	for _, m := range members {
		client := m.Client(t)
		status, err := client.Status(ctx, m.Endpoint)
		if err != nil {
			t.Fatal(err)
		}
		ids, clients[status.Header.MemberId] = append(ids, status.Header.MemberId), client
	}
	var mover sync.WaitGroup
	mover.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			status, err := clients[ids[0]].Status(ctx, members[0].Endpoint)
			if err != nil || clients[status.Leader] == nil || status.Leader == ids[i%3] {
				continue
			}
			if _, err := clients[status.Leader].MoveLeader(ctx, ids[i%3]); err == nil {
				moves.Add(1)
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
	return func() { cancel(); mover.Wait() }, moves
}

// TestQuorumLost: E06.
func TestQuorumLost(t *testing.T) {
	members := etcdproc.StartCluster(t, 3, etcdproc.Options{})
	client := etcdproc.NewClient(t, clientv3.Config{Endpoints: etcdproc.Endpoints(members)})
	load(t, client, generate(300, 100))
	c := dial(t, etcd3.Config{Endpoints: etcdproc.Endpoints(members), RetryBudget: time.Second, CommandTimeout: time.Second})
	members[0].Kill()
	members[1].Kill()
	within(t, 5*time.Second, func() {
		if _, err := c.Pin(t.Context(), everything); !errors.Is(err, etcdwalk.ErrUnavailable) {
			t.Errorf("got %v, want %v", err, etcdwalk.ErrUnavailable)
		}
	})
}

// TestLong are the faults that take their time.
func TestLong(t *testing.T) {
	if os.Getenv("KUBEFERRY_LONG") == "" {
		t.Skip("long: run make test-long")
	}
	t.Run("a connection that falls silent is given up by its keepalive", func(t *testing.T) { // E21
		server, client := served(t, etcdproc.V37, generate(5000, 2000))
		p := newPipe(t, server.Endpoint)
		p.stall = true
		p.after.Store(3 << 20)
		v := pin(t, etcd3.Config{Endpoints: []string{p.endpoint}, CommandTimeout: 2 * time.Second})
		within(t, 30*time.Second, func() { wantWhole(t, v, client, nil) })
		if p.fired.Load() != 1 {
			t.Errorf("%d connections stalled, want 1", p.fired.Load())
		}
	})
	t.Run("1,000 values of 1.5 MiB", func(t *testing.T) { // E11
		for _, version := range both {
			server, client := served(t, version, nil, "--quota-backend-bytes=8000000000", "--max-request-bytes=16000000")
			value := strings.Repeat("0123456789abcdef", 3<<15)
			for i := range 1000 {
				if _, err := client.Put(t.Context(), fmt.Sprintf("/registry/configmaps/%04d", i), value); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := client.Put(t.Context(), "/registry/configmaps/huge", strings.Repeat("x", 10<<20)); err != nil {
				t.Fatal(err)
			}
			v := pin(t, etcd3.Config{Endpoints: []string{server.Endpoint}})
			var (
				peak   uint64
				memory runtime.MemStats
				n      int
			)
			for _, err := range v.Walk(t.Context(), walktest.Everything()) {
				if err != nil {
					t.Fatal(err)
				}
				n++
				runtime.ReadMemStats(&memory)
				peak = max(peak, memory.HeapInuse)
			}
			if n != 1001 || peak > 256<<20 {
				t.Errorf("%s: %d keys, heap %d MiB; want 1001 and at most 256", version, n, peak>>20)
			}
		}
	})
}
