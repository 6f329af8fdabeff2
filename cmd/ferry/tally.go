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
	Revision int64            `json:"revision"`
	Outcome  etcdwalk.Outcome `json:"outcome"`
	Keys     int64            `json:"keys"`
	Bytes    int64            `json:"bytes"`
	Kinds    []kindTally      `json:"kinds"`
	// Outside is what a backup would not take; nil: not known, or a part was
	// asked for.
	Outside *etcdwalk.Outside `json:"outside,omitempty"`
	Alarms  []etcdwalk.Alarm  `json:"alarms,omitempty"`
	// Named tells in how many namespaces was found what was called by a name without
	// one.
	Named []kube.InNamespaces `json:"named,omitempty"`
}

// A kindTally counts the keys of one kind; Kind is empty for the keys of none.
type kindTally struct {
	Kind  string `json:"kind"`
	Keys  int64  `json:"keys"`
	Bytes int64  `json:"bytes"`
}

// Tally walks what the backup would take, and counts; nothing is written anywhere.
func (b Backup) Tally(ctx context.Context) (Tallied, error) {
	c, err := choose(ctx, b.Source, b.Query, b.AcceptCorrupt)
	if err != nil {
		return Tallied{}, err
	}
	if !b.AllowEmpty {
		if err := c.expected(ctx); err != nil {
			return Tallied{}, err
		}
	}
	t := tally{classify: c.layout.Classify, kinds: map[string]*etcdwalk.Stats{}}
	tell, done := told(b.Progress), int64(0)
	stats, err := etcdwalk.Copy(ctx, t, c.view, c.sel, func(e etcdwalk.Entry) {
		c.spread.See(e.Key)
		done++
		tell(Walking, done, c.toCome())
	})
	if err != nil {
		return Tallied{}, err
	}
	if stats.Keys == 0 && !b.AllowEmpty {
		return Tallied{}, empty(b.Query)
	}
	counted := Tallied{Revision: c.view.Info().Revision, Outcome: outcomeOf(c.view), Keys: stats.Keys, Bytes: stats.Bytes, Outside: c.outside, Alarms: c.alarms, Named: c.spread.Words()}
	for kind, s := range t.kinds {
		counted.Kinds = append(counted.Kinds, kindTally{Kind: kind, Keys: s.Keys, Bytes: s.Bytes})
	}
	slices.SortFunc(counted.Kinds, func(a, b kindTally) int { return strings.Compare(a.Kind, b.Kind) })
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
