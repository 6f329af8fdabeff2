package etcd3

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// A View is the keyspace of a cluster at one revision.
type View struct {
	cluster *Cluster
	info    etcdwalk.Info
	counts  map[span]int64 // of the ranges that were pinned; never written again
}

var _ etcdwalk.View = (*View)(nil)

// span is a range as a map's key.
type span struct {
	start, end string
	endless    bool
}

func spanOf(r etcdwalk.Range) span {
	return span{string(r.Start), string(r.End), r.End == nil}
}

// Pin fixes the present revision with a linearizable read and counts the keys
// of each range at it.
func (c *Cluster) Pin(ctx context.Context, ranges etcdwalk.Ranges) (*View, error) {
	v := &View{
		cluster: c,
		info:    etcdwalk.Info{API: etcdwalk.V3, ClusterID: c.id, ServerVersion: c.version},
		counts:  map[span]int64{},
	}
	for _, r := range ranges {
		n, err := v.Count(ctx, r)
		if err != nil {
			return nil, err
		}
		v.counts[spanOf(r)] = n
	}
	if v.info.Revision == 0 {
		return nil, errors.New("pinning a revision: there is no range to count")
	}
	return v, nil
}

// Info implements etcdwalk.View.
func (v *View) Info() etcdwalk.Info { return v.info }

// Count asks how many keys a range holds at the view's revision. The view's
// first count, which Pin makes, fixes that revision.
func (v *View) Count(ctx context.Context, r etcdwalk.Range) (int64, error) {
	key, end, ok := wire(r)
	if !ok {
		return 0, nil
	}
	request := &pb.RangeRequest{Key: key, RangeEnd: end, Revision: v.info.Revision, CountOnly: true}
	var response *pb.RangeResponse
	err := v.cluster.try(ctx, "counting "+describe(r), func(ctx context.Context) (err error) {
		response, err = v.cluster.kv.Range(ctx, request)
		return err
	})
	if err != nil {
		return 0, v.denied(err, r)
	}
	if err := v.cluster.checkHeader(response.Header); err != nil {
		return 0, fmt.Errorf("counting %s: %w", describe(r), err)
	}
	if h := response.Header; v.info.Revision == 0 {
		v.info.Revision = h.Revision
		v.cluster.cfg.Log.Info("pinned", "revision", h.Revision, "cluster", v.info.ClusterID, "member", fmt.Sprintf("%x", h.MemberId))
	}
	return response.Count, nil
}

// counted is Count, from memory if the range was pinned.
func (v *View) counted(ctx context.Context, r etcdwalk.Range) (int64, error) {
	if n, ok := v.counts[spanOf(r)]; ok {
		return n, nil
	}
	return v.Count(ctx, r)
}

// Leases implements etcdwalk.View. Leases have no history: what it tells is of
// now, not of the view's revision.
func (v *View) Leases(ctx context.Context, ids []int64) ([]etcdwalk.Lease, error) {
	leases := make([]etcdwalk.Lease, 0, len(ids))
	for _, id := range ids {
		lease, err := v.lease(ctx, id)
		if err != nil {
			return nil, err
		}
		leases = append(leases, lease)
	}
	return leases, nil
}

func (v *View) lease(ctx context.Context, id int64) (etcdwalk.Lease, error) {
	lease := etcdwalk.Lease{ID: id}
	var response *pb.LeaseTimeToLiveResponse
	what := fmt.Sprintf("asking for lease %x", id)
	err := v.cluster.try(ctx, what, func(ctx context.Context) (err error) {
		response, err = v.cluster.leases.LeaseTimeToLive(ctx, &pb.LeaseTimeToLiveRequest{ID: id})
		return err
	})
	switch {
	case errors.Is(err, etcdwalk.ErrDenied):
		lease.State = etcdwalk.LeaseUnknown
	case errors.Is(err, replay.ErrNoLease):
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
