package ferry

import (
	"context"
	"errors"
	"fmt"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// judge makes the rules of a restore.
func (r Restore) judge(ctx context.Context, p *Planned) (err error) {
	if p.rules, err = kube.NewRules(p.layout, r.Scenario, r.Allow...); err != nil {
		return err
	}
	p.rules.Opener = p.query.Opener()
	with, err := r.selectors(ctx, p)
	p.rules.Selecting = func(endpoints etcdwalk.Class) bool { return with[id(endpoints)] }
	return err
}

// id is how a Service and its Endpoints are called alike.
func id(c etcdwalk.Class) string { return c.Prefix + c.Namespace + "/" + c.Name }

// selectors are the Services of the source that have a selector. They are read only where
// Endpoints are selected, of which older API servers do not say who made them. What cannot
// be read has none: then its Endpoints are restored.
func (r Restore) selectors(ctx context.Context, p *Planned) (map[string]bool, error) {
	endpoints, err := rangesOf(ctx, p, p.source, "endpoints")
	if err != nil || len(endpoints.Intersect(p.sel.Ranges)) == 0 {
		return nil, err
	}
	services, err := rangesOf(ctx, p, p.source, "services")
	if err != nil {
		return nil, err
	}
	with := map[string]bool{}
	for e, err := range p.source.Walk(ctx, etcdwalk.Selection{Ranges: services}) {
		if err != nil {
			return nil, fmt.Errorf("read the Services of the source: %w", err)
		}
		o, err := p.query.Opener().Decode(ctx, e.Key, e.Value)
		if err != nil {
			continue
		}
		if selector, _ := at(o.Tree(), "spec", "selector"); selector != nil {
			with[id(p.layout.Classify(e.Key))] = true
		}
	}
	return with, nil
}

// rule joins what the target cannot hold with what Kubernetes forbids: keys that are
// never restored, keys that the scenario passes over, and, if they are to be looked
// at, values that would break their resource.
func (r Restore) rule(p *Planned, values bool) func(etcdwalk.Entry) (replay.Fate, string) {
	from := p.source.Info().API
	limits, limited := r.Target.(particular)
	return func(e etcdwalk.Entry) (replay.Fate, string) {
		if limited {
			switch err := limits.Holds(from, e); {
			case errors.Is(err, etcdwalk.ErrNeedless):
				return replay.Excluded, err.Error()
			case err != nil:
				return replay.Refused, err.Error()
			}
		}
		if v := p.rules.Judge(e); v.Severity != kube.Allow {
			return replay.Excluded, v.Rule + ": " + v.Reason
		}
		if !values {
			return "", ""
		}
		if err := p.layout.CheckValue(e.Key, e.Value); err != nil {
			return replay.Refused, err.Error()
		}
		return "", ""
	}
}
