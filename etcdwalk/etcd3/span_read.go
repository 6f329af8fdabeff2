package etcd3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// spareKeys is how many keys that were not asked for the range between those
// that were may hold.
const spareKeys = 16

// readRange gets keys, which ascend, with one range over all that lies between
// the first and the last. all is false if that is no way: the target holds too
// much in between, or too much for one answer, or it may not be read as a whole.
// Then nothing was told.
func (t *Target) readRange(ctx context.Context, keys [][]byte, headsOnly bool, receive int, tell func(int, *mvccpb.KeyValue)) (all bool, err error) {
	whole := etcdwalk.Range{Start: keys[0], End: etcdwalk.After(keys[len(keys)-1])}
	request := &pb.RangeRequest{Key: whole.Start, RangeEnd: whole.End, KeysOnly: headsOnly, Limit: int64(len(keys) + spareKeys)}
	var response *pb.RangeResponse
	cut := cutOff{alone: len(keys) == 1}
	err = t.cluster.try(ctx, "reading", func(ctx context.Context) (err error) {
		response, err = t.cluster.kv.Range(ctx, request, grpc.MaxCallRecvMsgSize(receive))
		return cut.see(err)
	})
	if errors.Is(err, etcdwalk.ErrDenied) || errors.Is(err, errTooLarge) {
		return false, nil
	}
	if err == nil {
		err = t.cluster.checkHeader(response.Header)
	}
	var order etcdwalk.Order
	for i := 0; err == nil && i < len(response.Kvs); i++ {
		err = order.Check(etcdwalk.Ranges{whole}, response.Kvs[i].Key)
	}
	if err != nil {
		return false, fmt.Errorf("look up %s: %w", describeKeys(keys), err)
	}
	if response.More {
		return false, nil
	}
	for i, kvs := 0, response.Kvs; i < len(keys) && len(kvs) > 0; {
		switch order := bytes.Compare(keys[i], kvs[0].Key); {
		case order < 0:
			i++
		case order > 0:
			kvs = kvs[1:]
		default:
			tell(i, kvs[0])
			i, kvs = i+1, kvs[1:]
		}
	}
	return true, nil
}

// near tells whether keys ascend and lie close together, as far as their names
// tell: but for the last two parts, the first and the last have the same path.
// A server up to 3.6 counts everything in a range, whatever its limit.
func near(keys [][]byte) bool {
	if len(keys) < 2 || !bytes.Equal(upTwo(keys[0]), upTwo(keys[len(keys)-1])) {
		return false
	}
	for i, key := range keys[1:] {
		if bytes.Compare(keys[i], key) >= 0 {
			return false
		}
	}
	return true
}

// upTwo is a key's path without its last two parts.
func upTwo(key []byte) []byte {
	for range 2 {
		key = key[:max(0, bytes.LastIndexByte(key, '/'))]
	}
	return key
}

// A shortcut is a way that is tried less and less often while it leads nowhere.
type shortcut struct {
	mu     sync.Mutex
	misses int // one after the other
	closed int // for so many times more
}

// mostMisses bounds how long a shortcut is closed: 63 times.
const mostMisses = 6

func (s *shortcut) open() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed > 0 {
		s.closed--
		return false
	}
	return true
}

// took tells whether the way has led to the end.
func (s *shortcut) took(there bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if there {
		s.misses = 0
		return
	}
	s.misses = min(s.misses+1, mostMisses)
	s.closed = 1<<s.misses - 1
}
