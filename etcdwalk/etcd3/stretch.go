package etcd3

import (
	"context"
	"errors"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// A stretch is what is read as one: a range of a selection, or several with all that lies
// between them, of which a walk passes on what was selected.
//
// A namespace of a cluster with 1,500 custom kinds is as many ranges, most of them with a key
// or two, and each costs requests: everything around them is read sooner. But what lies
// between two ranges may be a hundred thousand pods. So neighbours are counted together, and
// taken apart where there is too much between them.
type stretch struct {
	etcdwalk.Range
	wanted etcdwalk.Ranges // that are selected in it
	cells  []*cell         // that it consists of
	denied bool            // it may not be read as a whole
	known  bool            // it was counted
}

// apart is how many ranges are read each by itself, whatever lies between them: to count
// them takes no longer than to count the kinds of a whole keyspace.
const apart = 128

// single tells whether the stretch is one range.
func (s *stretch) single() bool { return len(s.wanted) == 1 }

// keys are those of the stretch, wanted or not.
func (s *stretch) keys() (n int64) {
	for _, c := range s.cells {
		n += c.keys
	}
	return n
}

// worth is the rule of what is cheaper: to read some ranges with all that lies between them,
// or each by itself. A range by itself costs a count and a page, and so many keys are a page
// that nobody notices.
func (s *stretch) worth() bool {
	return s.single() || !s.denied && s.keys() <= int64(firstLimit*len(s.wanted))
}

func newStretch(ranges etcdwalk.Ranges, kinds [][]byte) *stretch {
	s := &stretch{Range: etcdwalk.Range{Start: ranges[0].Start, End: ranges[len(ranges)-1].End}, wanted: ranges}
	for _, part := range s.Cut(kinds) {
		s.cells = append(s.cells, &cell{Range: part})
	}
	return s
}

// stretches are what a walk over a selection reads, in order. They reach over no place at
// which a kind begins, but for one range that does: a server locks its index for as long as
// it counts, and writers out with it. So who walks much gives splits, and the whole is not
// counted at once.
func (v *View) stretches(ctx context.Context, sel etcdwalk.Selection) ([]*stretch, error) {
	all := neighbours(sel)
	for {
		if err := v.measure(ctx, all); err != nil {
			return nil, err
		}
		var next []*stretch
		for _, s := range all {
			if s.worth() {
				next = append(next, s)
				continue
			}
			for part := range slices.Chunk(s.wanted, (len(s.wanted)+atOnce-1)/atOnce) {
				next = append(next, newStretch(part, sel.Splits.Kinds))
			}
		}
		if len(next) == len(all) {
			return all, nil
		}
		all = next
	}
}

// neighbours are the ranges of a selection, those that lie between the same two places put
// together if there are many.
func neighbours(sel etcdwalk.Selection) (all []*stretch) {
	places := sel.Splits.Kinds
	if len(places) == 0 || len(sel.Ranges) <= apart {
		for i := range sel.Ranges {
			all = append(all, newStretch(sel.Ranges[i:i+1], places))
		}
		return all
	}
	for first := 0; first < len(sel.Ranges); {
		end := first + 1
		for end < len(sel.Ranges) && len(newStretch(sel.Ranges[first:end+1], places).cells) == 1 {
			end++
		}
		all = append(all, newStretch(sel.Ranges[first:end], places))
		first = end
	}
	return all
}

// measure counts the keys of stretches.
func (v *View) measure(ctx context.Context, all []*stretch) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, s := range all {
		if s.known {
			continue
		}
		s.known = true
		for _, c := range s.cells {
			group.Go(func() (err error) {
				c.keys, err = v.counted(ctx, c.Range)
				if errors.Is(err, etcdwalk.ErrDenied) && !s.single() {
					s.denied = true // a stretch of several ranges has one cell
					return nil
				}
				return v.denied(err, s.Range)
			})
		}
	}
	return group.Wait()
}

// small tells whether one request is enough for the stretch, if its keys are as large as
// those before.
func (s *stretch) small(z *size) bool {
	return s.keys() <= max(firstLimit, pageBytes/2/max(1, z.each))
}

// fetch asks for small stretches, all at once. A page is nil if the stretch is to be read the
// long way, which can tell what was wrong, and go on.
func (v *View) fetch(ctx context.Context, all []*stretch) ([]*page, error) {
	pages := make([]*page, len(all))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, s := range all {
		group.Go(func() error {
			if p := v.glance(ctx, s); p != nil && int64(len(p.entries)) == s.keys() {
				pages[i] = p
			}
			return ctx.Err()
		})
	}
	return pages, group.Wait()
}

// glance asks for a small stretch, once, and for no more than a page; nil: it was in vain.
func (v *View) glance(ctx context.Context, s *stretch) *page {
	ctx, cancel := context.WithTimeout(ctx, v.cluster.cfg.CommandTimeout)
	defer cancel()
	key, end, _ := wire(s.Range)
	request := &pb.RangeRequest{Key: key, RangeEnd: end, Revision: v.info.Revision, Limit: s.keys()}
	p := &page{}
	err := v.cluster.members.Invoke(ctx, pb.KV_Range_FullMethodName, request, &p.rawAnswer,
		grpc.ForceCodecV2(raw()), grpc.MaxCallRecvMsgSize(pageBytes))
	if err != nil || p.parse(p.message) != nil || p.more || v.cluster.checkHeader(p.header) != nil {
		return nil
	}
	return p
}
