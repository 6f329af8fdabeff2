package etcd3

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// Leap goes over keys without their values, and leaps over those that are of no interest: on
// is told the first key of a range and returns the first one that it wants to see next, and so
// on to the end; nil: the very next. Ranges are gone over several at once, each ascending. It
// ends with the errors of Walk, or with errors.ErrUnsupported, before it has told anything, at a
// server that tells no keys without their values (kine: pkg/server, unsupported fields).
//
// Servers before 3.7 read the values all the same, to leave them out: so pages begin small,
// and grow no further in what is leapt over.
func (v *View) Leap(ctx context.Context, ranges etcdwalk.Ranges, on func(key []byte) []byte) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, r := range ranges {
		if _, _, some := wire(r); some {
			group.Go(func() error { return v.leap(ctx, r, on) })
		}
	}
	return group.Wait()
}

// leap goes over one range.
func (v *View) leap(ctx context.Context, r etcdwalk.Range, on func(key []byte) []byte) error {
	s := &scanner{view: v, r: r, next: r.Start, limit: firstLimit}
	for !(etcdwalk.Range{Start: s.next, End: r.End}).Empty() {
		answer, err := s.names(ctx)
		if err != nil {
			return err
		}
		told := 0
		for _, kv := range answer.Kvs {
			if err := s.order.Check(etcdwalk.Ranges{r}, kv.Key); err != nil {
				return s.reading(err)
			}
			if bytes.Compare(kv.Key, s.next) < 0 {
				continue
			}
			told++
			if s.next = on(kv.Key); s.next == nil {
				s.next = etcdwalk.After(kv.Key)
			}
		}
		switch {
		case !answer.More:
			return nil
		case len(answer.Kvs) == 0:
			return s.reading(errEmptyPage)
		case told > 1:
			s.limit = min(2*s.limit, mostKeys)
		default:
			s.limit = firstLimit
		}
	}
	return nil
}

// names asks for keys from the next one on, for fewer if they are too much for one answer.
func (s *scanner) names(ctx context.Context) (answer *pb.RangeResponse, err error) {
	c := s.view.cluster
	key, end, _ := wire(etcdwalk.Range{Start: s.next, End: s.r.End})
	for {
		request := &pb.RangeRequest{Key: key, RangeEnd: end, Revision: s.view.info.Revision, Limit: s.limit, KeysOnly: true}
		err = c.try(ctx, "read the names of "+describe(s.r), func(ctx context.Context) (err error) {
			answer, err = c.kv.Range(ctx, request, grpc.MaxCallRecvMsgSize(c.cfg.MaxRecvBytes))
			return err
		})
		if !errors.Is(err, errTooLarge) || s.limit == 1 {
			break
		}
		s.limit = max(1, s.limit/4)
	}
	if code := status.Code(err); code == codes.Unimplemented || code == codes.InvalidArgument {
		return nil, fmt.Errorf("%w%.0w", err, errors.ErrUnsupported)
	}
	if err == nil {
		err = c.checkHeader(answer.Header)
	}
	if err != nil {
		return nil, s.view.denied(err, s.r)
	}
	return answer, nil
}
