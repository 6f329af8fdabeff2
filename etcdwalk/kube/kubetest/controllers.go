package kubetest

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// Controllers look after a store.
type Controllers struct {
	source etcdwalk.Source
	target etcdwalk.Target
	layout *kube.Layout
	random *rand.Rand
	step   int
	since  map[string]int // the step at which an object was first seen without an owner
	made   int            // objects that were made anew, whose UIDs they number
	Acts   map[string]int // what they have done, by controller
}

// New begins controllers of a store.
func New(source etcdwalk.Source, target etcdwalk.Target, seed uint64) (*Controllers, error) {
	layout, err := kube.NewLayout()
	return &Controllers{source: source, target: target, layout: layout, random: rand.New(rand.NewPCG(seed, 7)),
		since: map[string]int{}, Acts: map[string]int{}}, err
}

// An object is one in JSON.
type object struct {
	key      string
	class    etcdwalk.Class
	revision int64
	tree     map[string]any
	uid      string
	owners   []owner
	deleting bool
}

type owner struct {
	Kind, Name, UID string
	Controller      bool
}

// state is the store as a controller sees it.
type state struct {
	all   []*object
	byKey map[string]*object
	byUID map[string]*object
}

func (c *Controllers) look(ctx context.Context) (*state, error) {
	view, err := c.source.Open(ctx, etcdwalk.Newest, etcdwalk.Ranges{etcdwalk.Prefix("/registry/")})
	if err != nil {
		return nil, err
	}
	s := &state{byKey: map[string]*object{}, byUID: map[string]*object{}}
	for e, err := range view.Walk(ctx, etcdwalk.Selection{Ranges: etcdwalk.Ranges{etcdwalk.Prefix("/registry/")}}) {
		if err != nil {
			return nil, err
		}
		o := &object{key: string(e.Key), class: c.layout.Classify(e.Key), revision: e.ModRevision}
		var about struct {
			Metadata struct {
				UID               string
				DeletionTimestamp string
				OwnerReferences   []owner
			}
		}
		if json.Unmarshal(e.Value, &o.tree) != nil || json.Unmarshal(e.Value, &about) != nil {
			continue
		}
		o.uid, o.owners, o.deleting = about.Metadata.UID, about.Metadata.OwnerReferences, about.Metadata.DeletionTimestamp != ""
		s.all, s.byKey[o.key], s.byUID[o.uid] = append(s.all, o), o, o
	}
	return s, nil
}

// Step lets one controller act once, or not.
func (c *Controllers) Step(ctx context.Context) error {
	c.step++
	s, err := c.look(ctx)
	if err != nil {
		return err
	}
	controllers := []func(context.Context, *state) error{c.collect, c.namespaces, c.deployments, c.replicas, c.volumes}
	return controllers[c.random.IntN(len(controllers))](ctx, s)
}

// Settle lets all act until nobody has anything to do.
func (c *Controllers) Settle(ctx context.Context) error {
	for range 20 {
		before := c.acts()
		for range 3 {
			c.step += 10
			s, err := c.look(ctx)
			if err != nil {
				return err
			}
			for _, act := range []func(context.Context, *state) error{c.collect, c.namespaces, c.deployments, c.replicas, c.volumes} {
				if err := act(ctx, s); err != nil {
					return err
				}
			}
		}
		if c.acts() == before {
			return nil
		}
	}
	return fmt.Errorf("the controllers do not come to rest: %v", c.Acts)
}

func (c *Controllers) acts() (n int) {
	for _, some := range c.Acts {
		n += some
	}
	return n
}

// write makes a write; that another was faster is no error.
func (c *Controllers) write(ctx context.Context, who string, w etcdwalk.Write) error {
	r := c.target.Apply(ctx, []etcdwalk.Write{w})[0]
	if r.State == etcdwalk.WriteApplied {
		c.Acts[who]++
	}
	return r.Err
}

func (c *Controllers) remove(ctx context.Context, who string, o *object) error {
	return c.write(ctx, who, etcdwalk.Write{Key: []byte(o.key), Seen: o.revision, Delete: true})
}

func (c *Controllers) put(ctx context.Context, who, key string, seen int64, tree map[string]any) error {
	value, err := json.Marshal(tree)
	if err != nil {
		return err
	}
	return c.write(ctx, who, etcdwalk.Write{Key: []byte(key), Value: value, Seen: seen})
}

// create makes an object with a UID of its own.
func (c *Controllers) create(ctx context.Context, who, apiVersion, kind, key string, more func(about map[string]any), spec map[string]any) error {
	c.made++
	class := c.layout.Classify([]byte(key))
	about := map[string]any{"name": class.Name, "namespace": class.Namespace, "uid": fmt.Sprintf("made-%d", c.made)}
	if more != nil {
		more(about)
	}
	tree := map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": about}
	if spec != nil {
		tree["spec"] = spec
	}
	return c.put(ctx, who, key, 0, tree)
}

// collect deletes what has owners, of which none is there, a while after it was seen so
// (kubernetes: pkg/controller/garbagecollector).
func (c *Controllers) collect(ctx context.Context, s *state) error {
	for _, o := range s.all {
		alone := len(o.owners) > 0
		for _, w := range o.owners {
			is := s.byUID[w.UID]
			if is != nil && is.class.Name == w.Name && (is.class.Namespace == "" || is.class.Namespace == o.class.Namespace) {
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
			return c.remove(ctx, "garbage collector", o)
		}
	}
	return nil
}

// namespaces makes what each namespace has, and empties those that are being deleted
// (kubernetes: pkg/controller/namespace, serviceaccount, certificates/rootcacertpublisher).
func (c *Controllers) namespaces(ctx context.Context, s *state) error {
	for _, ns := range s.all {
		if ns.class.Kind != "namespaces" {
			continue
		}
		if ns.deleting {
			for _, o := range s.all {
				if o.class.Namespace == ns.class.Name {
					return c.remove(ctx, "namespaces", o)
				}
			}
			return c.remove(ctx, "namespaces", ns)
		}
		for kind, key := range map[string]string{"ConfigMap": "/registry/configmaps/" + ns.class.Name + "/kube-root-ca.crt", "ServiceAccount": "/registry/serviceaccounts/" + ns.class.Name + "/default"} {
			if s.byKey[key] == nil {
				return c.create(ctx, "namespaces", "v1", kind, key, nil, nil)
			}
		}
	}
	return nil
}

// controls makes that a controller owns one object of a kind: it adopts those that have its
// labels and no controller, makes one if there is none, called as it is itself with a
// suffix, and deletes what is too much. In a namespace that is not there it can make
// nothing.
func (c *Controllers) controls(ctx context.Context, s *state, who string, o *object, apiVersion, kind, path, suffix string) error {
	if s.byKey["/registry/namespaces/"+o.class.Namespace] == nil || o.deleting {
		return nil
	}
	app := fmt.Sprint(labelsOf(o.tree)["app"])
	dir := "/registry/" + path + "/" + o.class.Namespace + "/"
	var own []*object
	for _, have := range s.all {
		if !strings.HasPrefix(have.key, dir) || fmt.Sprint(labelsOf(have.tree)["app"]) != app {
			continue
		}
		i := slices.IndexFunc(have.owners, func(w owner) bool { return w.Controller })
		if i < 0 {
			about, _ := have.tree["metadata"].(map[string]any)
			about["ownerReferences"] = []any{c.reference(o)}
			return c.put(ctx, who, have.key, have.revision, have.tree)
		}
		if have.owners[i].UID == o.uid {
			own = append(own, have)
		}
	}
	switch {
	case len(own) == 0:
		return c.create(ctx, who, apiVersion, kind, dir+o.class.Name+suffix, func(about map[string]any) {
			about["labels"], about["ownerReferences"] = map[string]any{"app": app}, []any{c.reference(o)}
		}, map[string]any{"replicas": 1})
	case len(own) > 1:
		return c.remove(ctx, who, own[c.random.IntN(len(own))])
	}
	return nil
}

func (c *Controllers) reference(o *object) map[string]any {
	return map[string]any{"apiVersion": o.tree["apiVersion"], "kind": o.tree["kind"], "name": o.class.Name, "uid": o.uid, "controller": true}
}

func labelsOf(tree map[string]any) map[string]any {
	about, _ := tree["metadata"].(map[string]any)
	labels, _ := about["labels"].(map[string]any)
	return labels
}

// deployments gives each Deployment one ReplicaSet (kubernetes: pkg/controller/deployment).
func (c *Controllers) deployments(ctx context.Context, s *state) error {
	return c.each(s, "deployments.apps", func(o *object) error {
		return c.controls(ctx, s, "deployments", o, "apps/v1", "ReplicaSet", "replicasets", "-1") // the hash of its template
	})
}

// replicas gives each ReplicaSet its pods (kubernetes: pkg/controller/replicaset).
func (c *Controllers) replicas(ctx context.Context, s *state) error {
	return c.each(s, "replicasets.apps", func(o *object) error {
		return c.controls(ctx, s, "replicasets", o, "v1", "Pod", "pods", fmt.Sprintf("-new%d", c.made))
	})
}

// each calls f with the objects of a kind, until one has been acted upon.
func (c *Controllers) each(s *state, kind string, f func(o *object) error) error {
	for _, o := range s.all {
		before := c.acts()
		if o.class.Kind != kind {
			continue
		}
		if err := f(o); err != nil || c.acts() != before {
			return err
		}
	}
	return nil
}

// volumes deletes volumes whose claim is gone, and their disks (kubernetes:
// pkg/controller/volume/persistentvolume).
func (c *Controllers) volumes(ctx context.Context, s *state) error {
	return c.each(s, "persistentvolumes", func(o *object) error {
		spec, _ := o.tree["spec"].(map[string]any)
		ref, _ := spec["claimRef"].(map[string]any)
		claim := s.byKey[fmt.Sprintf("/registry/persistentvolumeclaims/%s/%s", ref["namespace"], ref["name"])]
		if len(ref) == 0 || spec["persistentVolumeReclaimPolicy"] != "Delete" || claim != nil && claim.uid == ref["uid"] {
			return nil
		}
		return c.remove(ctx, "volumes", o)
	})
}
