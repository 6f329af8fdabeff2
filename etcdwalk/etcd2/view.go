package etcd2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	client "go.etcd.io/etcd/client/v2"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// A View is the tree of a cluster as a keyspace, from one index of its store on.
// It reads what is there when it is walked, and knows afterwards whether all that
// it has read is of one moment: see Outcome.
type View struct {
	cluster *Cluster
	info    etcdwalk.Info

	mu     sync.Mutex
	last   uint64           // the highest index that an answer told
	leases map[int64]expiry // by modified index of the node
}

// An expiry is when a node goes, by what an answer told.
type expiry struct {
	seconds int64
	told    time.Time
}

var (
	_ etcdwalk.Source = (*Cluster)(nil)
	_ etcdwalk.View   = (*View)(nil)
)

// Open implements etcdwalk.Source. The API tells the newest moment only.
func (c *Cluster) Open(ctx context.Context, at etcdwalk.Moment, ranges etcdwalk.Ranges) (etcdwalk.View, error) {
	if at != etcdwalk.Newest {
		return nil, fmt.Errorf("open index %d: API v2 keeps no history%.0w", at, etcdwalk.ErrCompacted)
	}
	v, err := c.Pin(ctx, ranges)
	if err != nil {
		return nil, err
	}
	return v, nil
}

// Pin begins a view at the present index. Rights are asked for when it is walked.
func (c *Cluster) Pin(ctx context.Context, ranges etcdwalk.Ranges) (*View, error) {
	if len(ranges) == 0 {
		return nil, errors.New("open a view: there is no range to read")
	}
	v := &View{
		cluster: c,
		info:    etcdwalk.Info{API: etcdwalk.V2, ClusterID: c.id, ServerVersion: c.version, Taken: time.Now()},
		leases:  map[int64]expiry{},
	}
	answer, err := c.get(ctx, folder(ranges[0]), false)
	if err != nil {
		return nil, fmt.Errorf("read the index of the store: %w", err)
	}
	v.info.Revision, v.last = int64(answer.Index), answer.Index
	c.cfg.Log.Info("pinned", "index", answer.Index, "cluster", c.id)
	return v, nil
}

// Info implements etcdwalk.View. Its Revision is the index at which the view began.
func (v *View) Info() etcdwalk.Info { return v.info }

// Count implements etcdwalk.View. It is not known: the API counts nothing.
func (*View) Count(context.Context, etcdwalk.Selection) (int64, error) { return -1, nil }

// Outcome tells whether all that was read so far is of one moment: no answer told
// a later index than that at which the view began.
func (v *View) Outcome() etcdwalk.Outcome {
	v.mu.Lock()
	defer v.mu.Unlock()
	first := v.info.Revision
	return etcdwalk.Outcome{Consistent: int64(v.last) == first, FirstIndex: first, LastIndex: int64(v.last)}
}

// Leases implements etcdwalk.View. It knows those that a walk has met: what the
// answer told of their nodes, less the time since then. How long they were when
// they were granted is not known, so Granted is what remains.
func (v *View) Leases(ctx context.Context, ids []int64) ([]etcdwalk.Lease, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	leases := make([]etcdwalk.Lease, len(ids))
	for i, id := range ids {
		met, ok := v.leases[id]
		remaining := met.seconds - int64(time.Since(met.told)/time.Second)
		switch {
		case !ok:
			leases[i] = etcdwalk.Lease{ID: id, State: etcdwalk.LeaseUnknown}
		case remaining <= 0:
			leases[i] = etcdwalk.Lease{ID: id, State: etcdwalk.LeaseExpired}
		default:
			leases[i] = etcdwalk.Lease{ID: id, State: etcdwalk.LeaseLive, Granted: remaining, Remaining: remaining}
		}
	}
	return leases, ctx.Err()
}

// read reads a node, and all below it if it is to be so; nil: there is none. It
// notes the index of the answer.
func (v *View) read(ctx context.Context, key string, recursive bool) (*client.Node, error) {
	answer, err := v.cluster.get(ctx, key, recursive)
	if errors.Is(err, ErrTooLarge) {
		return nil, fmt.Errorf("read directory %q: %w; select less, or allow more", key, err)
	}
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", key, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.last = max(v.last, answer.Index)
	return answer.Node, nil
}

// note keeps when a node goes.
func (v *View) note(n *client.Node, told time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.leases[int64(n.ModifiedIndex)] = expiry{n.TTL, told}
}

// oneKey tells whether a range holds exactly one key.
func oneKey(r etcdwalk.Range) bool { return bytes.Equal(etcdwalk.After(r.Start), r.End) }
