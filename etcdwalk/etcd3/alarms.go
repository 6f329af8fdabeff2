package etcd3

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// hashTime is how long a member may take to hash all that it holds.
const hashTime = 10 * time.Minute

// attempts is how often one member is asked for what another cannot answer for it: a
// token may have run out meanwhile, or it lags.
const attempts = 4

// ask makes a request to one member, which must be harmless to repeat. A member that
// does not serve is left out. The error is sorted: see judge. An answer of another
// cluster is refused by its header.
func (c *Cluster) ask(ctx context.Context, m *member, deadline time.Duration, request func(ctx context.Context, conn grpc.ClientConnInterface) (*pb.ResponseHeader, error)) error {
	for i := 1; ; i++ {
		attempt, done := context.WithTimeout(ctx, deadline)
		header, raw := request(attempt, m.conn())
		done()
		err := c.judge(ctx, raw)
		switch {
		case err == nil:
			return c.checkHeader(header)
		case ctx.Err() != nil:
			return err
		case isAway(raw):
			c.members.leaveOut(m, raw)
			return err
		case !errors.Is(err, etcdwalk.ErrUnavailable) || i == attempts:
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(i) * 50 * time.Millisecond):
		}
	}
}

// Alarms tells of the alarms that the cluster has raised, as any of its members
// knows them: the status of each lists them, for whichever member they are.
func (v *View) Alarms(ctx context.Context) ([]etcdwalk.Alarm, error) {
	answers, err := v.cluster.statuses(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask for alarms: %w", err)
	}
	var all []etcdwalk.Alarm
	for _, status := range answers {
		all = append(all, alarmsIn(status)...)
	}
	slices.Sort(all)
	return slices.Compact(all), ctx.Err()
}

// statuses asks all members at once for their status, and returns the answers of those that
// have one. It is an error if none has, or if one is of another cluster.
func (c *Cluster) statuses(ctx context.Context) ([]*pb.StatusResponse, error) {
	members := c.members.serving()
	answers, errs := make([]*pb.StatusResponse, len(members)), make([]error, len(members))
	var asked sync.WaitGroup
	for i, m := range members {
		asked.Go(func() { answers[i], errs[i] = c.status(ctx, m) })
	}
	asked.Wait()
	answers = slices.DeleteFunc(answers, func(status *pb.StatusResponse) bool { return status == nil })
	for _, err := range errs {
		if errors.Is(err, etcdwalk.ErrInvariant) || len(answers) == 0 {
			return nil, err
		}
	}
	return answers, nil
}

// status asks a member for its status; nil with every error.
func (c *Cluster) status(ctx context.Context, m *member) (status *pb.StatusResponse, err error) {
	err = c.ask(ctx, m, c.cfg.CommandTimeout, func(ctx context.Context, conn grpc.ClientConnInterface) (_ *pb.ResponseHeader, err error) {
		status, err = pb.NewMaintenanceClient(conn).Status(ctx, &pb.StatusRequest{}, grpc.WaitForReady(false))
		return status.GetHeader(), err
	})
	if err != nil {
		return nil, err
	}
	return status, nil
}

// A hash is that of all keys and values of a member.
type hash struct {
	member    *member
	compacted int64
	sum       uint32
}

// CompareMembers compares the hash of all keys and values of each member, at the
// view's revision, and says which differ. Members that were compacted to different
// revisions cannot be compared. With etcd's users that takes the right of root: who
// has it not compares nothing. A member takes no writes while it hashes (etcd:
// server/storage/mvcc/kvstore.go), so they go one after the other, the leader last.
func (v *View) CompareMembers(ctx context.Context) (compared int, doubts []string, err error) {
	var hashes []hash
	for _, m := range v.cluster.leaderLast(ctx) {
		h, err := v.hash(ctx, m)
		switch {
		case err == nil:
			hashes = append(hashes, h)
		case ctx.Err() != nil, errors.Is(err, etcdwalk.ErrInvariant):
			return 0, nil, fmt.Errorf("hash the keyspace: %w", err)
		case !errors.Is(err, etcdwalk.ErrDenied):
			v.cluster.cfg.Warn(fmt.Sprintf("endpoint %s was not compared with the others: %s", m.name(), err))
		}
	}
	firsts := map[int64]hash{} // by the revision compacted to
	for _, h := range hashes {
		first, known := firsts[h.compacted]
		if !known {
			firsts[h.compacted] = h
			continue
		}
		compared++
		if h.sum != first.sum {
			doubts = append(doubts, fmt.Sprintf("the members at %s and %s hold different data at revision %d", first.member.name(), h.member.name(), v.info.Revision))
		}
	}
	if compared > 0 {
		compared++
	}
	return compared, doubts, nil
}

// hash asks a member for its hash.
func (v *View) hash(ctx context.Context, m *member) (h hash, err error) {
	var answer *pb.HashKVResponse
	err = v.cluster.ask(ctx, m, hashTime, func(ctx context.Context, conn grpc.ClientConnInterface) (_ *pb.ResponseHeader, err error) {
		answer, err = pb.NewMaintenanceClient(conn).HashKV(ctx, &pb.HashKVRequest{Revision: v.info.Revision}, grpc.WaitForReady(false))
		return answer.GetHeader(), err
	})
	if err != nil {
		return h, err
	}
	return hash{m, answer.CompactRevision, answer.Hash}, nil
}

// leaderLast are the members that serve, the leader behind the others.
func (c *Cluster) leaderLast(ctx context.Context) []*member {
	var others, leader []*member
	for _, m := range c.members.serving() {
		if status, err := c.status(ctx, m); err == nil && status.Leader == m.id {
			leader = append(leader, m)
		} else {
			others = append(others, m)
		}
	}
	return append(others, leader...)
}
