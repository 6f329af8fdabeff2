package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"github.com/kubeferry/kubeferry/scripts/bench/keyspace"
)

const (
	txnOps   = 128     // etcd's own limit of operations
	txnBytes = 1 << 20 // a request may have 1.5 MiB
	inFlight = 16
	// leaseSeconds is more than any run takes: no event may expire under it.
	leaseSeconds = 4 * 3600
)

// A filling puts a keyspace into a server, in shuffled order, and sums up what
// it has put in its last round.
type filling struct {
	keyspace *keyspace.Keyspace
	client   *clientv3.Client

	mu    sync.Mutex
	bytes map[string]int64 // keys and values, by resource
}

// fill puts the whole keyspace, once in each round, and returns the bytes of
// keys and values by resource.
func fill(ctx context.Context, k *keyspace.Keyspace, client *clientv3.Client, rounds int) (map[string]int64, error) {
	f := &filling{keyspace: k, client: client}
	for lease := range k.Leases() {
		request := &pb.LeaseGrantRequest{ID: int64(lease + 1), TTL: leaseSeconds}
		if _, err := clientv3.RetryLeaseClient(client).LeaseGrant(ctx, request); err != nil {
			return nil, fmt.Errorf("grant lease %d: %w", lease+1, err)
		}
	}
	for round := range rounds {
		f.bytes = map[string]int64{}
		if err := f.round(ctx, round); err != nil {
			return nil, err
		}
	}
	resp, err := client.Get(ctx, "/registry/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return nil, fmt.Errorf("count what was put: %w", err)
	}
	if resp.Count != int64(k.Len()) {
		return nil, fmt.Errorf("the server has %d keys after %d were put", resp.Count, k.Len())
	}
	return f.bytes, nil
}

// round puts all keys once. Several loaders take the next index in turn.
func (f *filling) round(ctx context.Context, round int) error {
	order := f.keyspace.Shuffled(round)
	var next atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for range inFlight {
		g.Go(func() error {
			var b batch
			sums := map[string]int64{}
			for i := next.Add(1) - 1; i < int64(len(order)); i = next.Add(1) - 1 {
				o, err := f.keyspace.At(order[i], round)
				if err != nil {
					return err
				}
				if !b.fits(o) {
					if err := b.put(ctx, f.client); err != nil {
						return err
					}
				}
				b.add(o)
				sums[o.Resource] += int64(len(o.Key) + len(o.Value))
			}
			f.sum(sums)
			return b.put(ctx, f.client)
		})
	}
	return g.Wait()
}

func (f *filling) sum(sums map[string]int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for resource, n := range sums {
		f.bytes[resource] += n
	}
}

// A batch is the puts of one transaction.
type batch struct {
	ops  []clientv3.Op
	size int
}

func (b *batch) fits(o keyspace.Object) bool {
	return len(b.ops) == 0 || len(b.ops) < txnOps && b.size+len(o.Key)+len(o.Value) <= txnBytes
}

func (b *batch) add(o keyspace.Object) {
	b.ops = append(b.ops, clientv3.OpPut(o.Key, string(o.Value), clientv3.WithLease(clientv3.LeaseID(o.Lease))))
	b.size += len(o.Key) + len(o.Value)
}

// put commits the batch, and empties it.
func (b *batch) put(ctx context.Context, client *clientv3.Client) error {
	if len(b.ops) == 0 {
		return nil
	}
	if _, err := client.Txn(ctx).Then(b.ops...).Commit(); err != nil {
		return fmt.Errorf("put %d keys: %w", len(b.ops), err)
	}
	b.ops, b.size = b.ops[:0], 0
	return nil
}
