package etcd3

import (
	"bytes"
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

// errEmptyPage: it might go on like this for ever.
var errEmptyPage = fmt.Errorf("an empty page says that there is more%.0w", etcdwalk.ErrInvariant)

// rest reads what is left of the range in pages, cell by cell.
func (s *scanner) rest(ctx context.Context, cells []*cell) error {
	begun := s.read
	defer func() { // a server passes more keys than it brings: see steering
		s.view.cluster.cfg.Log.Info("read in pages", "range", describe(s.r), "keys", s.read-begun, "pages", s.asked, "passed", s.passed)
	}()
	for _, c := range joined(cells) {
		if c.keys == 0 || c.End != nil && bytes.Compare(s.next, c.End) >= 0 {
			continue // nothing, or nothing any more
		}
		if bytes.Compare(s.next, c.Start) < 0 {
			s.next = c.Start
		}
		if err := s.cell(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// joined puts neighbouring cells together as long as one page takes them all.
func joined(cells []*cell) []cell {
	var all []cell
	for _, c := range cells {
		if last := len(all) - 1; last >= 0 && all[last].keys+c.keys <= firstLimit {
			all[last].End = c.End
			all[last].keys += c.keys
			continue
		}
		all = append(all, *c)
	}
	return all
}

// cell reads what is left of a cell, page by page. Only "no more" ends the range
// that was asked for: a page may be short for other reasons.
func (s *scanner) cell(ctx context.Context, c cell) error {
	s.limit = min(s.limit, firstLimit) // other keys, other sizes
	course := steer(c, s.sample)
	for {
		asked := etcdwalk.Range{Start: s.next, End: course.end(s.next, s.limit)}
		p, err := s.page(ctx, asked)
		if err != nil {
			return err
		}
		if err := s.view.cluster.checkHeader(p.header); err != nil {
			return s.reading(err)
		}
		if p.more && len(p.entries) == 0 {
			return s.reading(errEmptyPage)
		}
		s.asked, s.passed = s.asked+1, s.passed+p.count
		course.learn(p, asked, s.limit)
		s.limit = nextLimit(s.limit, p, s.size.goal)
		if err := s.take(p.header.MemberId, p.entries); err != nil {
			return err
		}
		switch {
		case p.more:
		case bytes.Equal(asked.End, c.End):
			return nil
		default:
			s.next = asked.End
		}
	}
}

// A size is what pages aim at, in bytes: pageBytes, and less on connections that do
// not carry so much. An answer that does not arrive whole halves it; each that does
// lets it grow again by an eighth.
type size struct {
	goal int64
	each int64 // bytes of a key and its value, in the last page
}

func newSize() *size { return &size{pageBytes, pageBytes} }

// leastBytes is where pages shrink no further.
const leastBytes = 16 << 10

func (z *size) cut()   { z.goal = max(leastBytes, z.goal/2) }
func (z *size) whole() { z.goal = min(pageBytes, z.goal+z.goal/8) }

// nextLimit aims at the goal for the next page, from the size of the last one.
// It at most doubles, since what comes next may be larger, and does not grow at
// all after a page of few keys, which tell little of the others.
func nextLimit(limit int64, p *page, goal int64) int64 {
	got := int64(len(p.entries))
	fit := max(1, got) * goal / int64(max(1, len(p.message)))
	if got < limit/2 {
		fit = min(fit, limit)
	}
	return max(1, min(fit, 2*limit, mostKeys))
}

// page reads the first page of a range. It asks for fewer keys if the answer
// would exceed the receive limit, and raises that limit, for this page only,
// if one key alone does.
func (s *scanner) page(ctx context.Context, r etcdwalk.Range) (*page, error) {
	for receive := s.view.cluster.cfg.MaxRecvBytes; ; {
		p, err := s.request(ctx, r, receive)
		switch {
		case !errors.Is(err, errTooLarge):
			return p, s.view.denied(err, s.r)
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

// request asks for s.limit keys of a range, and for fewer if the answer is slow in
// coming, or breaks off: E22, connections that end after so many bytes.
func (s *scanner) request(ctx context.Context, r etcdwalk.Range, receive int) (*page, error) {
	p := s.pages.free()
	key, end, _ := wire(r)
	err := s.view.cluster.try(ctx, "read "+describe(s.r), func(ctx context.Context) error {
		request := &pb.RangeRequest{Key: key, RangeEnd: end, Revision: s.view.info.Revision, Limit: s.limit}
		err := s.view.cluster.members.Invoke(ctx, pb.KV_Range_FullMethodName, request, &p.rawAnswer,
			grpc.ForceCodecV2(raw()), grpc.MaxCallRecvMsgSize(receive))
		switch status.Code(err) {
		case codes.OK:
			s.size.whole()
		case codes.DeadlineExceeded, codes.Unavailable:
			s.size.cut()
			s.limit = max(1, s.limit/2)
		}
		return err
	})
	if err == nil {
		err = misread(p.parse(p.message))
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// misread marks the error of an answer that is not one.
func misread(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("an answer that cannot be read: %w: %w", etcdwalk.ErrInvariant, err)
}
