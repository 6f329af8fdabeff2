package ferry_test

import (
	"context"
	"os"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// An unruly target has another leader elected while each batch is written.
type unruly struct {
	etcdwalk.Target
	t       *testing.T
	members []*etcdproc.Server
	clients map[uint64]*clientv3.Client // by the member's id
	moves   int
}

func newUnruly(t *testing.T, target etcdwalk.Target, members []*etcdproc.Server) *unruly {
	t.Helper()
	u := &unruly{Target: target, t: t, members: members, clients: map[uint64]*clientv3.Client{}}
	for _, m := range members {
		client := m.Client(t)
		status, err := client.Status(t.Context(), m.Endpoint)
		if err != nil {
			t.Fatal(err)
		}
		u.clients[status.Header.MemberId] = client
	}
	return u
}

func (u *unruly) Apply(ctx context.Context, writes []etcdwalk.Write) []etcdwalk.Result {
	var election sync.WaitGroup
	election.Go(u.elect)
	results := u.Target.Apply(ctx, writes)
	election.Wait()
	return results
}

// elect moves the leader to some other member.
func (u *unruly) elect() {
	for _, client := range u.clients {
		status, err := client.Status(context.Background(), client.Endpoints()[0])
		if err != nil || u.clients[status.Leader] == nil {
			continue
		}
		for next := range u.clients {
			if next == status.Leader {
				continue
			}
			if _, err := u.clients[status.Leader].MoveLeader(context.Background(), next); err == nil {
				u.moves++
			}
			return
		}
	}
}

// TestLeaderChangesUnderEachBatch is row R02: no key is lost, written twice, or
// taken for a conflict.
func TestLeaderChangesUnderEachBatch(t *testing.T) {
	keys, moves := 700, 3
	if os.Getenv("KUBEFERRY_LONG") != "" {
		keys, moves = 4000, 20
	}
	s := newStock(t, keys, 300, nil)
	members := etcdproc.StartCluster(t, 3, etcdproc.Options{Flags: []string{"--max-txn-ops=16"}})
	cluster := dial(t, members...)
	u := newUnruly(t, cluster.Target(), members)
	done := s.restore(t, cluster, u, replay.Fail)
	if done.err != nil || !done.summary.Complete() {
		t.Errorf("got %v, %v; want all keys restored", done.summary.Counts, done.err)
	}
	done.wantCreated(t, members[0].Client(t), s.held)
	if u.moves < moves {
		t.Errorf("the leader moved %d times, want %d at least", u.moves, moves)
	}
}
