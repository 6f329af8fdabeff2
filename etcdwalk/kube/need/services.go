package need

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// An Allotment is what the API servers allot to one Service alone: an address, or a port of
// the nodes, which is one whatever its protocol.
type Allotment struct {
	Address string // as its IPAddress is called; empty: a port
	Port    int
}

// Allotments are those of a Service.
func Allotments(service *object.Object) []Allotment {
	var all []Allotment
	for _, a := range allotments(field(service.Tree())) {
		all = append(all, a.Allotment)
	}
	return all
}

// allotment is one with its name for people.
type allotment struct {
	Allotment
	name string
}

func allotments(service field) (all []allotment) {
	spec, seen := service.in("spec"), map[string]bool{}
	for _, ip := range append(spec.list("clusterIPs"), spec["clusterIP"]) {
		text, _ := ip.(string)
		address, err := netip.ParseAddr(text)
		if err != nil { // a headless one, or one of a name
			continue
		}
		if text = address.Unmap().String(); !seen[text] {
			seen[text] = true
			all = append(all, allotment{Allotment{Address: text}, "address " + text})
		}
	}
	for _, p := range spec.list("ports") {
		port, _ := p.(map[string]any)
		if number, _ := port["nodePort"].(int64); number > 0 {
			all = append(all, allotment{Allotment{Port: int(number)}, fmt.Sprintf("node port %d/%s", number, field(port).text("protocol"))})
		}
	}
	if number, _ := spec["healthCheckNodePort"].(int64); number > 0 {
		all = append(all, allotment{Allotment{Port: int(number)}, fmt.Sprintf("health-check node port %d", number)})
	}
	return all
}

// AllottedTo is the namespace and name of the Service that an IPAddress belongs to; empty:
// it belongs to none.
func AllottedTo(address *object.Object) (namespace, name string) {
	parent := field(address.Tree()).in("spec", "parentRef")
	if parent.text("group") != "" || parent.text("resource") != "services" {
		return "", ""
	}
	return parent.text("namespace"), parent.text("name")
}

// AddressKind is the kind of IPAddresses.
const AddressKind = "ipaddresses.networking.k8s.io"

// AddressKey is the key of the IPAddress of an address, under a prefix.
func AddressKey(prefix, address string) []byte { return []byte(prefix + "ipaddresses/" + address) }

// PortsKey is the key of the bitmap of the node ports that are taken, under a prefix.
func PortsKey(prefix string) []byte { return []byte(prefix + "ranges/servicenodeports") }

// service says why a Service must not be written: another has its address or node port, or
// its node port is none of those that this cluster has.
func (j *judgement) service(ctx context.Context, service field) (string, []want, error) {
	if !j.Rules.Binds(kube.Addresses) {
		return "", nil, nil
	}
	taken, err := j.taken(ctx)
	if err != nil {
		return "", nil, err
	}
	own := j.class.Namespace + "/" + j.class.Name
	for _, a := range allotments(service) {
		if other, is := taken[a.Allotment]; is && other.service != own {
			return fmt.Sprintf("%s: %s has its %s", kube.Addresses, other.name, a.name), nil, nil
		}
		if a.Port == 0 {
			continue
		}
		if reason, err := j.beyond(ctx, a); reason != "" || err != nil {
			return reason, nil, err
		}
	}
	return "", nil, nil
}

// A tenant is who has an address or a node port.
type tenant struct {
	service string // namespace and name; empty: no Service has it
	name    string // for people
}

// taken are the addresses and node ports of all Services of the target, and the addresses
// that its IPAddresses give to anybody.
func (j *judgement) taken(ctx context.Context) (map[Allotment]tenant, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.allotted != nil {
		return j.allotted, nil
	}
	taken, err := j.tenants(ctx, j.class.Prefix, func([]byte, string) {})
	if err != nil {
		return nil, err
	}
	j.allotted = taken
	return taken, nil
}

// tenants finds out who has what under a prefix, and tells of each Service that has what
// another has too: by its key, and in words.
func (c *Checks) tenants(ctx context.Context, prefix string, twice func(service []byte, what string)) (map[Allotment]tenant, error) {
	taken, keys := map[Allotment]tenant{}, map[Allotment][]byte{}
	each := func(r etcdwalk.Range, take func([]byte, etcdwalk.Class, *object.Object)) error {
		for e, err := range c.View.Walk(ctx, etcdwalk.Selection{Ranges: etcdwalk.Ranges{r}}) {
			if err != nil {
				return fmt.Errorf("look which addresses are taken: %w", err)
			}
			if o, err := c.Opener.Decode(ctx, e.Key, e.Value); err == nil {
				take(e.Key, c.Layout.Classify(e.Key), o)
			}
		}
		return nil
	}
	err := each(etcdwalk.Prefix(prefix+"services/specs/"), func(key []byte, class etcdwalk.Class, o *object.Object) {
		id := class.Namespace + "/" + class.Name
		for _, a := range allotments(field(o.Tree())) {
			if other, is := taken[a.Allotment]; is && other.service != id {
				twice(key, other.name+" has its "+a.name)
			}
			taken[a.Allotment], keys[a.Allotment] = tenant{id, "service " + id}, bytes.Clone(key)
		}
	})
	if err != nil {
		return nil, err
	}
	err = each(etcdwalk.Prefix(string(AddressKey(prefix, ""))), func(_ []byte, class etcdwalk.Class, o *object.Object) {
		a := Allotment{Address: class.Name}
		parent := field(o.Tree()).in("spec", "parentRef")
		t := tenant{name: fmt.Sprintf("by its IPAddress %s %s/%s", parent.text("resource"), parent.text("namespace"), parent.text("name"))}
		if namespace, name := AllottedTo(o); name != "" {
			t.service = namespace + "/" + name
		}
		switch has, is := taken[a]; {
		case !is:
			taken[a] = t
		case has.service != t.service:
			twice(keys[a], t.name+" has its address "+class.Name)
		}
	})
	return taken, err
}

// Twice tells of each Service under a prefix that has an address or a node port that another
// has too: by its key, and in words.
func (c *Checks) Twice(ctx context.Context, prefix string, tell func(service []byte, what string)) error {
	_, err := c.tenants(ctx, prefix, tell)
	return err
}

// beyond says that a node port is none of the target's, or that these are others than they
// were. What cannot be read has none that are known.
func (j *judgement) beyond(ctx context.Context, port allotment) (string, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	have, err := j.ports(ctx, true)
	if err != nil || have == (nodePorts{}) {
		return "", err
	}
	was, err := j.ports(ctx, false)
	switch {
	case err != nil:
		return "", err
	case was != (nodePorts{}) && was != have:
		return fmt.Sprintf("%s: it has %s, and the node ports of the cluster are %s, which were %s", kube.Addresses, port.name, have, was), nil
	case port.Port < have.first || port.Port > have.last:
		return fmt.Sprintf("%s: its %s is none of the cluster's node ports, %s", kube.Addresses, port.name, have), nil
	}
	return "", nil
}

// nodePorts are those that there are; the zero value: none are known.
type nodePorts struct{ first, last int }

func (p nodePorts) String() string { return fmt.Sprintf("%d-%d", p.first, p.last) }

// A bitmap says where one of node ports is: in the target or in the source, under a prefix.
type bitmap struct {
	target bool
	prefix string
}

// ports are the node ports of the target or of the source, under the prefix of what is
// judged.
func (j *judgement) ports(ctx context.Context, target bool) (ports nodePorts, err error) {
	at, view := bitmap{target, j.class.Prefix}, j.Source
	if target {
		view = j.View
	}
	if known, looked := j.bitmaps[at]; looked {
		return known, nil
	}
	for e, err := range view.Walk(ctx, etcdwalk.Selection{Ranges: etcdwalk.Ranges{etcdwalk.Key(PortsKey(at.prefix))}}) {
		if err != nil {
			return ports, fmt.Errorf("look which node ports there are: %w", err)
		}
		if first, last, err := j.Opener.NodePorts(ctx, e.Key, e.Value); err == nil { // else none are known
			ports = nodePorts{first, last}
		}
	}
	if j.bitmaps == nil {
		j.bitmaps = map[bitmap]nodePorts{}
	}
	j.bitmaps[at] = ports
	return ports, nil
}
