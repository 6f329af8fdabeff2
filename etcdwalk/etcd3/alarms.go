package etcd3

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// Alarms tells of the alarms that the cluster has raised, as any of its members
// knows them: the status of each lists them, for whichever member they are.
func (v *View) Alarms(ctx context.Context) ([]etcdwalk.Alarm, error) {
	var (
		mu     sync.Mutex
		raised = map[etcdwalk.Alarm]bool{}
	)
	answered, _, err := v.cluster.askAll(ctx, "asking for alarms", func(ctx context.Context, one *Cluster) error {
		status, err := one.status(ctx)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		for _, text := range status.Errors {
			for _, alarm := range []etcdwalk.Alarm{etcdwalk.AlarmCorrupt, etcdwalk.AlarmNoSpace} {
				if strings.Contains(text, string(alarm)) {
					raised[alarm] = true
				}
			}
		}
		return nil
	})
	if answered == 0 {
		return nil, err
	}
	var all []etcdwalk.Alarm
	for _, alarm := range []etcdwalk.Alarm{etcdwalk.AlarmCorrupt, etcdwalk.AlarmNoSpace} {
		if raised[alarm] {
			all = append(all, alarm)
		}
	}
	return all, nil
}

// status asks for the status of the member that serves.
func (c *Cluster) status(ctx context.Context) (status *pb.StatusResponse, err error) {
	err = c.try(ctx, "asking for the status", func(ctx context.Context) (err error) {
		status, err = pb.NewMaintenanceClient(c.members).Status(ctx, &pb.StatusRequest{})
		return err
	})
	if err == nil {
		err = c.checkHeader(status.Header)
	}
	return status, err
}

// hashTime is how long a member may take to hash all that it holds.
const hashTime = 10 * time.Minute

// CompareMembers compares the hash of all keys and values of each member, at the
// view's revision, and says which differ. Members that were compacted to different
// revisions cannot be compared. With etcd's users that takes the right of root: who
// has it not compares nothing.
func (v *View) CompareMembers(ctx context.Context) (compared int, doubts []string, err error) {
	type hash struct {
		name      string
		compacted int64
		sum       uint32
	}
	var (
		mu     sync.Mutex
		hashes []hash
	)
	_, denied, err := v.cluster.askAll(ctx, "hashing the keyspace", func(ctx context.Context, one *Cluster) error {
		var answer *pb.HashKVResponse
		one.cfg.CommandTimeout = hashTime
		err := one.try(ctx, "hashing the keyspace", func(ctx context.Context) (err error) {
			answer, err = pb.NewMaintenanceClient(one.members).HashKV(ctx, &pb.HashKVRequest{Revision: v.info.Revision})
			return err
		})
		if err == nil {
			err = one.checkHeader(answer.Header)
		}
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		hashes = append(hashes, hash{one.members.all[0].name(), answer.CompactRevision, answer.Hash})
		return nil
	})
	if denied || err == nil {
		err = nil
	}
	for i, h := range hashes {
		if h.compacted != hashes[0].compacted {
			continue
		}
		compared++
		if h.sum != hashes[0].sum {
			doubts = append(doubts, fmt.Sprintf("the members at %s and %s hold different data at revision %d", hashes[0].name, hashes[i].name, v.info.Revision))
		}
	}
	return compared, doubts, err
}

// askAll asks each member that serves by itself, side by side. It tells how many
// answered, and whether any refused for want of rights; the error is that of one
// that did not answer.
func (c *Cluster) askAll(ctx context.Context, what string, ask func(ctx context.Context, one *Cluster) error) (answered int, denied bool, err error) {
	members := c.members.serving()
	errs := make([]error, len(members))
	var asked sync.WaitGroup
	for i, m := range members {
		asked.Go(func() {
			if errs[i] = ask(ctx, c.through(m)); errors.Is(errs[i], etcdwalk.ErrUnavailable) {
				c.members.leaveOut(m, errs[i])
			}
		})
	}
	asked.Wait()
	if ctx.Err() != nil {
		return 0, false, fmt.Errorf("%s: %w", what, ctx.Err())
	}
	for _, each := range errs {
		switch {
		case each == nil:
			answered++
		case errors.Is(each, etcdwalk.ErrDenied):
			denied = true
			fallthrough
		default:
			err = each
		}
	}
	return answered, denied, err
}

// through is the cluster reached through one member, which is asked once.
func (c *Cluster) through(m *member) *Cluster {
	one, alone := *c, *m
	alone.out = false
	one.cfg.RetryBudget = 1
	one.members = &members{all: []*member{&alone}, deadline: c.cfg.CommandTimeout, tell: func(string) {}}
	one.kv, one.leases = pb.NewKVClient(one.members), pb.NewLeaseClient(one.members)
	return &one
}
