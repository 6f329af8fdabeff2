package health

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/need"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/order"
)

// A Look looks at what a view holds.
type Look struct {
	View etcdwalk.View
	// Query says under which prefixes, and opens what is encrypted at rest.
	Query kube.Query
	// Partial: what is not in the view may have been left out of it, as of an archive of a part.
	Partial bool
	// MaxMemory bounds, in bytes, what is remembered of who owns whom; 0: 256 MiB.
	MaxMemory int64
	// Tell, which may be nil, is told how many keys were read, and of how many.
	Tell func(done, total int64)
}

const maxMemory = 256 << 20

// Counted are the keys under one prefix of a kind.
type Counted struct {
	Prefix string `json:"prefix"`
	Kind   string `json:"kind,omitempty"` // empty: they belong to none
	Keys   int64  `json:"keys"`
	Bytes  int64  `json:"bytes"`
}

// An Unseen is what was not looked at.
type Unseen struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// Seen is what a Look has seen. Its lists are never nil.
type Seen struct {
	Keys     int64     `json:"keys"`
	Bytes    int64     `json:"bytes"`
	Prefixes []Counted `json:"prefixes"`
	Sealed   []Sealed  `json:"sealed"` // values that are encrypted at rest
	// Alive are the keys by which API servers show that they live, or did until seconds ago.
	Alive    []string  `json:"api_servers"`
	Findings []Finding `json:"findings"`
	Unseen   []Unseen  `json:"not_looked_at"`
}

// Run looks. What may not be read is told in Unseen; it is an etcdwalk.ErrDenied if nothing may
// be, and then it has seen nothing.
func (l Look) Run(ctx context.Context) (Seen, error) {
	w, err := l.begin()
	if err != nil {
		return Seen{}, err
	}
	ranges, err := w.readable(ctx)
	if err != nil {
		return w.seen(), err
	}
	w.known.ranges = ranges
	sel := etcdwalk.Selection{Ranges: ranges}
	if sel.Splits, err = l.Query.Catalog(l.View).Splits(ctx); err != nil {
		return w.seen(), err
	}
	total, err := l.View.Count(ctx, sel)
	if err != nil {
		return w.seen(), err
	}
	for e, err := range l.View.Walk(ctx, sel) {
		if err != nil {
			return w.seen(), err
		}
		w.count(e)
		if err := w.see(ctx, e); err != nil {
			return w.seen(), err
		}
		if l.Tell != nil {
			l.Tell(w.keys, max(0, total))
		}
	}
	if err := ctx.Err(); err != nil {
		return w.seen(), err
	}
	w.known.close()
	err = w.after(ctx)
	return w.seen(), err
}

// begin makes what a walk needs.
func (l Look) begin() (*walk, error) {
	layout := l.Query.Layout()
	rules, err := kube.NewRules(layout, kube.ScenarioSame)
	if err != nil {
		return nil, err
	}
	w := &walk{
		Look: l, layout: layout, signs: layout.LiveSigns(), census: NewCensus(layout), survey: order.NewSurvey(cmp.Or(l.MaxMemory, maxMemory)),
		found: found{layout, map[string]*Finding{}}, counts: map[string]*Counted{}, custom: map[string]*customKind{}, lodged: map[home]*lodged{}, closed: map[string]int64{},
		known: &known{seed: maphash.MakeSeed()},
	}
	w.checks = &need.Checks{
		Rules: rules, Layout: layout, Opener: l.Query.Opener(), Survey: w.survey, Selected: func(string, string) bool { return false },
		Target: lookup{l.View, w.known}, View: l.View, Source: l.View, Finders: []*kube.Finder{l.Query.Catalog(l.View).Finder()},
	}
	return w, nil
}

// readable are the ranges of the scope that may be read.
func (w *walk) readable(ctx context.Context) (ranges etcdwalk.Ranges, err error) {
	var denied error
	for _, r := range w.layout.Scope() {
		_, err := w.View.Count(ctx, etcdwalk.Selection{Ranges: etcdwalk.Ranges{r}})
		switch {
		case err == nil:
			ranges = append(ranges, r)
		case errors.Is(err, etcdwalk.ErrDenied):
			denied = err
			w.unseenFor(fmt.Sprintf("keys under %s", r.Start), err)
		default:
			return nil, err
		}
	}
	if len(ranges) == 0 {
		return nil, denied
	}
	return ranges, nil
}

// unseenFor tells what was not looked at because of an error.
func (w *walk) unseenFor(what string, err error) {
	w.unseen = append(w.unseen, Unseen{what, err.Error()})
}

// seen is what was seen so far.
func (w *walk) seen() Seen {
	s := Seen{Keys: w.keys, Bytes: w.bytes, Prefixes: []Counted{}, Sealed: w.census.Totals(), Alive: []string{}, Findings: w.found.findings(), Unseen: []Unseen{}}
	for _, c := range w.counts {
		s.Prefixes = append(s.Prefixes, *c)
	}
	slices.SortFunc(s.Prefixes, func(a, b Counted) int { return strings.Compare(a.Prefix, b.Prefix) })
	s.Alive = append(s.Alive, w.alive...)
	s.Unseen = append(s.Unseen, w.unseen...)
	return s
}
