package etcd2

import (
	"context"
	"iter"
	"strings"
	"time"

	client "go.etcd.io/etcd/client/v2"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// Walk implements etcdwalk.View. It ends with etcdwalk.ErrInvariant,
// ErrUnavailable or ErrDenied, or with [ErrTooLarge], wrapped with the directory concerned.
func (v *View) Walk(ctx context.Context, sel etcdwalk.Selection) iter.Seq2[etcdwalk.Entry, error] {
	return func(yield func(etcdwalk.Entry, error) bool) {
		w := walker{view: v, sel: sel, yield: yield, listings: map[string]*client.Node{}}
		for _, r := range sel.Ranges {
			more, err := w.walk(ctx, r)
			if err != nil {
				yield(etcdwalk.Entry{}, err)
			}
			if err != nil || !more {
				return
			}
		}
	}
}

// A walker goes over the ranges of one selection. The listings that it has made of
// directories serve all of them.
type walker struct {
	view     *View
	sel      etcdwalk.Selection
	yield    func(etcdwalk.Entry, error) bool
	order    etcdwalk.Order
	listings map[string]*client.Node
}

// walk goes over one range. It tells whether more is wanted.
func (w *walker) walk(ctx context.Context, r etcdwalk.Range) (more bool, err error) {
	switch {
	case r.Empty():
		return true, ctx.Err()
	case oneKey(r):
		return w.single(ctx, r)
	}
	return w.descend(ctx, folder(r), r)
}

// descend goes over what of a range lies in a directory. What is below the first
// level, or a kind's, is read as a whole.
func (w *walker) descend(ctx context.Context, dir string, r etcdwalk.Range) (more bool, err error) {
	if !w.above(dir, r) {
		return w.whole(ctx, dir, r)
	}
	told := time.Now()
	top, err := w.list(ctx, dir)
	if err != nil || top == nil {
		return true, err
	}
	if kept(top) {
		if more, err = w.emit(ctx, top, r, told); err != nil || !more {
			return more, err
		}
	}
	for _, child := range ordered(top) {
		switch {
		case !meets(r, child):
			continue
		case child.Dir:
			more, err = w.descend(ctx, keyOf(child), r)
		default:
			more, err = w.emit(ctx, child, r, told)
		}
		if err != nil || !more {
			return more, err
		}
	}
	return true, nil
}

// above tells whether a directory has those of several kinds, and is to be read
// one by one: kinds begin in it that are not its own, or it is of the first level,
// where kube-apiserver's prefix is.
func (w *walker) above(dir string, r etcdwalk.Range) bool {
	if strings.Count(dir, "/") <= 2 {
		return true
	}
	within := etcdwalk.Ranges{r}.Intersect(etcdwalk.Ranges{etcdwalk.Prefix(dir)})
	return len(within) > 0 && len(within[0].Cut(w.sel.Splits.Kinds)) > 1
}

// single reads one key, by its name, which may be hidden.
func (w *walker) single(ctx context.Context, r etcdwalk.Range) (more bool, err error) {
	if !storable(string(r.Start)) {
		return true, ctx.Err()
	}
	told := time.Now()
	n, err := w.view.read(ctx, string(r.Start), false)
	if err != nil || n == nil || keyOf(n) != string(r.Start) || !kept(n) {
		return true, err
	}
	return w.emit(ctx, n, r, told)
}

// list reads the children of a directory, but not what is below them.
func (w *walker) list(ctx context.Context, dir string) (*client.Node, error) {
	if n, done := w.listings[dir]; done {
		return n, nil
	}
	n, err := w.view.read(ctx, dir, false)
	if err != nil {
		return nil, err
	}
	if n != nil && !n.Dir {
		n = nil // a leaf where a directory might be
	}
	w.listings[dir] = n
	return n, nil
}

// whole reads a directory with one request, and emits what lies in the range. One
// that is gone by now holds nothing.
func (w *walker) whole(ctx context.Context, dir string, r etcdwalk.Range) (more bool, err error) {
	told := time.Now()
	n, err := w.view.read(ctx, dir, true)
	if err != nil || n == nil {
		return true, err
	}
	more = true
	visit(n, func(n *client.Node) bool {
		more, err = w.emit(ctx, n, r, told)
		return more && err == nil
	})
	return more, err
}

// emit yields a node if it is selected. It was told of at that time, at the
// earliest.
func (w *walker) emit(ctx context.Context, n *client.Node, r etcdwalk.Range, told time.Time) (more bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	e := entryOf(n)
	if !r.Contains(e.Key) {
		return true, nil
	}
	if err := w.order.Check(w.sel.Ranges, e.Key); err != nil {
		return false, err
	}
	if e.Lease != 0 {
		w.view.note(n, told)
	}
	if !w.sel.Takes(e) {
		return true, nil
	}
	return w.yield(e, nil), nil
}
