package embedded

import (
	"context"
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// Delete deletes all keys in the ranges and returns how many there were. It
// plays the accident in a demonstration; nothing else in kubeferry deletes keys.
func (s *Server) Delete(ctx context.Context, ranges etcdwalk.Ranges) (deleted int64, err error) {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{s.endpoint}, Logger: zap.NewNop()})
	if err != nil {
		return 0, fmt.Errorf("connecting to the embedded etcd: %w", err)
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	for _, r := range ranges {
		end := string(r.End)
		if r.End == nil {
			end = "\x00" // etcd's word for the end of the keyspace
		}
		answer, err := client.Delete(ctx, string(r.Start), clientv3.WithRange(end))
		if err != nil {
			return deleted, fmt.Errorf("deleting the keys from %q: %w", r.Start, err)
		}
		deleted += answer.Deleted
	}
	return deleted, nil
}
