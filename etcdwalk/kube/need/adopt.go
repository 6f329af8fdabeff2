package need

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// families are the kinds that controllers own, make anew as soon as they miss them, and
// adopt if they find them: by the kinds of their owners. The pods of Jobs are not among
// them: an orphan loses the finalizer by which its Job counts it, which then runs again.
var families = map[string][]string{
	"replicasets.apps":         {"deployments.apps"},
	"controllerrevisions.apps": {"statefulsets.apps", "daemonsets.apps"},
	"pods":                     {"replicasets.apps", "replicationcontrollers", "statefulsets.apps", "daemonsets.apps"},
}

// Adoptable tells whether objects of a kind are written without their owners first, if these
// come back.
func Adoptable(kind string) bool { return families[kind] != nil }

// adopt finds out whether an object comes back together with its controller, into a
// namespace that the target has. Then it goes first, without its owner, who adopts it.
func (j *judgement) adopt(ctx context.Context) (reason string, err error) {
	owners, family := families[j.class.Kind]
	if !family || !j.anew {
		return "", nil
	}
	i := slices.IndexFunc(j.meta.Owners, func(o object.Owner) bool { return o.Controller })
	if i < 0 || !j.Survey.Holds(j.class.Namespace, j.meta.Owners[i]) {
		return "", nil
	}
	owner := j.meta.Owners[i]
	key, err := j.keyOf(ctx, j.class.Prefix, refer(j.class.Namespace, owner))
	if err != nil || key == nil || !slices.Contains(owners, j.Layout.Classify(key).Kind) {
		return "", err
	}
	namespace := []byte(j.class.Prefix + "namespaces/" + j.class.Namespace)
	if err := j.fetch(ctx, [][]byte{key, namespace}); err != nil {
		return "", err
	}
	if j.there(want{any: []candidate{{key: key}}}) || !j.there(want{any: []candidate{{key: namespace}}}) {
		return "", nil // who owns it lives; or nobody can interfere
	}
	if _, err := object.WithoutOwners(j.write.Value); err != nil {
		return "", nil //nolint:nilerr // it is written after its owner, as all else is
	}
	if j.Rules.Binds(kube.Adoption) {
		other, err := j.rival(ctx, owners, owner)
		if err != nil || other != "" {
			return other, err
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.adopted == nil {
		j.adopted = map[string]bool{}
	}
	j.adopted[string(j.write.Key)] = true
	return "", nil
}

// Adopted tells whether the object under a key is to be written without its owner first, as
// far as that is known.
func (c *Checks) Adopted(key []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.adopted[string(key)]
}

// Adoptions are the keys of such objects.
func (c *Checks) Adoptions() etcdwalk.Ranges {
	var keys []etcdwalk.Range
	for key := range c.adopted {
		keys = append(keys, etcdwalk.Key([]byte(key)))
	}
	return etcdwalk.Union(keys...)
}

// A controller is what one selects, in a namespace.
type controller struct {
	name, uid string
	selects   object.Labels
}

// rival says which controller but its owner selects the object.
func (j *judgement) rival(ctx context.Context, kinds []string, owner object.Owner) (string, error) {
	for _, kind := range kinds {
		all, err := j.controllers(ctx, kind)
		if err != nil {
			return "", err
		}
		for _, c := range all {
			if c.uid != owner.UID && c.selects.Match(j.meta) {
				return fmt.Sprintf("%s: %s/%s selects it too, beside its owner %s: it could adopt it first", kube.Adoption, kind, c.name, owner.Name), nil
			}
		}
	}
	return "", nil
}

// controllers are those of a kind in the object's namespace, in the target and in the
// source.
func (j *judgement) controllers(ctx context.Context, kind string) ([]controller, error) {
	k, _ := kube.KindNamed(kind)
	dir, err := j.keyOf(ctx, j.class.Prefix, kube.Reference{Group: k.Group, Kind: k.Kind, Namespace: j.class.Namespace, Name: "x"})
	if err != nil || dir == nil {
		return nil, err
	}
	below := etcdwalk.Prefix(strings.TrimSuffix(string(dir), "x"))
	j.mu.Lock()
	defer j.mu.Unlock()
	if all, known := j.selecting[string(below.Start)]; known {
		return all, nil
	}
	var all []controller
	for _, view := range []etcdwalk.View{j.View, j.Source} {
		for e, err := range view.Walk(ctx, etcdwalk.Selection{Ranges: etcdwalk.Ranges{below}}) {
			if err != nil {
				return nil, fmt.Errorf("look which %s select what is to be adopted: %w", kind, err)
			}
			o, err := j.Opener.Decode(ctx, e.Key, e.Value)
			if err != nil {
				continue
			}
			if selects, some := o.Selects(); some {
				all = append(all, controller{o.Meta.Name, o.Meta.UID, selects})
			}
		}
	}
	if j.selecting == nil {
		j.selecting = map[string][]controller{}
	}
	j.selecting[string(below.Start)] = all
	return all, nil
}
