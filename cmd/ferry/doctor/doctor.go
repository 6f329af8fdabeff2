// Package doctor tells the story of a look at a cluster or an archive: whether it can be
// reached, how its members do, what it holds, and what is wrong with that. It changes nothing.
//
// What is wrong with objects package health finds; here is what is wrong with an etcd. What
// cannot be looked at, for want of rights or because the source has none of it, is told, and
// keeps nothing else from being looked at.
package doctor

import (
	"context"
	"errors"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd3"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/health"
)

// A Doctor looks at a source.
type Doctor struct {
	Source etcdwalk.Source
	// Query says under which prefixes, and opens what is encrypted at rest.
	Query kube.Query
	// Tell, which may be nil, is told how many keys were read, and of how many.
	Tell func(done, total int64)
}

// A Report is what was found.
type Report struct {
	Info etcdwalk.Info `json:"source"`
	// Members are absent where there are none, as of an archive.
	Members []etcd3.Standing `json:"members,omitempty"`
	// Compacted is absent where it cannot be told.
	Compacted *Compacted        `json:"compacted,omitempty"`
	Outside   *etcdwalk.Outside `json:"outside,omitempty"` // keys beside the prefixes; absent: not known
	health.Seen
}

// Compacted says where the past of a cluster begins.
type Compacted struct {
	Revision int64 `json:"revision"` // 0: it was never compacted
	Lag      int64 `json:"lag"`      // revisions since
}

// Count is how many findings are that bad.
func (r Report) Count(s health.Severity) (n int) {
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// What only some sources and views know.
type (
	membered interface {
		Standings(ctx context.Context) (all []etcd3.Standing, why string, err error)
	}
	compacted interface {
		Compacted(ctx context.Context, key []byte) (int64, error)
	}
	scoped  interface{ Prefixes() []string }
	partial interface{ Partial() bool }
	ended   interface{ Outcome() etcdwalk.Outcome }
)

// Run looks. With an error, the report holds what was found before it.
func (d Doctor) Run(ctx context.Context) (Report, error) {
	r := Report{Seen: health.Seen{Prefixes: []health.Counted{}, Sealed: []health.Sealed{}, Alive: []string{}, Findings: []health.Finding{}, Unseen: []health.Unseen{}}}
	var unseen []health.Unseen
	if s, ok := d.Source.(scoped); ok {
		var err error
		if d.Query, err = d.Query.Under(s.Prefixes()...); err != nil {
			return r, err
		}
	}
	if m, ok := d.Source.(membered); ok {
		all, why, err := m.Standings(ctx)
		if err != nil {
			return r, err
		}
		r.Members = all
		if why != "" {
			unseen = append(unseen, health.Unseen{What: "which members there are beside the endpoints", Why: why})
		}
	}
	view, err := d.open(ctx)
	if err == nil {
		r.Info = view.Info()
		if r.Info.API == etcdwalk.V2 && r.Members == nil {
			unseen = append(unseen, health.Unseen{What: "members, alarms, size and quota", Why: "API v2 does not tell them"})
		}
		r.Seen, err = d.look(ctx, view)
	} else if errors.Is(err, etcdwalk.ErrDenied) {
		unseen = append(unseen, health.Unseen{What: "any key", Why: err.Error()})
	}
	r.Unseen = append(unseen, r.Unseen...)
	r.ail()
	if err != nil {
		return r, err
	}
	return r, d.about(ctx, view, &r)
}

// open opens the source where it may be read at all.
func (d Doctor) open(ctx context.Context) (etcdwalk.View, error) {
	scope := d.Query.Layout().Scope()
	view, err := d.Source.Open(ctx, etcdwalk.Newest, scope)
	for i := 0; errors.Is(err, etcdwalk.ErrDenied) && i < len(scope); i++ {
		if some, errSome := d.Source.Open(ctx, etcdwalk.Newest, scope[i:i+1]); !errors.Is(errSome, etcdwalk.ErrDenied) {
			view, err = some, errSome
		}
	}
	return view, err
}

// look looks at what the view holds.
func (d Doctor) look(ctx context.Context, view etcdwalk.View) (health.Seen, error) {
	p, ok := view.(partial)
	seen, err := health.Look{View: view, Query: d.Query, Partial: ok && p.Partial(), Tell: d.Tell}.Run(ctx)
	if e, ok := view.(ended); ok && err == nil && !e.Outcome().Consistent {
		seen.Unseen = append(seen.Unseen, health.Unseen{What: "everything at one moment", Why: "it was written to meanwhile: of what was found missing, look again"})
	}
	return seen, err
}

// about finds out about the source as a whole.
func (d Doctor) about(ctx context.Context, view etcdwalk.View, r *Report) error {
	layout := d.Query.Layout()
	ids := r.Info.Identities
	if len(ids) == 0 {
		var err error
		if ids, err = layout.Identities(ctx, view, d.Query.Opener()); errors.Is(err, etcdwalk.ErrDenied) {
			r.Unseen = append(r.Unseen, health.Unseen{What: "which cluster it is", Why: err.Error()})
		} else if err != nil {
			return err
		}
	}
	r.Info.Identify(ids)
	var err error
	if r.Members != nil {
		if r.Outside, err = layout.Outside(ctx, view); err != nil {
			return err
		}
	}
	return d.past(ctx, r)
}

// past finds out where the past begins.
func (d Doctor) past(ctx context.Context, r *Report) error {
	const what = "how far behind the compaction is"
	c, ok := d.Source.(compacted)
	if !ok {
		r.Unseen = append(r.Unseen, health.Unseen{What: what, Why: "the source holds no past"})
		return nil
	}
	scope := d.Query.Layout().Scope()
	revision, err := int64(-1), error(nil)
	for i := range scope {
		if revision, err = c.Compacted(ctx, scope[i].Start); !errors.Is(err, etcdwalk.ErrDenied) {
			break
		}
	}
	switch {
	case errors.Is(err, etcdwalk.ErrDenied):
		r.Unseen = append(r.Unseen, health.Unseen{What: what, Why: err.Error()})
	case err != nil:
		return err
	case revision < 0:
		r.Unseen = append(r.Unseen, health.Unseen{What: what, Why: "the server does not tell"})
	default:
		r.Compacted = &Compacted{revision, r.Info.Revision - revision}
	}
	return nil
}
