package ferry

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
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
	archived, err := identities(ctx, own, p.source, target.Identities)
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
			if found, err = holds(ctx, p.source, p.sel.Within(etcdwalk.Ranges{etcdwalk.Prefix(id.Prefix)})); err != nil {
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

// sameCluster refuses a target that is not known to be the archive's cluster, or
// that is not the one that ClusterIs says (RS10). It tells whether it is the user
// alone who says that it is.
func (r Restore) sameCluster(planned *Planned, pairs []pair) (confirmed bool, err error) {
	source, target := planned.source.Info(), planned.Target
	for _, said := range r.ClusterIs {
		if !contains(names(target), said) {
			return false, fmt.Errorf("the target is %s, and not %s as --cluster-is says: %w", orUnknown(names(target)), said, etcdwalk.ErrRefused)
		}
	}
	var open, unproven []pair
	for _, p := range pairs {
		switch p.archive.Relate(source.ClusterID, p.target, target.ClusterID) {
		case etcdwalk.SameCluster:
		case etcdwalk.OtherCluster:
			return false, fmt.Errorf("the archive is of the cluster whose kube-system has UID %s, the target's has %s: %w; --scenario=new restores into a fresh cluster",
				p.archive.UID, p.target.UID, etcdwalk.ErrRefused)
		default:
			unproven = append(unproven, p)
			if name := nameOf(p.target, target.ClusterID); name == "" || !contains(r.ClusterIs, name) {
				open = append(open, p)
			}
		}
	}
	if len(open) > 0 {
		return false, undecided(open[0], unproven, source.ClusterID, target.ClusterID)
	}
	return len(unproven) > 0, nil
}

// undecided says why nothing tells whether two clusters are one, and what the user
// can say about that and all others that are unproven.
func undecided(p pair, unproven []pair, archived, target etcdwalk.ClusterID) error {
	err := fmt.Errorf("whether the archive is of this cluster cannot be told: under %s kube-system's UID is %s in the archive (etcd cluster %s), and %s in the target (etcd cluster %s): %w",
		p.target.Prefix, p.archive, archived, p.target, target, etcdwalk.ErrRefused)
	if p.archive.Relate(archived, p.target, target) == etcdwalk.OtherStore {
		err = fmt.Errorf("the archive is of etcd cluster %s, the target is %s, and no kube-system tells more: %w", archived, target, etcdwalk.ErrRefused)
	}
	var names []string
	for _, p := range unproven {
		name := nameOf(p.target, target)
		if name == "" {
			return fmt.Errorf("%w; nothing else tells clusters apart here; --scenario=new restores into a fresh cluster", err)
		}
		if !contains(names, name) {
			names = append(names, name)
		}
	}
	return fmt.Errorf("%w; if you are sure that this target is meant, --cluster-is=%s says so; --scenario=new restores into a fresh cluster", err, strings.Join(names, ","))
}

// contains compares names as people copy them.
func contains(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

// sameLineage refuses to compare revisions of what may be two clusters.
func (r Restore) sameLineage(planned *Planned, pairs []pair) error {
	if _, err := r.sameCluster(planned, pairs); err != nil {
		return fmt.Errorf("mod revisions do not compare: %w", err)
	}
	for _, p := range pairs {
		if one, other := p.archive.State == etcdwalk.IdentityNone, p.target.State == etcdwalk.IdentityNone; one != other {
			return fmt.Errorf("mod revisions do not compare: the archive's kube-system UID is %s, the target's %s: %w", p.archive, p.target, etcdwalk.ErrRefused)
		}
	}
	return replay.SameLineage(planned.source.Info(), planned.Target)
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
// layout of what it holds.
func identities(ctx context.Context, own *kube.Layout, view etcdwalk.View, target []etcdwalk.Identity) ([]etcdwalk.Identity, error) {
	told := view.Info().Identities
	var all, stored []etcdwalk.Identity
	for _, theirs := range target {
		in := func(ids []etcdwalk.Identity) int {
			return slices.IndexFunc(ids, func(id etcdwalk.Identity) bool { return id.Prefix == theirs.Prefix })
		}
		if at := in(told); at >= 0 {
			all = append(all, told[at])
			continue
		}
		if stored == nil {
			var err error
			if stored, err = own.Identities(ctx, view); err != nil {
				return nil, err
			}
		}
		if at := in(stored); at >= 0 && stored[at].State != etcdwalk.IdentityNone {
			all = append(all, stored[at])
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
