package ferry

import (
	"context"
	"slices"
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// Tallied is what a selection holds, by kind.
type Tallied struct {
	Revision int64       `json:"revision"`
	Keys     int64       `json:"keys"`
	Bytes    int64       `json:"bytes"`
	Kinds    []KindTally `json:"kinds"`
	// Missing says why there may be nothing, if there is nothing.
	Missing string `json:"-"`
}

// A KindTally counts the keys of one kind; Kind is empty for the keys of none.
type KindTally struct {
	Kind  string `json:"kind"`
	Keys  int64  `json:"keys"`
	Bytes int64  `json:"bytes"`
}

// Tally walks the selection and counts; nothing is written anywhere.
func Tally(ctx context.Context, pin Pin, filter kube.Filter, progress Progress) (Tallied, error) {
	view, err := pin(ctx, filter.Scope())
	if err != nil {
		return Tallied{}, err
	}
	sel, err := filter.Resolve(ctx, view)
	if err != nil {
		return Tallied{}, err
	}
	total, err := count(ctx, view, sel.Ranges)
	if err != nil {
		return Tallied{}, err
	}
	t := tally{classify: filter.Schema().Classify, kinds: map[string]*etcdwalk.Stats{}}
	tell, done := told(progress), int64(0)
	stats, err := etcdwalk.Copy(ctx, t, view, sel, func(etcdwalk.Entry) {
		done++
		tell(Walking, done, total)
	})
	if err != nil {
		return Tallied{}, err
	}
	counted := Tallied{Revision: view.Info().Revision, Keys: stats.Keys, Bytes: stats.Bytes}
	for kind, s := range t.kinds {
		counted.Kinds = append(counted.Kinds, KindTally{Kind: kind, Keys: s.Keys, Bytes: s.Bytes})
	}
	slices.SortFunc(counted.Kinds, func(a, b KindTally) int { return strings.Compare(a.Kind, b.Kind) })
	if stats.Keys == 0 {
		counted.Missing = filter.Missing(ctx, view)
	}
	return counted, nil
}

// A tally is a Sink that keeps nothing but counts.
type tally struct {
	classify func(key []byte) etcdwalk.Class
	kinds    map[string]*etcdwalk.Stats
}

// Put implements etcdwalk.Sink.
func (t tally) Put(_ context.Context, e etcdwalk.Entry) error {
	kind := t.classify(e.Key).Kind
	if t.kinds[kind] == nil {
		t.kinds[kind] = &etcdwalk.Stats{}
	}
	t.kinds[kind].Add(e)
	return nil
}
