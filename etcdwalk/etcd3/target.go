package etcd3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/tree"
)

// Requests to a target stay within these, whatever more the server takes: its
// default for operations, and two thirds of that for bytes.
const (
	batchOps   = 128
	batchBytes = 1 << 20
)

// A Target writes to a cluster.
type Target struct {
	cluster *Cluster
	// What this server was found to take in one request: batchOps and
	// batchBytes until it refuses.
	ops, bytes atomic.Int64

	ranges   shortcut
	requests sync.Pool // of *[]byte, to encode requests in
}

var _ etcdwalk.Target = (*Target)(nil)

// Target returns the cluster as a target.
func (c *Cluster) Target() *Target {
	t := &Target{cluster: c}
	t.ops.Store(batchOps)
	t.bytes.Store(batchBytes)
	return t
}

// Holds says that directories of a tree are an etcdwalk.ErrNeedless: there are none.
func (*Target) Holds(from etcdwalk.API, e etcdwalk.Entry) error {
	if tree.Is(from) && tree.IsDirectory(e.Key) {
		return fmt.Errorf("API v3 has no directories%.0w", etcdwalk.ErrNeedless)
	}
	return nil
}

// Heads implements etcdwalk.Target.
func (t *Target) Heads(ctx context.Context, keys [][]byte) ([]int64, error) {
	heads := make([]int64, len(keys))
	err := t.read(ctx, keys, true, func(i int, e *etcdwalk.Entry) { heads[i] = e.ModRevision })
	if err != nil {
		return nil, err
	}
	return heads, nil
}

// Lookup implements etcdwalk.Target.
func (t *Target) Lookup(ctx context.Context, keys [][]byte) ([]*etcdwalk.Entry, error) {
	entries := make([]*etcdwalk.Entry, len(keys))
	err := t.read(ctx, keys, false, func(i int, e *etcdwalk.Entry) { entries[i] = e })
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// read gets keys in batches, and tells found of each that is there, by its
// place in keys. A batch that is too much for the server, or whose answer is for us
// or for the connection, is tried again with half its keys, and a single key with a
// larger receive limit.
func (t *Target) read(ctx context.Context, keys [][]byte, headsOnly bool, found func(int, *etcdwalk.Entry)) error {
	most, receive := batchOps, t.cluster.cfg.MaxRecvBytes
	for done := 0; done < len(keys); {
		size := func(i int) int { return len(keys[done+i]) }
		n := t.fit(min(len(keys)-done, most), size)
		tell := func(i int, kv *mvccpb.KeyValue) {
			e := entryOf(kv)
			found(done+i, &e)
		}
		err := t.readSome(ctx, keys[done:done+n], headsOnly, receive, tell)
		switch {
		case errors.Is(err, errTooManyOps) && n > 1:
			t.ops.Store(int64(n / 2))
			continue
		case errors.Is(err, errTooLarge) && n > 1:
			most = n / 2
			continue
		case errors.Is(err, errCutOff): // of several keys
			most = max(1, n/4) // few steps, since each costs two attempts
			continue
		case errors.Is(err, errTooLarge) && receive < math.MaxInt32:
			receive = int(min(int64(receive)*2, math.MaxInt32))
			continue
		case err != nil:
			return err
		}
		done, receive, most = done+n, t.cluster.cfg.MaxRecvBytes, min(2*most, batchOps)
	}
	return nil
}

// readSome gets keys in one range if it can be, else in one transaction.
func (t *Target) readSome(ctx context.Context, keys [][]byte, headsOnly bool, receive int, tell func(int, *mvccpb.KeyValue)) error {
	if near(keys) && t.ranges.open() {
		all, err := t.readRange(ctx, keys, headsOnly, receive, tell)
		t.ranges.took(all)
		if all || err != nil {
			return err
		}
	}
	response, err := t.readBatch(ctx, keys, headsOnly, receive)
	if err != nil {
		return err
	}
	for i, r := range response.Responses {
		for _, kv := range r.GetResponseRange().GetKvs() {
			tell(i, kv)
		}
	}
	return nil
}

// readBatch gets keys in one transaction.
func (t *Target) readBatch(ctx context.Context, keys [][]byte, headsOnly bool, receive int) (*pb.TxnResponse, error) {
	request := &pb.TxnRequest{}
	for _, key := range keys {
		request.Success = append(request.Success, get(key, headsOnly))
	}
	var response *pb.TxnResponse
	cut := cutOff{alone: len(keys) == 1}
	err := t.cluster.try(ctx, "reading", func(ctx context.Context) (err error) {
		response, err = t.cluster.kv.Txn(ctx, request, grpc.MaxCallRecvMsgSize(receive))
		return cut.see(err)
	})
	if err == nil {
		err = t.cluster.checkHeader(response.Header)
	}
	if err == nil && len(response.Responses) != len(keys) {
		err = fmt.Errorf("%d answers for %d keys%.0w", len(response.Responses), len(keys), etcdwalk.ErrInvariant)
	}
	for i := 0; err == nil && i < len(keys); i++ {
		for _, kv := range response.Responses[i].GetResponseRange().GetKvs() {
			if !bytes.Equal(kv.Key, keys[i]) {
				err = fmt.Errorf("an answer about key %q tells of key %q%.0w", keys[i], kv.Key, etcdwalk.ErrInvariant)
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", describeKeys(keys), err)
	}
	return response, nil
}

// errCutOff: an answer breaks off or is late again and again, as on a connection that
// carries less than that.
var errCutOff = errors.New("the answer does not arrive whole")

// A cutOff watches the answers to one request for several keys. One that is gone, or
// late, may be so for another reason; the second time it is asked for less.
type cutOff struct {
	alone bool // it cannot be less
	times int
}

func (c *cutOff) see(err error) error {
	code := status.Code(err)
	if c.alone || code != codes.Unavailable && code != codes.DeadlineExceeded {
		return err
	}
	if c.times++; c.times < 2 {
		return err
	}
	return errCutOff
}

// Grant implements etcdwalk.Target. A grant whose answer was lost is repeated: a
// lease that nobody knows of ends by itself.
func (t *Target) Grant(ctx context.Context, ttl int64) (int64, error) {
	what := fmt.Sprintf("grant a lease of %d s", ttl)
	if ttl <= 0 {
		return 0, fmt.Errorf("%s: a TTL is at least one second", what)
	}
	var response *pb.LeaseGrantResponse
	err := t.cluster.try(ctx, what, func(ctx context.Context) (err error) {
		response, err = t.cluster.leases.LeaseGrant(ctx, &pb.LeaseGrantRequest{TTL: ttl})
		return err
	})
	if err != nil {
		return 0, err
	}
	if err := t.cluster.checkHeader(response.Header); err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	return response.ID, nil
}

// fit tells how many of n things, each of its size in bytes, one request to
// this server may hold; at least one.
func (t *Target) fit(n int, size func(i int) int) int {
	n = min(n, int(t.ops.Load()))
	for i, left := 0, int(t.bytes.Load()); i < n; i++ {
		if left -= size(i); left < 0 {
			return max(1, i)
		}
	}
	return n
}

// get is the operation that reads a key.
func get(key []byte, headOnly bool) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{
		RequestRange: &pb.RangeRequest{Key: key, KeysOnly: headOnly},
	}}
}

// describeKeys names a batch in messages.
func describeKeys(keys [][]byte) string {
	if len(keys) == 1 {
		return fmt.Sprintf("key %q", keys[0])
	}
	return fmt.Sprintf("%d keys from %q to %q", len(keys), keys[0], keys[len(keys)-1])
}
