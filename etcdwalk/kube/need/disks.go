package need

import (
	"context"
	"fmt"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// Disks finds what owns disks that must not go, itself or through others that it owns: the
// garbage collector takes what has no owner any more (kubernetes:
// pkg/controller/garbagecollector). A claim whose owners cannot be read is passed over.
func (r *Removal) Disks(ctx context.Context) error {
	r.disks, r.catalog = map[string]string{}, r.Query.Catalog(r.View)
	if !r.Rules.Binds(kube.DeleteVolumes) {
		return nil
	}
	q, err := kube.Filter{Include: []string{"persistentvolumeclaims", "persistentvolumes"}, Prefixes: r.Query.Words().Prefixes}.Compile()
	if err != nil {
		return fmt.Errorf("look for what owns disks: %w", err)
	}
	sel, err := q.Resolve(ctx, r.View)
	if err != nil {
		return fmt.Errorf("look for what owns disks: %w", err)
	}
	finder := r.catalog.Finder()
	var owners [][]byte
	for e, err := range r.View.Walk(ctx, sel) {
		if err != nil {
			return fmt.Errorf("look for what owns disks: %w", err)
		}
		if r.Forbids(ctx, e) == "" {
			continue
		}
		if owners, err = r.own(ctx, finder, owners, e, r.Layout.Name(e.Key)); err != nil {
			return err
		}
	}
	for len(owners) > 0 {
		found, err := r.Target.Lookup(ctx, owners)
		if err != nil {
			return fmt.Errorf("look for what owns disks, from key %q on: %w", owners[0], err)
		}
		owners = nil
		for _, e := range found {
			if e == nil {
				continue
			}
			if owners, err = r.own(ctx, finder, owners, *e, r.disks[string(e.Key)]); err != nil {
				return err
			}
		}
	}
	return nil
}

// Owns is why the object under a key must not go, nor make way for another: what it owns.
// Empty: it owns no disk.
func (r *Removal) Owns(key []byte) string {
	disk, owns := r.disks[string(key)]
	if !owns {
		return ""
	}
	return fmt.Sprintf("%s: the garbage collector would take %s, which it owns, and its disk may go; --allow %s lets it", kube.DeleteVolumes, disk, kube.DeleteVolumes)
}

// own notes the owners of an object, on which a disk hangs, and adds the keys of those that
// were not known.
func (r *Removal) own(ctx context.Context, finder *kube.Finder, keys [][]byte, e etcdwalk.Entry, disk string) ([][]byte, error) {
	m, err := r.Query.Opener().Read(ctx, e.Key, e.Value)
	if err != nil {
		return keys, nil //nolint:nilerr // who owns it is not known
	}
	class := r.Layout.Classify(e.Key)
	for _, o := range m.Owners {
		key, err := finder.Key(ctx, class.Prefix, refer(class.Namespace, o))
		if err != nil {
			return nil, fmt.Errorf("look for the owner of %s: %w", r.Layout.Name(e.Key), err)
		}
		if _, known := r.disks[string(key)]; key != nil && !known {
			r.disks[string(key)] = disk
			keys = append(keys, key)
		}
	}
	return keys, nil
}
