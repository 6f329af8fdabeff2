package etcd3

import (
	"context"
	"fmt"
	"math"
)

// Room tells how many bytes the members' databases may still grow by, the fullest of them,
// and how much one is filled with. What a member was told to allow (--quota-backend-bytes)
// it says itself since etcd 3.6; less than 0: none of them says it.
func (v *View) Room(ctx context.Context) (free, used int64, err error) {
	answers, err := v.cluster.statuses(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("ask for the size of the database: %w", err)
	}
	free = math.MaxInt64
	for _, status := range answers {
		used = max(used, status.DbSizeInUse)
		if quota := status.DbSizeQuota; quota > 0 {
			free = min(free, quota-status.DbSizeInUse)
		}
	}
	if free == math.MaxInt64 {
		return -1, used, ctx.Err()
	}
	return max(0, free), used, ctx.Err()
}
