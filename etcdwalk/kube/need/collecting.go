package need

import (
	"context"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// Collecting are those of some entries, by their places, that the target still holds while
// all of their owners are gone. The garbage collector has them on its list, and never
// forgets that it found an owner gone, by its UID: it deletes them although the owner comes
// back (kubernetes: pkg/controller/garbagecollector, absentOwnerCache).
func (c *Checks) Collecting(ctx context.Context, entries []etcdwalk.Entry) (places []int, err error) {
	if !c.Rules.Binds(kube.Collecting) {
		return nil, nil
	}
	var orphans [][]byte
	for i, e := range entries {
		m, err := c.Opener.Read(ctx, e.Key, e.Value)
		if err != nil || len(m.Owners) == 0 {
			continue // who owns it is not known
		}
		gone, err := c.ownersGone(ctx, e, m)
		if err != nil {
			return nil, err
		}
		if gone {
			orphans, places = append(orphans, e.Key), append(places, i)
		}
	}
	if len(orphans) == 0 {
		return nil, nil
	}
	have, err := c.Target.Lookup(ctx, orphans)
	if err != nil {
		return nil, err
	}
	var still []int
	for at, e := range have {
		if e == nil {
			continue
		}
		m, err := c.Opener.Read(ctx, e.Key, e.Value)
		if err != nil || len(m.Owners) == 0 {
			continue
		}
		gone, err := c.ownersGone(ctx, *e, m)
		if err != nil {
			return nil, err
		}
		if gone {
			still = append(still, places[at])
		}
	}
	return still, nil
}

// ownersGone tells whether the target has none of an object's owners.
func (c *Checks) ownersGone(ctx context.Context, e etcdwalk.Entry, m object.Meta) (bool, error) {
	class := c.Layout.Classify(e.Key)
	var w want
	for _, o := range m.Owners {
		key, err := c.keyOf(ctx, class.Prefix, refer(class.Namespace, o))
		if err != nil {
			return false, err
		}
		if key == nil {
			return false, nil // one that nobody knows the place of
		}
		w.any = append(w.any, candidate{key, o.UID})
	}
	if err := c.fetch(ctx, w.keys()); err != nil {
		return false, err
	}
	return !c.there(w), nil
}
