package ferry

import (
	"context"
	"slices"
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// A pair is the cluster that the archive holds under a prefix, and the one that
// the target holds there.
type pair struct{ archive, target etcdwalk.Identity }

// tells is false where neither has a kube-system: OpenShift keeps one cluster under
// two prefixes, and others keep keys of their own beside it.
func (p pair) tells() bool {
	return p.archive.State != etcdwalk.IdentityNone || p.target.State != etcdwalk.IdentityNone
}

// pairs are those of the prefixes that the restore writes under. Where none of these
// tells anything, all others that archive and target know speak for them.
func (r Restore) pairs(ctx context.Context, p *Planned) ([]pair, error) {
	target := p.Target
	own := p.layout
	if s, ok := r.Source.(scoped); ok {
		var err error
		if own, err = kube.NewLayout(s.Prefixes()...); err != nil {
			return nil, err
		}
	}
	archived, err := identities(ctx, own, p.source, target.Identities, p.query.Opener())
	if err != nil {
		return nil, err
	}
	var written, others []pair
	for i, id := range archived {
		both := pair{id, target.Identities[i]}
		if !both.tells() {
			continue
		}
		found := false
		if slices.Contains(p.layout.Prefixes(), id.Prefix) {
			if found, err = etcdwalk.Holds(ctx, p.source, p.sel.Within(etcdwalk.Ranges{etcdwalk.Prefix(id.Prefix)})); err != nil {
				return nil, err
			}
		}
		if found {
			written = append(written, both)
		} else {
			others = append(others, both)
		}
	}
	switch {
	case len(written) > 0:
		return written, nil
	case len(others) > 0:
		return others, nil
	}
	return []pair{{archived[0], target.Identities[0]}}, nil
}

// contains compares names as people copy them.
func contains(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

// nameOf is what a user confirms a cluster by: its UID, or etcd's id where the UID
// cannot be read. Empty: nothing names it.
func nameOf(id etcdwalk.Identity, cluster etcdwalk.ClusterID) string {
	switch {
	case id.State == etcdwalk.IdentityUID:
		return id.UID
	case cluster != 0:
		return cluster.String()
	}
	return ""
}

// names are all that a cluster can be called by.
func names(info etcdwalk.Info) []string {
	var all []string
	for _, id := range info.Identities {
		if id.State == etcdwalk.IdentityUID {
			all = append(all, id.UID)
		}
	}
	if info.ClusterID != 0 {
		all = append(all, info.ClusterID.String())
	}
	return all
}

// orUnknown lists what a cluster is called.
func orUnknown(names []string) string {
	if len(names) == 0 {
		return "not known by any name"
	}
	return strings.Join(names, " or ")
}

// identities tells which cluster a view holds under each prefix of which the
// target's is known: what it says of itself, or else what lies in it. own is the
// layout of what it holds. What it could not read of itself, the opener may.
func identities(ctx context.Context, own *kube.Layout, view etcdwalk.View, target []etcdwalk.Identity, opener *object.Opener) ([]etcdwalk.Identity, error) {
	told := view.Info().Identities
	var all, stored []etcdwalk.Identity
	for _, theirs := range target {
		in := func(ids []etcdwalk.Identity) int {
			return slices.IndexFunc(ids, func(id etcdwalk.Identity) bool { return id.Prefix == theirs.Prefix })
		}
		if at := in(told); at >= 0 && (opener == nil || told[at].State != etcdwalk.IdentityUnreadable) {
			all = append(all, told[at])
			continue
		}
		if stored == nil {
			var err error
			if stored, err = own.Identities(ctx, view, opener); err != nil {
				return nil, err
			}
		}
		if at := in(stored); at >= 0 && stored[at].State != etcdwalk.IdentityNone {
			all = append(all, stored[at])
			continue
		}
		if at := in(told); at >= 0 {
			all = append(all, told[at])
			continue
		}
		all = append(all, untold(own, view, theirs, target))
	}
	return all, nil
}

// untold is the identity under a prefix of which a view says nothing and holds no
// kube-system there. The one UID that an archive of format 1.0
// can have is of some prefix: it is that of a target that has it there, or has it
// nowhere, and tells nothing of the other clusters of one that has it elsewhere. That
// there is no UID tells nothing; a kube-system that would have been taken, and is not
// there, is absent.
func untold(own *kube.Layout, view etcdwalk.View, theirs etcdwalk.Identity, target []etcdwalk.Identity) etcdwalk.Identity {
	id := etcdwalk.Identity{Prefix: theirs.Prefix, State: etcdwalk.IdentityUnreadable}
	info := view.Info()
	uid := info.KubeSystemUID
	if len(info.Identities) > 0 {
		uid = "" // it is of the prefix that it is told of
	}
	elsewhere := slices.ContainsFunc(target, func(id etcdwalk.Identity) bool { return id.UID == uid })
	switch {
	case uid != "" && theirs.State == etcdwalk.IdentityNone, !isPartial(view) && own.CoversIdentity(theirs.Prefix):
		id.State = etcdwalk.IdentityNone
	case uid != "" && (theirs.UID == uid || !elsewhere):
		id.State, id.UID = etcdwalk.IdentityUID, uid
	}
	return id
}
