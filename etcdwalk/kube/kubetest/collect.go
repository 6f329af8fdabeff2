package kubetest

import (
	"context"
	"slices"
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// collect deletes what has owners, of which none is there, a while after it was seen so
// (kubernetes: pkg/controller/garbagecollector).
func (c *Controllers) collect(ctx context.Context, s *state) error {
	for _, o := range s.all {
		alone := len(o.Meta.Owners) > 0 && !o.Meta.Deleting
		for _, w := range o.Meta.Owners {
			is := s.byUID[w.UID]
			if is != nil && is.Meta.Kind == w.Kind && is.Meta.Name == w.Name && (is.class.Namespace == "" || is.class.Namespace == o.class.Namespace) {
				alone = false
			}
		}
		if !alone {
			delete(c.since, o.key)
			continue
		}
		if _, known := c.since[o.key]; !known {
			c.since[o.key] = c.step + c.random.IntN(4)
		}
		if c.step >= c.since[o.key] {
			delete(c.since, o.key)
			return c.remove(ctx, "garbage collector", s, o)
		}
	}
	return nil
}

// namespaces makes what each namespace has, and empties those that are being deleted
// (kubernetes: pkg/controller/namespace, serviceaccount, certificates/rootcacertpublisher).
func (c *Controllers) namespaces(ctx context.Context, s *state) error {
	const who = "namespaces"
	return c.each(s, "namespaces", func(ns *item) error {
		if ns.Meta.Deleting {
			return c.empty(ctx, s, ns)
		}
		name := ns.Meta.Name
		for _, t := range []thing{
			{apiVersion: "v1", kind: "ConfigMap", key: registry + "configmaps/" + name + "/kube-root-ca.crt"},
			{apiVersion: "v1", kind: "ServiceAccount", key: registry + "serviceaccounts/" + name + "/default"},
		} {
			if s.byKey[t.key] == nil {
				return c.create(ctx, who, s, t)
			}
		}
		return nil
	})
}

// empty deletes all objects of one kind in a namespace, or in the end the namespace.
func (c *Controllers) empty(ctx context.Context, s *state, ns *item) error {
	const who = "namespaces"
	kind, left := "", false
	for _, o := range s.all {
		if o.class.Namespace != ns.Meta.Name {
			continue
		}
		left = true
		if o.Meta.Deleting || kind != "" && o.class.Kind != kind {
			continue
		}
		kind = o.class.Kind
		if err := c.remove(ctx, who, s, o); err != nil {
			return err
		}
	}
	if left { // it waits for those that have finalizers
		return nil
	}
	return c.write(ctx, who, etcdwalk.Write{Key: []byte(ns.key), Seen: ns.revision, Delete: true})
}

// tokens deletes token Secrets whose account is gone (kubernetes:
// pkg/controller/serviceaccount/tokens_controller.go).
func (c *Controllers) tokens(ctx context.Context, s *state) error {
	return c.each(s, "secrets", func(o *item) error {
		if o.text("type") != "kubernetes.io/service-account-token" {
			return nil
		}
		account := s.byKey[registry+"serviceaccounts/"+o.class.Namespace+"/"+o.text("metadata", "annotations", "kubernetes.io/service-account.name")]
		if account != nil && account.Meta.UID == o.text("metadata", "annotations", "kubernetes.io/service-account.uid") {
			return nil
		}
		return c.remove(ctx, "tokens", s, o)
	})
}

// definitions deletes the custom resources of a definition that is being deleted, and then
// itself (apiextensions: pkg/controller/finalizer/crd_finalizer.go).
func (c *Controllers) definitions(ctx context.Context, s *state) error {
	return c.each(s, "customresourcedefinitions.apiextensions.k8s.io", func(o *item) error {
		if !o.Meta.Deleting {
			return nil
		}
		for _, r := range s.ofKind[o.Meta.Name] {
			if err := c.remove(ctx, "definitions", s, r); err != nil {
				return err
			}
		}
		if len(s.ofKind[o.Meta.Name]) > 0 {
			return nil
		}
		return c.unfinalise(ctx, "definitions", o, cleanup)
	})
}

// apiServices makes an APIService for each version of a group that definitions serve, and
// deletes those that nobody serves any more (kubernetes: pkg/controlplane/controller/crdregistration).
func (c *Controllers) apiServices(ctx context.Context, s *state) error {
	const who, dir = "API services", registry + "apiregistration.k8s.io/apiservices/"
	served := map[string]bool{}
	for _, o := range s.ofKind["customresourcedefinitions.apiextensions.k8s.io"] {
		versions, _ := o.at("spec", "versions").([]any)
		for _, v := range versions {
			version, _ := v.(map[string]any)
			name, _ := version["name"].(string)
			group := o.text("spec", "group")
			key := dir + name + "." + group
			if version["served"] != true {
				continue
			}
			served[key] = true
			if s.byKey[key] == nil && !o.Meta.Deleting {
				return c.create(ctx, who, s, thing{apiVersion: "apiregistration.k8s.io/v1", kind: "APIService", key: key,
					labels: map[string]any{"kube-aggregator.kubernetes.io/automanaged": "true"},
					more:   map[string]any{"spec": map[string]any{"group": group, "version": name, "groupPriorityMinimum": 1000, "versionPriority": 100}}})
			}
		}
	}
	for _, o := range s.ofKind["apiservices.apiregistration.k8s.io"] {
		if o.Meta.Labels["kube-aggregator.kubernetes.io/automanaged"] == "true" && !served[o.key] && strings.HasPrefix(o.key, dir) {
			return c.remove(ctx, who, s, o)
		}
	}
	return nil
}

// kubelets ends pods that are being deleted.
func (c *Controllers) kubelets(ctx context.Context, s *state) error {
	return c.each(s, "pods", func(o *item) error {
		if !o.Meta.Deleting || len(o.Meta.Finalizers) > 0 {
			return nil
		}
		return c.write(ctx, "kubelets", etcdwalk.Write{Key: []byte(o.key), Seen: o.revision, Delete: true})
	})
}

// using tells whether a pod uses a claim.
func using(s *state, claim *item) bool {
	return slices.ContainsFunc(s.ofKind["pods"], func(pod *item) bool {
		volumes, _ := pod.at("spec", "volumes").([]any)
		return pod.class.Namespace == claim.class.Namespace && slices.ContainsFunc(volumes, func(v any) bool {
			volume, _ := v.(map[string]any)
			return at(volume, "persistentVolumeClaim", "claimName") == claim.Meta.Name
		})
	})
}
