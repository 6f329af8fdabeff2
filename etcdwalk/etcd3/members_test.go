package etcd3_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

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
			v := pin(t, connect.Config{Endpoints: endpoints})
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

// TestLeaderMoves: E03, and R02 with a real election.
func TestLeaderMoves(t *testing.T) {
	members := etcdproc.StartCluster(t, 3, etcdproc.Options{})
	client := etcdproc.NewClient(t, clientv3.Config{Endpoints: etcdproc.Endpoints(members)})
	load(t, client, generate(5000, 2000))
	c := dial(t, connect.Config{Endpoints: etcdproc.Endpoints(members)})
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
	if got := tally(results); got[etcdwalk.WriteRaced] != 0 || got[etcdwalk.WriteApplied] == 0 {
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

// TestADefiniteRefusalIsNoLostAnswer: a write that a member refuses with certainty
// goes to another at once, whatever the code of the version; only silence after it was
// sent is unknown.
func TestADefiniteRefusalIsNoLostAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		refusal error
		out     bool // the member is left out, and not only passed over
		state   etcdwalk.WriteState
	}{
		"a learner of 3.5":           {status.Error(codes.Unavailable, "etcdserver: rpc not supported for learner"), true, etcdwalk.WriteApplied},
		"a learner of 3.6":           {status.Error(codes.FailedPrecondition, "etcdserver: rpc not supported for learner"), true, etcdwalk.WriteApplied},
		"not the leader":             {status.Error(codes.FailedPrecondition, "etcdserver: not leader"), false, etcdwalk.WriteApplied},
		"no leader":                  {status.Error(codes.Unavailable, "etcdserver: no leader"), false, etcdwalk.WriteApplied},
		"too many requests":          {status.Error(codes.ResourceExhausted, "etcdserver: too many requests"), false, etcdwalk.WriteApplied},
		"a balancer without backend": {status.Error(codes.Unimplemented, "unexpected HTTP status code received from server: 404 (Not Found)"), true, etcdwalk.WriteApplied},
		"a login page":               {status.Error(codes.Unknown, "unexpected HTTP status code received from server: 200 (OK); malformed header"), true, etcdwalk.WriteApplied},
		"a server that stops":        {status.Error(codes.Unavailable, "etcdserver: server stopped"), true, etcdwalk.WriteUnknown},
		"a balancer's own error":     {status.Error(codes.Unknown, "unexpected HTTP status code received from server: 500 (Internal Server Error)"), true, etcdwalk.WriteUnknown},
		"a balancer out of time":     {status.Error(codes.Unknown, "unexpected HTTP status code received from server: 524 ()"), true, etcdwalk.WriteUnknown},
		"a request out of time":      {status.Error(codes.Unknown, "unexpected HTTP status code received from server: 408 (Request Timeout)"), true, etcdwalk.WriteUnknown},
		"the leader changed":         {status.Error(codes.Unavailable, "etcdserver: leader changed"), false, etcdwalk.WriteUnknown},
		"a balancer that gave up":    {status.Error(codes.Unavailable, "unexpected HTTP status code received from server: 504 (Gateway Timeout)"), true, etcdwalk.WriteUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			server, client := served(t, etcdproc.V36, generate(5, 100))
			r := newRelay(t, server.Endpoint)
			r.asked = func(_ context.Context, method string, _ int) error {
				if method == "Txn" {
					return c.refusal
				}
				return nil
			}
			var warnings []string
			cluster := dial(t, connect.Config{Endpoints: []string{r.endpoint, server.Endpoint}, Warn: func(w string) { warnings = append(warnings, w) }})
			writes := creates(generate(25, 100)[5:])
			begun := time.Now()
			results := cluster.Target().Apply(t.Context(), writes)
			if took := time.Since(begun); took > time.Second {
				t.Errorf("it took %s", took)
			}
			wantTruth(t, client, writes, results)
			if got := tally(results); got[c.state] != len(writes) || r.count("Txn") != 1 {
				t.Errorf("got states %v after %d requests to who refuses, want all %d", got, r.count("Txn"), c.state)
			}
			if out := len(warnings) == 1 && strings.Contains(warnings[0], r.endpoint+" is left out"); out != c.out {
				t.Errorf("the warnings are %q, want one: %t", warnings, c.out)
			}
		})
	}
}

// TestASilentMemberCostsOneDeadline: one that falls silent after its first answer is
// waited for once, by however many requests at the same time.
func TestASilentMemberCostsOneDeadline(t *testing.T) {
	for _, version := range both {
		for _, stream := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, streaming %t", version, stream), func(t *testing.T) { silentMember(t, version, stream) })
		}
	}
}

// silentMember is one that answers its status, and if it streams, all but that.
func silentMember(t *testing.T, version string, stream bool) {
	t.Helper()
	server, client := served(t, version, generate(2000, 500))
	r := newRelay(t, server.Endpoint)
	var silent atomic.Int64
	r.asked = func(ctx context.Context, method string, _ int) error {
		if method == "RangeStream" || method != "Status" && (!stream || version != etcdproc.V37) {
			silent.Add(1)
			<-ctx.Done()
		}
		return nil
	}
	const deadline = 2 * time.Second // so that two of them are told from a busy machine
	c := dial(t, connect.Config{Endpoints: []string{r.endpoint, server.Endpoint}, CommandTimeout: deadline})
	begun := time.Now()
	v, err := c.Pin(t.Context(), everything)
	if err != nil {
		t.Fatal(err)
	}
	wantWhole(t, v, client, nil)
	writes := creates(generate(2500, 500)[2000:])
	results := c.Target().Apply(t.Context(), writes)
	if took := time.Since(begun); took > 2*deadline {
		t.Errorf("it took %s, where one deadline is %s", took, deadline)
	}
	if got := tally(results); got[etcdwalk.WriteApplied] != len(writes) || silent.Load() != 1 {
		t.Errorf("got states %v, %d requests to who is silent", got, silent.Load())
	}
}

// TestQuorumLost: E06.
func TestQuorumLost(t *testing.T) {
	members := etcdproc.StartCluster(t, 3, etcdproc.Options{})
	client := etcdproc.NewClient(t, clientv3.Config{Endpoints: etcdproc.Endpoints(members)})
	load(t, client, generate(300, 100))
	c := dial(t, connect.Config{Endpoints: etcdproc.Endpoints(members), RetryBudget: time.Second, CommandTimeout: time.Second})
	members[0].Kill()
	members[1].Kill()
	within(t, 5*time.Second, func() {
		if _, err := c.Pin(t.Context(), everything); !errors.Is(err, etcdwalk.ErrUnavailable) {
			t.Errorf("got %v, want %v", err, etcdwalk.ErrUnavailable)
		}
	})
}
