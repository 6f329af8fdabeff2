package kube

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// maxSegments is how many first segments are told of: each costs a request or
// two.
const maxSegments = 16

// Outside counts what the view holds beside the layout's prefixes. It is nil if
// that cannot be known: who may read the prefixes only may not see the rest. The
// record of compactions, which every kube-apiserver keeps beside its prefix and
// nobody restores, does not count.
func (l *Layout) Outside(ctx context.Context, view etcdwalk.View) (*etcdwalk.Outside, error) {
	rest := etcdwalk.Ranges{{Start: []byte{}}}.Subtract(etcdwalk.Union(append(l.Scope(), etcdwalk.Key([]byte(compactKey)))...))
	out, err := outside(ctx, view, rest)
	switch {
	case errors.Is(err, etcdwalk.ErrDenied):
		return nil, nil //nolint:nilnil // not known is an answer
	case err != nil:
		return nil, fmt.Errorf("count the keys that are not taken: %w", err)
	}
	return out, nil
}

func outside(ctx context.Context, view etcdwalk.View, rest etcdwalk.Ranges) (*etcdwalk.Outside, error) {
	all, err := view.Count(ctx, etcdwalk.Selection{Ranges: rest})
	if err != nil || all < 0 {
		return nil, err
	}
	out := &etcdwalk.Outside{Keys: all}
	for told := int64(0); told < all && len(out.Under) < maxSegments; {
		key, err := firstKey(ctx, view, rest)
		if err != nil || key == nil {
			return out, err
		}
		segment, here := firstSegment(key)
		n, err := view.Count(ctx, etcdwalk.Selection{Ranges: rest.Intersect(etcdwalk.Ranges{here})})
		if err != nil {
			return out, err
		}
		told += n
		out.Under = append(out.Under, etcdwalk.OutsideKeys{Segment: strings.ToValidUTF8(string(segment), "\ufffd"), Keys: n})
		rest = rest.Subtract(etcdwalk.Ranges{{Start: []byte{}, End: here.End}})
	}
	return out, nil
}

func firstKey(ctx context.Context, view etcdwalk.View, ranges etcdwalk.Ranges) ([]byte, error) {
	for e, err := range view.Walk(ctx, etcdwalk.Selection{Ranges: ranges}) {
		return bytes.Clone(e.Key), err
	}
	return nil, ctx.Err()
}

// firstSegment is a key up to the first slash behind its first byte, with the
// range of all that begin with it.
func firstSegment(key []byte) ([]byte, etcdwalk.Range) {
	i := bytes.IndexByte(key[1:], '/')
	if i < 0 {
		return key, etcdwalk.Key(key)
	}
	return key[:i+2], etcdwalk.Prefix(string(key[:i+2]))
}
