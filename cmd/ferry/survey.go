package ferry

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/need"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/order"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// maxSurvey bounds, in bytes, what is remembered of who owns whom, where nothing else is said.
const maxSurvey = 256 << 20

// survey goes over what would be written into a living cluster: for the order in which
// that must be done, for what may keep it from being done, and for what is to be taken
// along.
func (r Restore) survey(ctx context.Context, p *Planned, source etcdwalk.View) error {
	if r.Scenario == kube.ScenarioNew { // nobody watches: the order of the keys is as good
		p.ranks, p.comeback = []etcdwalk.Selection{p.sel}, newComeback(p, nil)
		return nil
	}
	spaces, err := p.spacesOf(ctx)
	if err != nil {
		return err
	}
	for {
		if err := r.allot(ctx, p, source); err != nil {
			return err
		}
		seen, namespaces, err := r.see(ctx, p, source, spaces)
		if err != nil {
			return err
		}
		along, err := r.along(ctx, p, source, seen)
		if err != nil {
			return err
		}
		if len(along) > 0 {
			p.Along = append(p.Along, along...)
			p.sel = with(p.sel, along)
			continue
		}
		spaces.tell(p, namespaces)
		absent := func(key []byte) bool { return !spaces.there[string(key)] }
		p.comeback = newComeback(p, slices.DeleteFunc(namespaces, func(key []byte) bool { return !absent(key) }))
		p.ranks, err = seen.Ranks(ctx, order.Plan{View: source, Selection: p.sel, Absent: absent, Meta: p.metaOf(ctx)})
		return err
	}
}

// metaOf reads the metadata of a value; empty if it cannot be read.
func (p *Planned) metaOf(ctx context.Context) func(e etcdwalk.Entry) object.Meta {
	return func(e etcdwalk.Entry) object.Meta {
		m, _ := p.meta(ctx, e)
		return m
	}
}

// allowed are the entries of a selection that no rule leaves out.
func (r Restore) allowed(ctx context.Context, p *Planned, source etcdwalk.View, sel etcdwalk.Selection) iter.Seq2[etcdwalk.Entry, error] {
	rule := r.rule(p, false)
	return func(yield func(etcdwalk.Entry, error) bool) {
		for e, err := range source.Walk(ctx, sel) {
			if err == nil {
				if fate, _ := rule(e); fate != "" {
					continue
				}
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// see surveys what may be written, and tells which keys of it are Namespace objects'.
func (r Restore) see(ctx context.Context, p *Planned, source etcdwalk.View, target spaces) (_ *order.Survey, namespaces [][]byte, _ error) {
	seen, selected := order.NewSurvey(cmp.Or(r.MaxMemory, maxSurvey)), map[string]bool{}
	meta, byName := p.metaOf(ctx), need.ByName()
	for e, err := range r.allowed(ctx, p, source, p.sel) {
		if err != nil {
			return nil, nil, fmt.Errorf("find out who owns whom: %w", err)
		}
		class, m := p.layout.Classify(e.Key), meta(e)
		if err := p.extras.keeps(e.Key, class.Namespace, m); err != nil {
			return nil, nil, err
		}
		if slices.Contains(byName, class.Kind) && !target.stays(r.Policy, e, m) {
			selected[class.Kind+"/"+strings.TrimPrefix(class.Namespace+"/"+class.Name, "/")] = true
		}
		if class.Kind == "namespaces" {
			namespaces = append(namespaces, bytes.Clone(e.Key))
		}
		if err := seen.Add(class, m); err != nil {
			return nil, nil, fmt.Errorf("find out who owns whom: %w", err)
		}
	}
	p.checks = &need.Checks{Rules: p.rules, Layout: p.layout, Opener: p.query.Opener(), Survey: seen,
		Selected: func(kind, name string) bool { return selected[kind+"/"+name] },
		Keeps:    r.Policy == replay.Skip || r.Policy == replay.Newer,
		Target:   without{r.Target, p.extras}, View: p.target, Source: source, Finders: []*kube.Finder{p.query.Catalog(p.target).Finder(), p.query.Catalog(p.source).Finder()}}
	return seen, namespaces, p.sel.Err()
}
