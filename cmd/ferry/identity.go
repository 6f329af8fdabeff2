package ferry

import (
	"context"
	"fmt"
	"slices"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// A pair is the cluster that the archive holds under a prefix, and the one that
// the target holds there.
type pair struct{ archive, target etcdwalk.Identity }

// pairs are those of the prefixes that the restore writes under. A prefix without
// a kube-system says nothing of itself (OpenShift keeps one cluster under two
// prefixes), so where none of these has one, the others speak for them.
func (r Restore) pairs(ctx context.Context, layout *kube.Layout, sel etcdwalk.Selection, target etcdwalk.Info) ([]pair, error) {
	archived, err := r.Archive.identities(ctx, layout)
	if err != nil {
		return nil, err
	}
	var written, others []pair
	for i, prefix := range layout.Prefixes() {
		p := pair{archived[i], target.Identities[i]}
		if p.archive.State == etcdwalk.IdentityNone && p.target.State == etcdwalk.IdentityNone {
			continue
		}
		found, err := holds(ctx, r.Archive, sel.Within(etcdwalk.Ranges{etcdwalk.Prefix(prefix)}))
		switch {
		case err != nil:
			return nil, err
		case found:
			written = append(written, p)
		default:
			others = append(others, p)
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
// that is not the one that ClusterIs says (RS10).
func (r Restore) sameCluster(pairs []pair, target etcdwalk.Info) error {
	source := r.Archive.Info()
	if r.ClusterIs != "" && !slices.Contains(names(target), r.ClusterIs) {
		return fmt.Errorf("the target is %s, and not %s as --cluster-is says: %w", orUnknown(names(target)), r.ClusterIs, replay.ErrRefused)
	}
	for _, p := range pairs {
		relation := p.archive.Relate(source.ClusterID, p.target, target.ClusterID)
		name := nameOf(p.target, target.ClusterID)
		switch {
		case relation == etcdwalk.SameCluster:
		case relation == etcdwalk.OtherCluster:
			return fmt.Errorf("the archive is of the cluster whose kube-system has UID %s, the target's has %s: %w", p.archive.UID, p.target.UID, replay.ErrRefused)
		case name != "" && name == r.ClusterIs: // the user knows
		case relation == etcdwalk.OtherStore:
			return fmt.Errorf("the archive is of etcd cluster %s, the target is %s: %w; if it is the same one, rebuilt, --cluster-is=%s says so",
				source.ClusterID, target.ClusterID, replay.ErrRefused, name)
		default:
			return undecided(p, source.ClusterID, target.ClusterID, name)
		}
	}
	return nil
}

// undecided says why nothing tells whether two clusters are one, and what the
// user can say about it.
func undecided(p pair, archived, target etcdwalk.ClusterID, name string) error {
	err := fmt.Errorf("whether the archive is of this cluster cannot be told: under %s kube-system's UID is %s in the archive (etcd cluster %s), and %s in the target (etcd cluster %s): %w",
		p.target.Prefix, p.archive, archived, p.target, target, replay.ErrRefused)
	if name == "" {
		return fmt.Errorf("%w; nothing else tells clusters apart here", err)
	}
	return fmt.Errorf("%w; if you are sure that this target is meant, --cluster-is=%s says so", err, name)
}

// sameLineage refuses to compare revisions of what may be two clusters.
func (r Restore) sameLineage(pairs []pair, target etcdwalk.Info) error {
	if err := r.sameCluster(pairs, target); err != nil {
		return fmt.Errorf("mod revisions do not compare: %w", err)
	}
	for _, p := range pairs {
		if one, other := p.archive.State == etcdwalk.IdentityNone, p.target.State == etcdwalk.IdentityNone; one != other {
			return fmt.Errorf("mod revisions do not compare: the archive's kube-system UID is %s, the target's %s: %w", p.archive, p.target, replay.ErrRefused)
		}
	}
	return replay.SameLineage(r.Archive.Info(), target)
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
	return fmt.Sprint(names)
}

// identities tells, for each prefix of the layout, which cluster the archive holds
// there: what the header says, or else what lies in the archive. An archive of
// format 1.0 has one UID for all of its prefixes, and tells nothing by having
// none; only a kube-system that would have been taken, and is not there, is absent.
func (a *Archive) identities(ctx context.Context, layout *kube.Layout) ([]etcdwalk.Identity, error) {
	var (
		all, stored []etcdwalk.Identity
		told        = a.Info().Identities
		err         error
	)
	for i, prefix := range layout.Prefixes() {
		at := slices.IndexFunc(told, func(id etcdwalk.Identity) bool { return id.Prefix == prefix })
		if at >= 0 {
			all = append(all, told[at])
			continue
		}
		if stored == nil {
			if stored, err = layout.Identities(ctx, a); err != nil {
				return nil, err
			}
		}
		if stored[i].State != etcdwalk.IdentityNone {
			all = append(all, stored[i])
			continue
		}
		id, err := a.untold(prefix)
		if err != nil {
			return nil, err
		}
		all = append(all, id)
	}
	return all, nil
}

// untold is the identity under a prefix of which the header says nothing, in an
// archive that holds no kube-system there.
func (a *Archive) untold(prefix string) (etcdwalk.Identity, error) {
	own, err := a.layout(kube.Filter{})
	if err != nil {
		return etcdwalk.Identity{}, err
	}
	taken := a.Header().Selection
	all := len(taken.Include)+len(taken.Exclude)+len(taken.Namespaces) == 0
	switch info := a.Info(); {
	case len(info.Identities) == 0 && info.KubeSystemUID != "":
		return etcdwalk.Identity{Prefix: prefix, State: etcdwalk.IdentityUID, UID: info.KubeSystemUID}, nil
	case all && own.CoversIdentity(prefix):
		return etcdwalk.Identity{Prefix: prefix, State: etcdwalk.IdentityNone}, nil
	}
	return etcdwalk.Identity{Prefix: prefix, State: etcdwalk.IdentityUnreadable}, nil
}
