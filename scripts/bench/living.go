package main

import (
	"context"
	"fmt"

	"github.com/kubeferry/kubeferry/scripts/bench/keyspace"
)

const (
	restoreLiving = "kubeferry restore --scenario=same"
	restorePlain  = "kubeferry restore --scenario=new, not read back"
)

// livingGroup restores into a cluster that lives, and so in order and by rules. What that
// costs is told by a restore into an empty etcd, where nobody needs either. Both write one
// batch at a time, as a restore does by default.
func livingGroup(name string, most int) group {
	return group{
		name:  "living-" + name,
		about: "restores of " + dataName(name) + " into the cluster that it is of, which has lost it",
		quick: name == "s",
		most:  most,
		contenders: func(ctx context.Context, b *bench) ([]contender, error) {
			d, archive, err := b.archived(ctx, name)
			if err != nil {
				return nil, err
			}
			left, err := leftOf(d.Keys, b.settings.seed)
			if err != nil {
				return nil, err
			}
			// Pods come along, so that both write as many keys, but for one that is left.
			living := b.creating(d.Keys-1, archive, "--no-watch", "--allow", "derived")
			all := []contender{b.intoEmpty(restoreLiving, 0, func(ctx context.Context, to *server) (figures, error) {
				if err := putAll(ctx, to, left); err != nil {
					return nil, err
				}
				return living(ctx, to)
			})}
			if name == "s" {
				all = append(all, b.intoEmpty(restorePlain, 0, b.restoring(d, archive, "--read-back=false", "--no-watch")))
			}
			return all, nil
		},
	}
}

// leftOf is what such a cluster has left of a keyspace: by what it is known, and what owns
// objects of the keyspace without being in it.
func leftOf(keys int, seed uint64) ([]keyspace.Object, error) {
	k, err := keyspace.New(keys, seed)
	if err != nil {
		return nil, err
	}
	left, err := k.Owners()
	if err != nil {
		return nil, err
	}
	const known = "/registry/namespaces/kube-system"
	for i := range k.Len() {
		o, err := k.At(i, 0)
		if err != nil {
			return nil, err
		}
		if o.Key == known {
			return append(left, o), nil
		}
	}
	return nil, fmt.Errorf("the keyspace has no %s", known)
}

// putAll puts objects into a server.
func putAll(ctx context.Context, to *server, objects []keyspace.Object) error {
	client, err := to.client()
	if err != nil {
		return err
	}
	defer client.Close()
	var b batch
	for _, o := range objects {
		if !b.fits(o) {
			if err := b.put(ctx, client); err != nil {
				return err
			}
		}
		b.add(o)
	}
	return b.put(ctx, client)
}
