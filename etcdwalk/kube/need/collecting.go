package need

import (
	"bytes"
	"context"
	"slices"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// orphans are objects of the target that have the same owners.
type orphans struct {
	refs  []kube.Reference
	uids  []string // of the owners
	first []byte   // key
}

// Found takes what the target holds under a key that is selected. It does not keep its bytes.
func (c *Checks) Found(ctx context.Context, have etcdwalk.Entry) {
	if !c.Rules.Binds(kube.Collecting) {
		return
	}
	m, err := c.Opener.Read(ctx, have.Key, have.Value)
	if err != nil || len(m.Owners) == 0 {
		return // who owns it is not known, or nobody does
	}
	class := c.Layout.Classify(have.Key)
	id := class.Prefix + class.Namespace
	for _, o := range m.Owners {
		id += "/" + o.UID
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.found == nil {
		c.found = map[string]*orphans{}
	}
	if c.found[id] == nil {
		c.found[id] = ownedBy(class, have.Key, m.Owners)
	}
}

func ownedBy(class etcdwalk.Class, key []byte, owners []object.Owner) *orphans {
	those := &orphans{first: bytes.Clone(key)}
	for _, o := range owners {
		those.refs = append(those.refs, refer(class.Namespace, o))
		those.uids = append(those.uids, o.UID)
	}
	return those
}

// Orphans tells of objects of the target whether it has none of the owners of each.
func (c *Checks) Orphans(ctx context.Context, objects []etcdwalk.Entry) ([]bool, error) {
	all, orphaned := make([]*orphans, len(objects)), make([]bool, len(objects))
	var keys [][]byte // to be fetched at once
	for i, e := range objects {
		m, err := c.Opener.Read(ctx, e.Key, e.Value)
		if err != nil || len(m.Owners) == 0 {
			continue
		}
		class := c.Layout.Classify(e.Key)
		all[i] = ownedBy(class, e.Key, m.Owners)
		for _, r := range all[i].refs {
			key, err := c.keyOf(ctx, class.Prefix, r)
			if err != nil {
				return nil, err
			}
			if key != nil {
				keys = append(keys, key)
			}
		}
	}
	if err := c.fetch(ctx, keys); err != nil {
		return nil, err
	}
	for i, those := range all {
		if those == nil {
			continue
		}
		var err error
		if orphaned[i], err = c.gone(ctx, those); err != nil {
			return nil, err
		}
	}
	return orphaned, nil
}

// Collecting are the keys of some of the objects found that the target still holds while all
// of their owners are gone, one for each. The garbage collector has them on its list, and
// never forgets that it found an owner gone, by its UID: it deletes them although the owner
// comes back (kubernetes: pkg/controller/garbagecollector, absentOwnerCache).
func (c *Checks) Collecting(ctx context.Context) (keys [][]byte, err error) {
	for _, those := range c.found {
		gone, err := c.gone(ctx, those)
		if err != nil {
			return nil, err
		}
		if gone {
			keys = append(keys, those.first)
		}
	}
	slices.SortFunc(keys, bytes.Compare)
	return keys, nil
}

// gone tells whether the target has none of the owners. Of a kind without a definition
// nobody sees the objects, nor collects them.
func (c *Checks) gone(ctx context.Context, those *orphans) (bool, error) {
	definition, err := c.definitionOf(ctx, c.Layout.Classify(those.first))
	if err != nil {
		return false, err
	}
	if definition != nil {
		if defined, err := c.holds(ctx, want{any: []candidate{{key: definition}}}); !defined || err != nil {
			return false, err
		}
	}
	var w want
	for i, r := range those.refs {
		key, err := c.keyOf(ctx, c.Layout.Classify(those.first).Prefix, r)
		if err != nil {
			return false, err
		}
		if key == nil {
			return false, nil // one that nobody knows the place of
		}
		w.any = append(w.any, candidate{key: key, uid: those.uids[i]})
	}
	there, err := c.holds(ctx, w)
	return !there && err == nil, err
}
