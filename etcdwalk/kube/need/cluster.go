package need

import (
	"context"
	"fmt"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// sealed says why a value that is sealed at rest must not be written: no value of its kind
// in the target is sealed by the same provider and key, so that its API server may not be
// able to open it, and then cannot list the kind.
func (c *Checks) sealed(ctx context.Context, class etcdwalk.Class, e etcdwalk.Entry) (string, error) {
	encoding := object.EncodingOf(e.Value)
	if !encoding.Encrypted() || !c.Rules.Binds(kube.Sealed) {
		return "", nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	known, looked := c.seals[class.Kind]
	if !looked {
		known = map[string]bool{}
		for have, err := range c.View.Walk(ctx, etcdwalk.Selection{Ranges: etcdwalk.Ranges{class.Range}}) {
			if err != nil {
				return "", fmt.Errorf("look what seals the values of %s: %w", class.Kind, err)
			}
			known[string(object.EncodingOf(have.Value))] = true
		}
		if c.seals == nil {
			c.seals = map[string]map[string]bool{}
		}
		c.seals[class.Kind] = known
	}
	if known[string(encoding)] {
		return "", nil
	}
	return fmt.Sprintf("%s: it is sealed at rest by %s, and no value of %s in the cluster is: is the key in the API server's configuration?", kube.Sealed, encoding.Seal(), class.Kind), nil
}

// service says why a Service must not be written: another has its address or node port.
func (j *judgement) service(ctx context.Context, service field) (string, []want, error) {
	if !j.Rules.Binds(kube.Addresses) {
		return "", nil, nil
	}
	taken, err := j.taken(ctx)
	if err != nil {
		return "", nil, err
	}
	own := j.class.Namespace + "/" + j.class.Name
	for _, address := range addressesOf(service) {
		if other := taken[address]; other != "" && other != own {
			return fmt.Sprintf("%s: service %s has its %s", kube.Addresses, other, address), nil, nil
		}
	}
	return "", nil, nil
}

// taken are the addresses and node ports of all Services of the target, by what they are.
func (j *judgement) taken(ctx context.Context) (map[string]string, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.addresses != nil {
		return j.addresses, nil
	}
	taken := map[string]string{}
	for e, err := range j.View.Walk(ctx, etcdwalk.Selection{Ranges: etcdwalk.Ranges{j.class.Range}}) {
		if err != nil {
			return nil, fmt.Errorf("look which addresses are taken: %w", err)
		}
		o, err := j.Opener.Decode(ctx, e.Key, e.Value)
		if err != nil {
			continue
		}
		class := j.Layout.Classify(e.Key)
		for _, address := range addressesOf(field(o.Tree())) {
			taken[address] = class.Namespace + "/" + class.Name
		}
	}
	j.addresses = taken
	return taken, nil
}

// addressesOf are the addresses and node ports that only one Service may have.
func addressesOf(service field) (all []string) {
	spec := service.in("spec")
	for _, ip := range append(spec.list("clusterIPs"), spec["clusterIP"]) {
		if text, _ := ip.(string); text != "" && text != "None" {
			all = append(all, "address "+text)
		}
	}
	for _, p := range spec.list("ports") {
		port, _ := p.(map[string]any)
		protocol := field(port).text("protocol")
		if number, _ := port["nodePort"].(int64); number > 0 {
			all = append(all, fmt.Sprintf("node port %d/%s", number, protocol))
		}
	}
	if number, _ := spec["healthCheckNodePort"].(int64); number > 0 {
		all = append(all, fmt.Sprintf("health-check node port %d", number))
	}
	return all
}
