package etcd3

import (
	"context"
	"errors"
	"fmt"
	"math"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

const (
	firstLimit = 100   // keys in the first page, whose sizes nobody knows
	mostKeys   = 10000 // keys in any page
	pageBytes  = 1 << 20
)

// pages reads the rest of the range page by page. Only "no more" ends it: a
// page may be short for other reasons.
func (s *scanner) pages(ctx context.Context) error {
	if _, _, ok := wire(s.r); !ok {
		return nil
	}
	s.view.cluster.cfg.Log.Debug("reading in pages", "range", describe(s.r))
	for {
		page, err := s.page(ctx)
		if err != nil {
			return err
		}
		if err := s.view.cluster.checkHeader(page.Header); err != nil {
			return s.reading(err)
		}
		if err := s.take(page.Kvs); err != nil {
			return err
		}
		if !page.More {
			return nil
		}
		if len(page.Kvs) == 0 {
			return s.reading(fmt.Errorf("an empty page says that there is more: %w", etcdwalk.ErrInvariant))
		}
		s.limit = nextLimit(s.limit, page)
	}
}

// nextLimit aims at pageBytes for the next page, from the size of the last one.
// It at most doubles, since what comes next may be larger.
func nextLimit(limit int64, page *pb.RangeResponse) int64 {
	size := 1
	for _, kv := range page.Kvs {
		size += len(kv.Key) + len(kv.Value)
	}
	fit := int64(len(page.Kvs)) * pageBytes / int64(size)
	return max(1, min(fit, 2*limit, mostKeys))
}

// page reads one page from next on. It asks for fewer keys if the answer would
// exceed the receive limit, and raises that limit, for this page only, if one
// key alone does.
func (s *scanner) page(ctx context.Context) (*pb.RangeResponse, error) {
	for receive := s.view.cluster.cfg.MaxRecvBytes; ; {
		page, err := s.request(ctx, receive)
		switch {
		case !errors.Is(err, errTooLarge):
			return page, s.view.denied(err, s.r)
		case s.limit > 1:
			s.limit = max(1, s.limit/4)
			s.view.cluster.cfg.Log.Info("a page would be too large, asking for fewer keys", "range", describe(s.r), "limit", s.limit)
		case receive == math.MaxInt32:
			return nil, err
		default:
			receive = int(min(int64(receive)*2, math.MaxInt32))
			s.view.cluster.cfg.Log.Info("one key is too large, raising the receive limit for it", "range", describe(s.r), "limit", receive)
		}
	}
}

// request asks for s.limit keys from next on, and for fewer if the answer is
// slow in coming.
func (s *scanner) request(ctx context.Context, receive int) (page *pb.RangeResponse, err error) {
	_, end, _ := wire(s.r)
	key, _, _ := wire(etcdwalk.Range{Start: s.next})
	err = s.view.cluster.try(ctx, "reading "+describe(s.r), func(ctx context.Context) error {
		page, err = s.view.cluster.kv.Range(ctx, &pb.RangeRequest{
			Key: key, RangeEnd: end, Revision: s.view.info.Revision, Limit: s.limit,
		}, grpc.MaxCallRecvMsgSize(receive))
		if status.Code(err) == codes.DeadlineExceeded {
			s.limit = max(1, s.limit/2)
		}
		return err
	})
	return page, err
}
