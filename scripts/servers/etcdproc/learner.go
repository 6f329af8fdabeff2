package etcdproc

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// StartLearner adds a member without a vote to the cluster of one that leader is,
// and waits until it says so of itself.
func StartLearner(t testing.TB, leader *Server, o Options) *Server {
	t.Helper()
	s := newServer(t, binary(t, o.Version), 1, "http://"+FreeAddress(t), o)
	ctx, done := context.WithTimeout(context.Background(), 30*time.Second)
	defer done()
	if _, err := leader.Client(t).MemberAddAsLearner(ctx, []string{s.peer}); err != nil {
		t.Fatal(err)
	}
	s.args = append(s.args, "--initial-cluster-state=existing",
		fmt.Sprintf("--initial-cluster=%s=%s,%s=%s", leader.name, leader.peer, s.name, s.peer))
	s.run()
	t.Cleanup(s.cleanup)
	client := s.Client(t)
	for ; ; time.Sleep(20 * time.Millisecond) {
		if status, err := client.Status(ctx, s.Endpoint); err == nil && status.IsLearner {
			return s
		}
		if ctx.Err() != nil {
			t.Fatalf("etcd at %s did not become a learner in 30 s", s.Endpoint)
		}
	}
}
