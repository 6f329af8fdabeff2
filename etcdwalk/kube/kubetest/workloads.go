package kubetest

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
)

// hash is the label that tells the ReplicaSets of one Deployment apart.
const hash = "pod-template-hash"

// own are the objects of a kind that a controller has. One that it selects, and that nobody
// controls, it adopts; then, as when it is not to act at all, there is nothing more to do.
func (c *Controllers) own(ctx context.Context, s *state, who string, o *item, kind string) (own []*item, more bool, err error) {
	selects, some := o.Selects()
	if !some || o.Meta.Deleting || !s.alive(o.class.Namespace) {
		return nil, false, nil
	}
	for _, have := range s.ofKind[kind] {
		if have.class.Namespace != o.class.Namespace {
			continue
		}
		switch {
		case have.controller() == o.Meta.UID:
			own = append(own, have)
		case have.controller() == "" && !have.Meta.Deleting && selects.Match(have.Meta):
			tree, about := have.changed()
			about["ownerReferences"] = []any{o.reference()}
			return nil, false, c.put(ctx, who, have, tree)
		}
	}
	return own, true, nil
}

// template is what a controller makes its pods by, and what more their labels say.
func template(o *item, labels map[string]any) map[string]any {
	from, _ := o.at("spec", "template").(map[string]any)
	made := runtime.DeepCopyJSON(from)
	if made == nil {
		made = map[string]any{}
	}
	about, _ := made["metadata"].(map[string]any)
	if about == nil {
		about = map[string]any{"labels": map[string]any{}}
	}
	has, _ := about["labels"].(map[string]any)
	if has == nil { // that of no pod, in a small test
		has, _ = runtime.DeepCopyJSON(o.Tree())["metadata"].(map[string]any)["labels"].(map[string]any)
	}
	if has == nil {
		has = map[string]any{}
	}
	maps.Copy(has, labels)
	about["labels"], made["metadata"] = has, about
	return made
}

// deployments gives each Deployment one ReplicaSet of its template; those of others are the
// older ones, which are left (kubernetes: pkg/controller/deployment).
func (c *Controllers) deployments(ctx context.Context, s *state) error {
	const who = "deployments"
	return c.each(s, "deployments.apps", func(o *item) error {
		own, more, err := c.own(ctx, s, who, o, "replicasets.apps")
		if err != nil || !more {
			return err
		}
		plain := func(of *item) any {
			t := template(of, nil)
			labels, _ := at(t, "metadata", "labels").(map[string]any)
			delete(labels, hash)
			return t
		}
		own = slices.DeleteFunc(own, func(rs *item) bool { return !reflect.DeepEqual(plain(rs), plain(o)) })
		switch {
		case len(own) > 1:
			return c.remove(ctx, who, s, own[c.random.IntN(len(own))])
		case len(own) == 1:
			return nil
		}
		suffix := c.another()
		name := map[string]any{hash: suffix}
		t := template(o, name)
		labels, _ := at(t, "metadata", "labels").(map[string]any)
		selector, _ := o.at("spec", "selector").(map[string]any)
		selector = runtime.DeepCopyJSON(selector)
		if match, _ := selector["matchLabels"].(map[string]any); match != nil {
			maps.Copy(match, name)
		}
		return c.create(ctx, who, s, thing{apiVersion: "apps/v1", kind: "ReplicaSet", owner: o,
			key:    registry + "replicasets/" + o.class.Namespace + "/" + o.Meta.Name + "-" + suffix,
			labels: labels,
			more:   map[string]any{"spec": map[string]any{"replicas": int64(o.number(1, "spec", "replicas")), "selector": selector, "template": t}}})
	})
}

// replicas gives each ReplicaSet and ReplicationController as many pods as it says
// (kubernetes: pkg/controller/replicaset).
func (c *Controllers) replicas(ctx context.Context, s *state) error {
	before := c.acts()
	for _, kind := range []string{"replicasets.apps", "replicationcontrollers"} {
		err := c.each(s, kind, func(o *item) error {
			return c.count(ctx, s, "replicasets", o, o.number(1, "spec", "replicas"))
		})
		if err != nil || c.acts() != before {
			return err
		}
	}
	return nil
}

// daemonSets gives each DaemonSet a pod a node, and a record of its template (kubernetes:
// pkg/controller/daemon).
func (c *Controllers) daemonSets(ctx context.Context, s *state) error {
	const who = "daemonsets"
	return c.each(s, "daemonsets.apps", func(o *item) error {
		if acted, err := c.record(ctx, s, who, o); acted || err != nil {
			return err
		}
		return c.count(ctx, s, who, o, len(s.ofKind["nodes"]))
	})
}

// count makes that a controller has so many pods that run, or may.
func (c *Controllers) count(ctx context.Context, s *state, who string, o *item, wanted int) error {
	own, more, err := c.own(ctx, s, who, o, "pods")
	if err != nil || !more {
		return err
	}
	own = slices.DeleteFunc(own, func(pod *item) bool { return !active(pod) })
	switch {
	case len(own) < wanted:
		return c.pod(ctx, s, who, o, o.Meta.Name+"-"+c.another(), nil)
	case len(own) > wanted:
		return c.remove(ctx, who, s, own[c.random.IntN(len(own))])
	}
	return nil
}

// active tells whether a pod counts for its controller.
func active(pod *item) bool {
	phase := pod.text("status", "phase")
	return !pod.Meta.Deleting && phase != "Succeeded" && phase != "Failed"
}

// pod makes a pod of a controller.
func (c *Controllers) pod(ctx context.Context, s *state, who string, o *item, name string, volumes []any) error {
	t := template(o, nil)
	spec, _ := t["spec"].(map[string]any)
	if spec == nil {
		spec = map[string]any{}
	}
	has, _ := spec["volumes"].([]any)
	spec["volumes"] = append(has, volumes...)
	labels, _ := at(t, "metadata", "labels").(map[string]any)
	return c.create(ctx, who, s, thing{apiVersion: "v1", kind: "Pod", owner: o, labels: labels,
		key: registry + "pods/" + o.class.Namespace + "/" + name, more: map[string]any{"spec": spec, "status": map[string]any{"phase": "Pending"}}})
}

// record makes that a controller has a record of its template.
func (c *Controllers) record(ctx context.Context, s *state, who string, o *item) (acted bool, err error) {
	before := c.acts()
	own, more, err := c.own(ctx, s, who, o, "controllerrevisions.apps")
	if err != nil || !more || len(own) > 0 {
		return c.acts() != before, err
	}
	labels, _ := at(template(o, nil), "metadata", "labels").(map[string]any)
	err = c.create(ctx, who, s, thing{apiVersion: "apps/v1", kind: "ControllerRevision", owner: o, labels: labels,
		key:  registry + "controllerrevisions/" + o.class.Namespace + "/" + o.Meta.Name + "-" + c.another(),
		more: map[string]any{"revision": int64(1), "data": map[string]any{}}})
	return c.acts() != before, err
}

// statefulSets gives each StatefulSet its pods by number, with their claims, and a record of
// its template (kubernetes: pkg/controller/statefulset).
func (c *Controllers) statefulSets(ctx context.Context, s *state) error {
	const who = "statefulsets"
	return c.each(s, "statefulsets.apps", func(o *item) error {
		if acted, err := c.record(ctx, s, who, o); acted || err != nil {
			return err
		}
		own, more, err := c.own(ctx, s, who, o, "pods")
		if err != nil || !more {
			return err
		}
		wanted := map[string]bool{}
		for i := range o.number(1, "spec", "replicas") {
			name := fmt.Sprintf("%s-%d", o.Meta.Name, i)
			wanted[name] = true
			if s.byKey[registry+"pods/"+o.class.Namespace+"/"+name] != nil {
				continue
			}
			before := c.acts()
			volumes, err := c.claimsOf(ctx, s, o, name)
			if err != nil || c.acts() != before {
				return err
			}
			return c.pod(ctx, s, who, o, name, volumes)
		}
		for _, pod := range own {
			if !wanted[pod.Meta.Name] {
				return c.remove(ctx, who, s, pod)
			}
		}
		return nil
	})
}

// claimsOf makes the claims of a pod of a StatefulSet that are not there, and tells of all
// as its volumes.
func (c *Controllers) claimsOf(ctx context.Context, s *state, o *item, pod string) (volumes []any, err error) {
	templates, _ := o.at("spec", "volumeClaimTemplates").([]any)
	for _, t := range templates {
		claim, _ := t.(map[string]any)
		volume, _ := at(claim, "metadata", "name").(string)
		name := volume + "-" + pod
		volumes = append(volumes, map[string]any{"name": volume, "persistentVolumeClaim": map[string]any{"claimName": name}})
		err := c.create(ctx, "statefulsets", s, thing{apiVersion: "v1", kind: "PersistentVolumeClaim",
			key: registry + "persistentvolumeclaims/" + o.class.Namespace + "/" + name, more: map[string]any{"spec": claim["spec"], "status": map[string]any{"phase": "Pending"}}})
		if err != nil {
			return nil, err
		}
	}
	return volumes, nil
}

// jobs gives each Job that has not ended its pods (kubernetes: pkg/controller/job). It adopts
// nothing: its pods have a finalizer to be counted by.
func (c *Controllers) jobs(ctx context.Context, s *state) error {
	return c.each(s, "jobs.batch", func(o *item) error {
		if o.text("status", "completionTime") != "" || o.at("spec", "suspend") == true || o.Meta.Deleting {
			return nil
		}
		for _, pod := range s.ofKind["pods"] {
			if pod.controller() == o.Meta.UID && strings.HasPrefix(pod.key, registry+"pods/"+o.class.Namespace+"/") {
				return nil
			}
		}
		return c.pod(ctx, s, "jobs", o, o.Meta.Name+"-"+c.another(), nil)
	})
}
