package etcd3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd3"
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
			v := pin(t, connect.Config{Endpoints: []string{server.Endpoint}})
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
		wantWhole(t, pin(t, connect.Config{Endpoints: []string{p.endpoint}, Log: journal.log()}), client, nil)
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
		v := pin(t, connect.Config{Endpoints: []string{r.endpoint}, CommandTimeout: 300 * time.Millisecond, Log: journal.log()})
		within(t, 5*time.Second, func() { wantWhole(t, v, client, nil) })
		if stalled.Load() != 1 || r.count("RangeStream") != 1 {
			t.Errorf("%d streams stalled of %d, want 1 of 1", stalled.Load(), r.count("RangeStream"))
		}
		journal.want(t, "the stream broke")
	})
	t.Run("a slow consumer is not taken for a stalled stream", func(t *testing.T) {
		var journal journal
		v := pin(t, connect.Config{Endpoints: []string{server.Endpoint}, CommandTimeout: time.Second, Log: journal.log()})
		wantWhole(t, v, client, func(n int) {
			if n == 20 {
				time.Sleep(1500 * time.Millisecond)
			}
		})
		journal.want(t, "read as a stream")
	})
}

// TestConnectionsThatReset: E22. Each connection ends after so many bytes, so that no
// page of the usual size ever arrives: pages shrink, and so do look-ups.
func TestConnectionsThatReset(t *testing.T) {
	for _, version := range both {
		server, client := served(t, version, generate(1200, 4000))
		for _, every := range []int64{1 << 20, 300 << 10, 60 << 10} {
			t.Run(fmt.Sprintf("%s after %d KiB", version, every>>10), func(t *testing.T) {
				p := newPipe(t, server.Endpoint)
				p.every = every
				c := dial(t, connect.Config{Endpoints: []string{p.endpoint}})
				v, err := c.Pin(t.Context(), everything)
				if err != nil {
					t.Fatal(err)
				}
				wantWhole(t, v, client, nil)
				if p.fired.Load() < 5 {
					t.Errorf("only %d connections were reset", p.fired.Load())
				}
				before := p.fired.Load()
				want := contents(t, client, 0)[:600]
				got, err := c.Target().Lookup(t.Context(), keysOf(want))
				if err != nil {
					t.Fatal(err)
				}
				for i := range want {
					if got[i] == nil || !bytes.Equal(got[i].Value, want[i].Value) {
						t.Fatalf("key %q was not found as it is", want[i].Key)
					}
				}
				if p.fired.Load() == before {
					t.Error("no connection was reset during the look-ups")
				}
			})
		}
	}
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
			wantWhole(t, pin(t, connect.Config{Endpoints: []string{r.endpoint}}), client, nil)
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
		wantWhole(t, pin(t, connect.Config{Endpoints: []string{r.endpoint}, CommandTimeout: 100 * time.Millisecond}), client, nil)
		if fired.Load() == 0 {
			t.Error("no answer was slow")
		}
	})
	t.Run("a slow server is asked for less in look-ups too", func(t *testing.T) {
		entries := contents(t, client, 0)
		near, far := keysOf(entries[:400]), keysOf(entries)
		slices.Reverse(far) // a batch in this order is one transaction
		for method, keys := range map[string][][]byte{"Range": near, "Txn": far} {
			r := newRelay(t, server.Endpoint)
			var fired atomic.Int64
			r.answered = func(ctx context.Context, called string, _ int, message []byte) ([]byte, error) {
				if called == method && len(message) > 20000 {
					fired.Add(1)
					<-ctx.Done()
				}
				return message, ctx.Err()
			}
			c := dial(t, connect.Config{Endpoints: []string{r.endpoint}, CommandTimeout: 300 * time.Millisecond})
			got, err := c.Target().Lookup(t.Context(), keys)
			if err != nil {
				t.Fatalf("%s: %v", method, err)
			}
			for i, key := range keys {
				if got[i] == nil || !bytes.Equal(got[i].Key, key) {
					t.Fatalf("%s: key %q was not found", method, key)
				}
			}
			if fired.Load() == 0 {
				t.Errorf("%s: no answer was slow", method)
			}
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
		_, err := walk(t.Context(), pin(t, connect.Config{Endpoints: []string{r.endpoint}}), nil)
		if err == nil || !strings.Contains(err.Error(), "what is this") || r.count("Range") != 3 {
			t.Errorf("got %v after %d requests, want the error after 3", err, r.count("Range"))
		}
	})
}

// TestGone: the server goes away for good.
func TestGone(t *testing.T) {
	server, _ := served(t, etcdproc.V36, generate(3000, 2000))
	cfg := connect.Config{Endpoints: []string{server.Endpoint}, RetryBudget: time.Second, CommandTimeout: time.Second}
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
	// However long it was away, it is found at once when it is back.
	time.Sleep(2 * time.Second)
	server.Restart()
	if _, err := walk(t.Context(), v, nil); err != nil {
		t.Errorf("after the restart: %v", err)
	}
}

// TestEarlyStop: whoever stops reading leaves nothing behind.
func TestEarlyStop(t *testing.T) {
	for _, version := range both {
		t.Run(version, func(t *testing.T) {
			server, _ := served(t, version, generate(5000, 2000))
			before := goleak.IgnoreCurrent()
			c, err := etcd3.Dial(t.Context(), connect.Config{Endpoints: []string{server.Endpoint}})
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
	v := pin(t, connect.Config{Endpoints: []string{r.endpoint}})
	for range v.Walk(t.Context(), walktest.Everything()) {
		break
	}
	// The revision, the count, a page that finds nothing, the one that was used, and, on a
	// busy machine, the one ahead.
	if n := r.count("Range"); n > 5 {
		t.Errorf("%d requests, want at most 5", n)
	}
}
