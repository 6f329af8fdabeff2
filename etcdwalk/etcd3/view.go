package etcd3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"golang.org/x/sync/errgroup"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// A View is the keyspace of a cluster at one revision.
type View struct {
	cluster *Cluster
	info    etcdwalk.Info

	// witnessed walks have parts read again through other members.
	witnessed bool

	mu     sync.Mutex
	counts map[span]int64 // what was counted so far
	doubts []string       // of its walks
	again  int            // parts of its walks that were found alike
}

var (
	_ etcdwalk.Source = (*Cluster)(nil)
	_ etcdwalk.View   = (*View)(nil)
)

// span is a range as a map's key.
type span struct {
	start, end string
	endless    bool
}

func spanOf(r etcdwalk.Range) span {
	return span{string(r.Start), string(r.End), r.End == nil}
}

// Open implements etcdwalk.Source. It holds the revisions that were not compacted
// away.
func (c *Cluster) Open(ctx context.Context, at etcdwalk.Moment, ranges etcdwalk.Ranges) (etcdwalk.View, error) {
	v, err := c.Pin(ctx, ranges)
	switch {
	case err != nil:
		return nil, err
	case at == etcdwalk.Newest:
		return v, nil
	case at < 0, int64(at) > v.info.Revision:
		return nil, fmt.Errorf("open revision %d: the newest is %d%.0w", at, v.info.Revision, fs.ErrNotExist)
	}
	v.info.Revision, v.info.Taken = int64(at), time.Time{}
	if _, err := v.count(ctx, fmt.Sprintf("open revision %d", at), firstKey(ranges)); err != nil {
		return nil, v.denied(err, ranges[0])
	}
	return v, nil
}

// Pin fixes the present revision with a linearizable read. The ranges, of which
// there must be one, are those that will be read: rights for them suffice.
func (c *Cluster) Pin(ctx context.Context, ranges etcdwalk.Ranges) (*View, error) {
	if len(ranges) == 0 {
		return nil, errors.New("pin a revision: there is no range to read")
	}
	v := &View{
		cluster: c,
		info:    etcdwalk.Info{API: etcdwalk.V3, ClusterID: c.id, ServerVersion: c.version, Taken: time.Now()},
		counts:  map[span]int64{},
	}
	pinned, err := v.count(ctx, "pin a revision", firstKey(ranges))
	if err != nil {
		return nil, v.denied(err, ranges[0])
	}
	v.info.Revision = pinned.Header.Revision
	c.cfg.Log.Info("pinned", "revision", v.info.Revision, "cluster", v.info.ClusterID, "member", fmt.Sprintf("%x", pinned.Header.MemberId))
	return v, nil
}

// firstKey is the range of the first key that ranges may hold.
func firstKey(ranges etcdwalk.Ranges) etcdwalk.Range {
	key, _, _ := wire(etcdwalk.Range{Start: ranges[0].Start})
	return etcdwalk.Key(key)
}

// Info implements etcdwalk.View.
func (v *View) Info() etcdwalk.Info { return v.info }

// Count implements etcdwalk.View. Of many ranges it is not known, if they are read
// together with what lies between them.
func (v *View) Count(ctx context.Context, sel etcdwalk.Selection) (int64, error) {
	all, err := v.stretches(ctx, sel)
	if err != nil {
		return 0, err
	}
	for _, s := range all {
		if !s.single() && s.keys() > 0 {
			return -1, nil
		}
	}
	return keysOf(all), nil
}

// keysOf are the keys of stretches, those that are not wanted included.
func keysOf(all []*stretch) (n int64) {
	for _, s := range all {
		n += s.keys()
	}
	return n
}

// Doubt has parts of the walks from now on read again through other members, where
// there are any: Outcome tells of what differs.
func (v *View) Doubt() { v.witnessed = true }

// Outcome tells that all that was read is of one moment, the view's revision, and
// what speaks against it.
func (v *View) Outcome() etcdwalk.Outcome {
	v.mu.Lock()
	defer v.mu.Unlock()
	return etcdwalk.Outcome{Consistent: true, ReadAgain: v.again, Doubts: slices.Clone(v.doubts)}
}

// A cell is a piece of a range that is counted by itself.
type cell struct {
	etcdwalk.Range
	keys int64
}

// atOnce is how many small requests are under way together: a cluster may be far
// away.
const atOnce = 16

// counted counts a range once, and remembers.
func (v *View) counted(ctx context.Context, r etcdwalk.Range) (int64, error) {
	v.mu.Lock()
	n, known := v.counts[spanOf(r)]
	v.mu.Unlock()
	if _, _, some := wire(r); known || !some {
		return n, nil
	}
	answer, err := v.count(ctx, "count "+describe(r), r)
	if err != nil {
		return 0, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.counts[spanOf(r)] = answer.Count
	return answer.Count, nil
}

// count asks how many keys a range holds at the view's revision, which is the
// present one before it is pinned.
func (v *View) count(ctx context.Context, what string, r etcdwalk.Range) (answer *pb.RangeResponse, err error) {
	key, end, _ := wire(r)
	request := &pb.RangeRequest{Key: key, RangeEnd: end, Revision: v.info.Revision, CountOnly: true}
	err = v.cluster.try(ctx, what, func(ctx context.Context) (err error) {
		answer, err = v.cluster.kv.Range(ctx, request)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := v.cluster.checkHeader(answer.Header); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return answer, nil
}

// Leases implements etcdwalk.View. Leases have no history: what it tells is of
// now, not of the view's revision.
func (v *View) Leases(ctx context.Context, ids []int64) ([]etcdwalk.Lease, error) {
	leases := make([]etcdwalk.Lease, len(ids))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, id := range ids {
		group.Go(func() (err error) {
			leases[i], err = v.lease(ctx, id)
			return err
		})
	}
	return leases, group.Wait()
}

func (v *View) lease(ctx context.Context, id int64) (etcdwalk.Lease, error) {
	lease := etcdwalk.Lease{ID: id}
	var response *pb.LeaseTimeToLiveResponse
	what := fmt.Sprintf("ask for lease %x", id)
	err := v.cluster.try(ctx, what, func(ctx context.Context) (err error) {
		response, err = v.cluster.leases.LeaseTimeToLive(ctx, &pb.LeaseTimeToLiveRequest{ID: id})
		return err
	})
	switch {
	case errors.Is(err, etcdwalk.ErrDenied):
		lease.State = etcdwalk.LeaseUnknown
	case errors.Is(err, etcdwalk.ErrNoLease):
		lease.State = etcdwalk.LeaseExpired
	case err != nil:
		return lease, err
	case response.TTL <= 0:
		lease.State = etcdwalk.LeaseExpired
	default:
		lease.State, lease.Granted, lease.Remaining = etcdwalk.LeaseLive, response.GrantedTTL, response.TTL
	}
	if err != nil {
		return lease, nil
	}
	if err := v.cluster.checkHeader(response.Header); err != nil {
		return lease, fmt.Errorf("%s: %w", what, err)
	}
	return lease, nil
}

// denied adds to an etcdwalk.ErrDenied what must be granted.
func (v *View) denied(err error, r etcdwalk.Range) error {
	if !errors.Is(err, etcdwalk.ErrDenied) {
		return err
	}
	return fmt.Errorf("%w; the whole range must be readable: etcdctl role grant-permission ROLE read %s",
		err, grantArguments(r))
}

// wire is a range as etcd wants it, and false if it holds no key. etcd knows no
// empty key, takes an end of one zero byte for "no end", and an empty end for
// "only this key".
func wire(r etcdwalk.Range) (key, end []byte, ok bool) {
	lowest := []byte{0}
	key, end = r.Start, r.End
	if bytes.Compare(key, lowest) < 0 {
		key = lowest
	}
	if end == nil {
		return key, lowest, true
	}
	return key, end, bytes.Compare(key, end) < 0
}

// describe names a range in messages.
func describe(r etcdwalk.Range) string {
	switch p := etcdwalk.Prefix(string(r.Start)); {
	case len(r.Start) == 0 && r.End == nil:
		return "all keys"
	case bytes.Equal(p.End, r.End):
		return fmt.Sprintf("keys with prefix %q", r.Start)
	case bytes.Equal(etcdwalk.After(r.Start), r.End):
		return fmt.Sprintf("key %q", r.Start)
	case r.End == nil:
		return fmt.Sprintf("keys from %q on", r.Start)
	}
	return fmt.Sprintf("keys from %q to %q", r.Start, r.End)
}

// grantArguments is a range as `etcdctl role grant-permission` wants it.
func grantArguments(r etcdwalk.Range) string {
	switch {
	case len(r.Start) == 0 && r.End == nil:
		return `"" --prefix=true`
	case bytes.Equal(etcdwalk.Prefix(string(r.Start)).End, r.End):
		return fmt.Sprintf("%q --prefix=true", r.Start)
	case bytes.Equal(etcdwalk.After(r.Start), r.End):
		return fmt.Sprintf("%q", r.Start)
	case r.End == nil:
		return fmt.Sprintf("%q --from-key=true", r.Start)
	}
	return fmt.Sprintf("%q %q", r.Start, r.End)
}
