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

// judgement is an object before its judge.
type judgement struct {
	*Checks
	write etcdwalk.Write
	class etcdwalk.Class
	meta  object.Meta
	known bool // the metadata could be read
	anew  bool // the target does not hold it

	reason string // why it must not be written
	wants  []want // what it needs; of that, in the end, what is missing
}

// judge says why a write must not be made, or what its object needs.
func (c *Checks) judge(ctx context.Context, w etcdwalk.Write) (*judgement, error) {
	j := &judgement{Checks: c, write: w, class: c.Layout.Classify(w.Key), anew: w.Seen == 0}
	e := etcdwalk.Entry{Key: w.Key, Value: w.Value}
	if j.class.Name == "" {
		return j, nil
	}
	var err error
	if j.reason, err = c.sealed(ctx, j.class, e); j.reason != "" || err != nil {
		return j, err
	}
	if j.meta, err = c.Opener.Read(ctx, e.Key, e.Value); err != nil {
		c.mu.Lock()
		c.unknown++
		c.mu.Unlock()
		j.wants, err = j.places(ctx)
		return j, err
	}
	j.known = true
	if c.Rules.Binds(kube.Deleting) && j.meta.Deleting {
		j.reason = kube.Deleting + ": it has a deletionTimestamp, and would be deleted at once"
		return j, nil
	}
	if owner := j.operator(); owner != "" {
		j.reason = kube.Operators + ": " + owner + " controls it, whose operator may be running: stop or pause that first"
		return j, nil
	}
	if j.reason, err = j.version(ctx); j.reason != "" || err != nil {
		return j, err
	}
	if j.wants, err = j.places(ctx); err != nil {
		return j, err
	}
	if j.wants, err = j.owners(ctx, j.wants); err != nil {
		return j, err
	}
	if j.wants, err = j.eachOwner(ctx, j.wants); err != nil {
		return j, err
	}
	var own []want
	j.reason, own, err = j.kind(ctx, e)
	j.wants = append(j.wants, own...)
	return j, err
}

// places are the namespace that the object lies in, and the definition of its kind.
func (j *judgement) places(ctx context.Context) (wants []want, err error) {
	if ns := j.class.Namespace; ns != "" && !j.Selected("namespaces", ns) {
		wants = append(wants, want{rule: kube.Closure, any: homes(j.Layout, j.class), namespace: ns,
			miss: fmt.Sprintf("namespace %s is not in the cluster and not selected; --with-owners takes it along", ns)})
	}
	if j.Selected(definitions, j.class.Kind) || !j.Rules.Binds(kube.Closure) {
		return wants, nil
	}
	key, err := j.definitionOf(ctx, j.class)
	if key != nil {
		wants = append(wants, want{rule: kube.Closure, any: []candidate{{key: key}},
			miss: fmt.Sprintf("the definition %s is not in the cluster and not selected: nobody could see the object; --with-owners takes it along", j.class.Kind)})
	}
	return wants, err
}

// homes are the Namespaces of which one suffices for an object to lie in.
func homes(layout *kube.Layout, class etcdwalk.Class) (all []candidate) {
	for _, key := range layout.Homes(class) {
		all = append(all, candidate{key: key})
	}
	return all
}

// Unhoused tells whether the target has no Namespace that an object of it lies in. One that is
// being deleted is there still, and takes the object with it.
func (c *Checks) Unhoused(ctx context.Context, class etcdwalk.Class) (bool, error) {
	all := homes(c.Layout, class)
	if len(all) == 0 {
		return false, nil
	}
	there, err := c.holds(ctx, want{any: all})
	return err == nil && !there && !slices.ContainsFunc(all, c.goes), err
}

// owners adds the object's owners, one of which has to be there.
func (j *judgement) owners(ctx context.Context, wants []want) ([]want, error) {
	if !j.Rules.Binds(kube.Closure) || len(j.meta.Owners) == 0 {
		return wants, nil
	}
	w := want{rule: kube.Closure}
	what := "is not in the cluster and not selected: the garbage collector would delete the object; --with-owners takes the owner along"
	var names []string
	for _, o := range j.meta.Owners {
		selected := j.Survey.Holds(j.class.Namespace, o)
		last := selected && o.Kind == "Namespace" && o.APIVersion == "v1" // if it comes back; see package order
		if selected && !j.Keeps && !last {
			return wants, nil
		}
		key, err := j.keyOf(ctx, j.class.Prefix, refer(j.class.Namespace, o))
		if err != nil {
			return nil, err
		}
		if key == nil && selected {
			return wants, nil // wherever it lies
		}
		if key != nil {
			w.any = append(w.any, candidate{key, o.UID, selected && !last})
		}
		switch {
		case last:
			what = "comes back after the object, which the garbage collector would delete until then: leave that out (--exclude), and restore it when the namespace is there"
		case selected:
			what = "would stay another's, since the policy on conflicts keeps that: the garbage collector would delete the object"
		}
		names = append(names, fmt.Sprintf("%s %s (uid %s)", o.Kind, o.Name, o.UID))
	}
	w.miss = "its owner " + strings.Join(names, ", ") + " " + what
	return append(wants, w), nil
}

// refer is an owner as it is referred to.
func refer(namespace string, o object.Owner) kube.Reference {
	group, _, grouped := strings.Cut(o.APIVersion, "/")
	if !grouped {
		group = ""
	}
	return kube.Reference{Group: group, Kind: o.Kind, Namespace: namespace, Name: o.Name}
}

// operator names the custom resource that controls this one.
func (j *judgement) operator() string {
	if !kube.IsCustom(j.class.Kind) || !j.Rules.Binds(kube.Operators) {
		return ""
	}
	for _, o := range j.meta.Owners {
		if o.Controller {
			return o.Kind + " " + o.Name
		}
	}
	return ""
}
