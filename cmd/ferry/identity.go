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
func (r Restore) pairs(ctx context.Context, layout *kube.Layout, sel etcdwalk.Selection, target etcdwalk.Info) ([]pair, error) {
	archived, err := r.Archive.identities(ctx, target.Identities)
	if err != nil {
		return nil, err
	}
	var written, others []pair
	for i, id := range archived {
		p := pair{id, target.Identities[i]}
		if !p.tells() {
			continue
		}
		found := false
		if slices.Contains(layout.Prefixes(), id.Prefix) {
			if found, err = holds(ctx, r.Archive, sel.Within(etcdwalk.Ranges{etcdwalk.Prefix(id.Prefix)})); err != nil {
				return nil, err
			}
		}
		if found {
			written = append(written, p)
		} else {
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
// that is not the one that ClusterIs says (RS10). It tells whether it is the user
// alone who says that it is.
func (r Restore) sameCluster(pairs []pair, target etcdwalk.Info) (confirmed bool, err error) {
	source := r.Archive.Info()
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
func (r Restore) sameLineage(pairs []pair, target etcdwalk.Info) error {
	if _, err := r.sameCluster(pairs, target); err != nil {
		return fmt.Errorf("mod revisions do not compare: %w", err)
	}
	for _, p := range pairs {
		if one, other := p.archive.State == etcdwalk.IdentityNone, p.target.State == etcdwalk.IdentityNone; one != other {
			return fmt.Errorf("mod revisions do not compare: the archive's kube-system UID is %s, the target's %s: %w", p.archive, p.target, etcdwalk.ErrRefused)
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
	return strings.Join(names, " or ")
}

// identities tells which cluster the archive holds under each prefix of which the
// target's is known: what the header says, or else what lies in the archive.
func (a *Archive) identities(ctx context.Context, target []etcdwalk.Identity) ([]etcdwalk.Identity, error) {
	own, err := a.layout(kube.Filter{})
	if err != nil {
		return nil, err
	}
	var all, stored []etcdwalk.Identity
	for _, theirs := range target {
		in := func(ids []etcdwalk.Identity) int {
			return slices.IndexFunc(ids, func(id etcdwalk.Identity) bool { return id.Prefix == theirs.Prefix })
		}
		if at := in(a.Info().Identities); at >= 0 {
			all = append(all, a.Info().Identities[at])
			continue
		}
		if stored == nil {
			if stored, err = own.Identities(ctx, a); err != nil {
				return nil, err
			}
		}
		if at := in(stored); at >= 0 && stored[at].State != etcdwalk.IdentityNone {
			all = append(all, stored[at])
			continue
		}
		all = append(all, a.untold(own, theirs, target))
	}
	return all, nil
}

// untold is the identity under a prefix of which the header says nothing, in an
// archive that holds no kube-system there. The one UID that an archive of format 1.0
// can have is of some prefix: it is that of a target that has it there, or has it
// nowhere, and tells nothing of the other clusters of one that has it elsewhere. That
// there is no UID tells nothing; a kube-system that would have been taken, and is not
// there, is absent.
func (a *Archive) untold(own *kube.Layout, theirs etcdwalk.Identity, target []etcdwalk.Identity) etcdwalk.Identity {
	id := etcdwalk.Identity{Prefix: theirs.Prefix, State: etcdwalk.IdentityUnreadable}
	taken := a.Header().Selection
	whole := len(taken.Include)+len(taken.Exclude)+len(taken.Namespaces) == 0
	uid := a.Info().KubeSystemUID
	if len(a.Info().Identities) > 0 {
		uid = "" // it is of the prefix that it is told of
	}
	elsewhere := slices.ContainsFunc(target, func(id etcdwalk.Identity) bool { return id.UID == uid })
	switch {
	case uid != "" && theirs.State == etcdwalk.IdentityNone, whole && own.CoversIdentity(theirs.Prefix):
		id.State = etcdwalk.IdentityNone
	case uid != "" && (theirs.UID == uid || !elsewhere):
		id.State, id.UID = etcdwalk.IdentityUID, uid
	}
	return id
}
