package etcd3

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// Room tells how many bytes the members' databases may still grow by, the fullest of them,
// and how much one is filled with. What a member was told to allow (--quota-backend-bytes)
// it says itself since etcd 3.6; less than 0: none of them says it.
func (v *View) Room(ctx context.Context) (free, used int64, err error) {
	members := v.cluster.members.serving()
	answers, errs := make([]*pb.StatusResponse, len(members)), make([]error, len(members))
	var asked sync.WaitGroup
	for i, m := range members {
		asked.Go(func() { answers[i], errs[i] = v.cluster.status(ctx, m) })
	}
	asked.Wait()
	free = math.MaxInt64
	answered := false
	for i, status := range answers {
		if errors.Is(errs[i], etcdwalk.ErrInvariant) {
			return 0, 0, fmt.Errorf("ask for the size of the database: %w", errs[i])
		}
		if status == nil {
			continue
		}
		answered = true
		used = max(used, status.DbSizeInUse)
		if quota := status.DbSizeQuota; quota > 0 {
			free = min(free, quota-status.DbSizeInUse)
		}
	}
	switch {
	case !answered:
		return 0, 0, fmt.Errorf("ask for the size of the database: %w", errors.Join(errs...))
	case free == math.MaxInt64:
		return -1, used, ctx.Err()
	}
	return max(0, free), used, ctx.Err()
}
