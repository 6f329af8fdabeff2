package kubetest

import (
	"context"
	"encoding/base64"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

const (
	managed    = "endpoints.kubernetes.io/managed-by"
	addressDir = registry + "ipaddresses/"
)

// endpoints makes Endpoints and EndpointSlices for Services with a selector, slices for
// Endpoints that somebody made, and deletes Endpoints whose Service is gone (kubernetes:
// pkg/controller/endpoint, endpointslice, endpointslicemirroring).
func (c *Controllers) endpoints(ctx context.Context, s *state) error {
	const who = "endpoints"
	sliced := map[string]bool{} // by the UID of whose they are
	for _, o := range s.ofKind["endpointslices.discovery.k8s.io"] {
		sliced[o.controller()] = true
	}
	slice := func(of *item) error {
		if sliced[of.Meta.UID] || of.Meta.Deleting {
			return nil
		}
		name := of.Meta.Name
		return c.create(ctx, who, s, thing{apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", owner: of,
			key:    registry + "endpointslices/" + of.class.Namespace + "/" + name + "-" + c.another(),
			labels: map[string]any{"kubernetes.io/service-name": name}, more: map[string]any{"addressType": "IPv4", "endpoints": []any{}}})
	}
	before := c.acts()
	err := c.each(s, "services", func(o *item) error {
		if o.at("spec", "selector") == nil || o.text("spec", "type") == "ExternalName" {
			return nil
		}
		key := registry + "services/endpoints/" + o.class.Namespace + "/" + o.Meta.Name
		if s.byKey[key] == nil {
			return c.create(ctx, who, s, thing{apiVersion: "v1", kind: "Endpoints", key: key, labels: map[string]any{managed: "endpoint-controller"}})
		}
		return slice(o)
	})
	if err != nil || c.acts() != before {
		return err
	}
	return c.each(s, "endpoints", func(o *item) error {
		service := s.byKey[registry+"services/specs/"+o.class.Namespace+"/"+o.Meta.Name]
		switch {
		case o.Meta.Labels[managed] != "" && service == nil:
			return c.remove(ctx, who, s, o)
		case o.Meta.Labels[managed] == "" && service != nil && o.class.Namespace != "default":
			return slice(o)
		}
		return nil
	})
}

// allocations notes the addresses and node ports of Services that are not noted, as the
// repair loops of the API server do (kubernetes: pkg/registry/core/service/ipallocator,
// portallocator).
func (c *Controllers) allocations(ctx context.Context, s *state) error {
	const who = "allocations"
	var ports []int64
	before := c.acts()
	err := c.each(s, "services", func(o *item) error {
		ports = append(ports, nodePorts(o)...)
		for _, ip := range addresses(o) {
			if s.byKey[addressDir+ip] == nil {
				return c.create(ctx, who, s, thing{apiVersion: "networking.k8s.io/v1", kind: "IPAddress", key: addressDir + ip,
					more: map[string]any{"spec": map[string]any{"parentRef": map[string]any{"resource": "services", "namespace": o.class.Namespace, "name": o.Meta.Name}}}})
			}
		}
		return nil
	})
	if err != nil || c.acts() != before {
		return err
	}
	return c.mark(ctx, who, s, ports, 1)
}

// free gives back what a Service had that is deleted: the API server does so at once.
func (c *Controllers) free(ctx context.Context, s *state, service *item) error {
	for _, ip := range addresses(service) {
		if o := s.byKey[addressDir+ip]; o != nil {
			if err := c.remove(ctx, "allocations", s, o); err != nil {
				return err
			}
		}
	}
	if len(nodePorts(service)) == 0 {
		return nil
	}
	now, err := c.look(ctx) // another Service may have been deleted with it
	if err != nil {
		return err
	}
	return c.mark(ctx, "allocations", now, nodePorts(service), 0)
}

// mark notes in the map of node ports that some are taken, or are not.
func (c *Controllers) mark(ctx context.Context, who string, s *state, ports []int64, taken uint) error {
	o := s.byKey[registry+"ranges/servicenodeports"]
	if o == nil {
		return nil
	}
	low, _, _ := strings.Cut(o.text("range"), "-")
	first, err := strconv.ParseInt(low, 10, 64)
	if err != nil {
		return err
	}
	stored, err := base64.StdEncoding.DecodeString(o.text("data"))
	if err != nil {
		return err
	}
	was := new(big.Int).SetBytes(stored)
	bits := new(big.Int).Set(was)
	for _, port := range ports {
		bits.SetBit(bits, int(port-first), taken)
	}
	if bits.Cmp(was) == 0 {
		return nil
	}
	tree, _ := o.changed()
	tree["data"] = base64.StdEncoding.EncodeToString(bits.Bytes())
	return c.put(ctx, who, o, tree)
}

// addresses are those that a Service has in the cluster.
func addresses(service *item) (all []string) {
	ips, _ := service.at("spec", "clusterIPs").([]any)
	for _, one := range append(ips, service.at("spec", "clusterIP")) {
		if ip, _ := one.(string); ip != "" && ip != "None" && !slices.Contains(all, ip) {
			all = append(all, ip)
		}
	}
	return all
}

func nodePorts(service *item) (all []int64) {
	ports, _ := service.at("spec", "ports").([]any)
	for _, p := range ports {
		port, _ := p.(map[string]any)
		if n, _ := port["nodePort"].(int64); n > 0 {
			all = append(all, n)
		}
	}
	if n, _ := service.at("spec", "healthCheckNodePort").(int64); n > 0 {
		all = append(all, n)
	}
	return all
}
