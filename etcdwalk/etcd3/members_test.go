package etcd3_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
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
	c := dial(t, connect.Config{Endpoints: etcdproc.Endpoints(members), RetryBudget: time.Second, CommandTimeout: time.Second})
	members[0].Kill()
	members[1].Kill()
	within(t, 5*time.Second, func() {
		if _, err := c.Pin(t.Context(), everything); !errors.Is(err, etcdwalk.ErrUnavailable) {
			t.Errorf("got %v, want %v", err, etcdwalk.ErrUnavailable)
		}
	})
}
