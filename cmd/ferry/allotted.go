package ferry

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/need"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// allotted is what the API servers have allotted to the Services that are to be written.
// Addresses come along with them; node ports are marked as taken once the Services are there.
type allotted struct {
	addresses map[string]bool  // keys of IPAddresses, which the target has not
	ports     map[string][]int // by the keys of the Services, where the target marks ports
}

// marked are the ports, ascending.
func (a allotted) marked() []int {
	return ascending(slices.Concat(slices.Collect(maps.Values(a.ports))...))
}

// allot finds out what is allotted to the Services that the selection has by now.
func (r Restore) allot(ctx context.Context, p *Planned, source etcdwalk.View) error {
	p.allotted = allotted{map[string]bool{}, map[string][]int{}}
	p.rules.Allotted = func(address []byte) bool { return p.allotted.addresses[string(address)] }
	services, err := rangesOf(ctx, p, source, "services")
	if err != nil {
		return err
	}
	sel := p.sel.Within(services)
	if len(sel.Ranges) == 0 {
		return nil
	}
	owners := map[string]string{} // Services, by the keys of the IPAddresses they want
	var batch []etcdwalk.Entry
	for e, err := range r.allowed(ctx, p, source, sel) {
		if err != nil {
			return fmt.Errorf("read the Services of the source: %w", err)
		}
		if batch = append(batch, e.Clone()); len(batch) == watchKeys {
			if err := r.allotTo(ctx, p, batch, owners); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	if err := r.allotTo(ctx, p, batch, owners); err != nil {
		return err
	}
	if err := r.markable(ctx, p); err != nil {
		return err
	}
	return r.addresses(ctx, p, source, owners)
}

// allotTo takes what those Services have that are to be written.
func (r Restore) allotTo(ctx context.Context, p *Planned, services []etcdwalk.Entry, owners map[string]string) error {
	keys := make([][]byte, len(services))
	for i, e := range services {
		keys[i] = e.Key
	}
	found, err := r.Target.Lookup(ctx, keys)
	if err != nil {
		return fmt.Errorf("look which Services the cluster has: %w", err)
	}
	for i, e := range services {
		action := replay.Decide(r.Policy, e, found[i])
		if action != replay.Create && (action != replay.Replace || p.job.Alike(e, *found[i])) {
			continue
		}
		o, err := p.query.Opener().Decode(ctx, e.Key, e.Value)
		if err != nil {
			continue // what it has is not known
		}
		class := p.layout.Classify(e.Key)
		for _, a := range need.Allotments(o) {
			if a.Address != "" {
				owners[string(need.AddressKey(class.Prefix, a.Address))] = id(class)
			} else {
				p.allotted.ports[string(e.Key)] = append(p.allotted.ports[string(e.Key)], a.Port)
			}
		}
	}
	return nil
}

// markable forgets ports where the target marks none: no API server has begun there.
func (r Restore) markable(ctx context.Context, p *Planned) error {
	there := map[string]bool{}
	for service := range p.allotted.ports {
		prefix := p.layout.Classify([]byte(service)).Prefix
		if _, asked := there[prefix]; !asked {
			heads, err := r.Target.Heads(ctx, [][]byte{need.PortsKey(prefix)})
			if err != nil {
				return fmt.Errorf("look which node ports are taken: %w", err)
			}
			there[prefix] = heads[0] != 0
		}
		if !there[prefix] {
			delete(p.allotted.ports, service)
		}
	}
	return nil
}

// addresses takes those IPAddresses of the source that name the very Services which want
// them, and that the target has not.
func (r Restore) addresses(ctx context.Context, p *Planned, source etcdwalk.View, owners map[string]string) error {
	var wanted []etcdwalk.Range
	for key := range owners {
		wanted = append(wanted, etcdwalk.Key([]byte(key)))
	}
	if len(wanted) == 0 {
		return nil
	}
	var keys [][]byte
	for e, err := range source.Walk(ctx, etcdwalk.Selection{Ranges: etcdwalk.Union(wanted...)}) {
		if err != nil {
			return fmt.Errorf("read the IPAddresses of the source: %w", err)
		}
		o, err := p.query.Opener().Decode(ctx, e.Key, e.Value)
		if err != nil {
			continue // whose it is is not known
		}
		class := p.layout.Classify(e.Key)
		if class.Namespace, class.Name = need.AllottedTo(o); owners[string(e.Key)] == id(class) {
			keys = append(keys, bytes.Clone(e.Key))
		}
	}
	heads, err := r.Target.Heads(ctx, keys)
	if err != nil {
		return fmt.Errorf("look which IPAddresses the cluster has: %w", err)
	}
	for i, key := range keys {
		if heads[i] == 0 {
			p.allotted.addresses[string(key)] = true
		}
	}
	return nil
}

// alongside are the IPAddresses that were not selected.
func (r Restore) alongside(ctx context.Context, p *Planned, source etcdwalk.View) ([][]byte, error) {
	var wanted []etcdwalk.Range
	for key := range p.allotted.addresses {
		wanted = append(wanted, etcdwalk.Key([]byte(key)))
	}
	return p.others(ctx, source, etcdwalk.Union(wanted...), func(etcdwalk.Entry) bool { return true })
}

// rangesOf are where objects of a kind lie, under the prefixes of the selection.
func rangesOf(ctx context.Context, p *Planned, view etcdwalk.View, kind string) (etcdwalk.Ranges, error) {
	q, err := kube.Filter{Include: []string{kind}, Prefixes: p.query.Words().Prefixes}.Compile()
	if err != nil {
		return nil, err
	}
	sel, err := q.Resolve(ctx, view)
	return sel.Ranges, err
}
