package ferry

import (
	"bytes"
	"context"
	"fmt"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// guard refuses what the scenario and the policy forbid (RS10). It tells whether
// only the user says that the target is the source's cluster.
func (r Restore) guard(ctx context.Context, p *Planned, pairs []pair) (confirmed bool, err error) {
	if r.Policy == replay.Newer {
		if err := r.sameLineage(ctx, p, pairs); err != nil {
			return false, fmt.Errorf("--on-conflict=newer: %w", err)
		}
	}
	if r.Scenario == kube.ScenarioSame {
		return r.sameCluster(ctx, p, pairs)
	}
	return false, r.guardNew(ctx, p, pairs)
}

// turnedBack refuses a target whose etcd has a lower revision than the source's had, while an
// API server keeps signs of life in it: one that has seen the higher ones does not follow. That
// there are no signs proves nothing; then it is a doubt, and they are watched for.
func (r Restore) turnedBack(ctx context.Context, p *Planned) error {
	was, is := p.source.Info(), p.Target
	if was.API != etcdwalk.V3 || is.API != etcdwalk.V3 || is.Revision >= was.Revision || !p.rules.Binds(kube.TurnedBack) {
		return nil
	}
	alive, err := p.Alive(ctx)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("the target is at revision %d, and the archive is of revision %d: its etcd was turned back or made anew. API servers that ran before serve the old world", is.Revision, was.Revision)
	refuse := func(seen string) error {
		return fmt.Errorf("%s: %s, and one is alive%s: %s, run the same command again, and start them again, then restart the controllers and kubelets; --allow %s does not look for them%.0w",
			kube.TurnedBack, what, seen, stopServers, kube.TurnedBack, etcdwalk.ErrRefused)
	}
	if alive {
		return refuse("")
	}
	p.Doubts = append(p.Doubts, what+" until they are restarted")
	r.keep(p, nil, func(seen string) error { return refuse(" (" + seen + ")") })
	return nil
}

// stopServers is the way to a target in which no API server lives.
const stopServers = "stop all API servers (of static pods move the manifests away, out of /etc/kubernetes/manifests), wait 15 seconds"

// filledAnew is the way where such servers have filled an etcd that was made for the restore.
const filledAnew = "if it is an etcd that was made anew for this restore and its API servers have filled it already: " + stopServers + ", give etcd an empty data folder, and run the same command again"

// guardNew refuses a target that lives already, or holds what this source
// would not have put there. What an interrupted restore has left is the
// source's own, so it may be run again. What lives only perhaps is watched.
func (r Restore) guardNew(ctx context.Context, p *Planned, pairs []pair) error {
	live, foreign, err := p.inhabited(ctx)
	if err != nil {
		return err
	}
	if foreign != nil {
		return r.notNew(p, live, foreign, r.belongs(p, pairs))
	}
	refuse := func(seen string) error {
		return fmt.Errorf("a kube-apiserver uses the target, or did until seconds ago (%s): %s, and run the same command again%.0w", seen, stopServers, etcdwalk.ErrRefused)
	}
	if !r.keep(p, live, refuse) && live != nil {
		return refuse("key " + quoted(live))
	}
	return nil
}

// inhabited finds a key by which an API server shows that it lives, and one that this
// source would not have put there. A target that has neither is new.
func (p *Planned) inhabited(ctx context.Context) (live, foreign []byte, err error) {
	signs := p.layout.LiveSigns()
	for e, err := range p.target.Walk(ctx, etcdwalk.Selection{Ranges: signs}) {
		if err != nil {
			return nil, nil, err
		}
		live = bytes.Clone(e.Key)
		break
	}
	foreign, _, err = replay.Foreign(ctx, p.target, p.source, etcdwalk.Selection{Ranges: p.layout.Scope().Subtract(signs)})
	return live, foreign, err
}

// belonging is what is known of whose the target is.
type belonging struct {
	other    *pair  // these are two clusters
	unproven []pair // nothing proves that these are one
	open     []pair // those of them of which the user has not said so either
	// names are what --cluster-is can say of all that is unproven. None: there is
	// one that nothing names.
	names []string
}

// belongs compares the clusters of the archive with those of the target.
func (r Restore) belongs(p *Planned, pairs []pair) (b belonging) {
	source, target := p.source.Info().ClusterID, p.Target.ClusterID
	nameless := false
	for _, each := range pairs {
		switch each.archive.Relate(source, each.target, target) {
		case etcdwalk.SameCluster:
		case etcdwalk.OtherCluster:
			b.other = &each
			return b
		default:
			b.unproven = append(b.unproven, each)
			name := nameOf(each.target, target)
			if name == "" || !contains(r.ClusterIs, name) {
				b.open = append(b.open, each)
			}
			nameless = nameless || name == ""
			if !contains(b.names, name) {
				b.names = append(b.names, name)
			}
		}
	}
	if nameless {
		b.names = nil
	}
	return b
}

// contradicted refuses a target that is not the one that ClusterIs says.
func (r Restore) contradicted(target etcdwalk.Info) error {
	for _, said := range r.ClusterIs {
		if !contains(names(target), said) {
			return fmt.Errorf("the target is %s, and not %s as --cluster-is says: one of --endpoints and --cluster-is is wrong%.0w", orUnknown(names(target)), said, etcdwalk.ErrRefused)
		}
	}
	return nil
}

// sameCluster refuses a target that is not known to be the archive's cluster, or
// that is not the one that ClusterIs says (RS10). It tells whether it is the user
// alone who says that it is.
func (r Restore) sameCluster(ctx context.Context, p *Planned, pairs []pair) (confirmed bool, err error) {
	if err := r.contradicted(p.Target); err != nil {
		return false, err
	}
	b := r.belongs(p, pairs)
	switch {
	case b.other != nil:
		return false, fmt.Errorf("%s%.0w", another(p.query, *b.other), etcdwalk.ErrRefused)
	case len(b.open) > 0:
		return false, undecided(ctx, p, b)
	}
	return len(b.unproven) > 0, nil
}

// sameLineage refuses to compare revisions of what may be two clusters.
func (r Restore) sameLineage(ctx context.Context, p *Planned, pairs []pair) error {
	err := replay.SameLineage(p.source.Info(), p.Target)
	for _, each := range pairs {
		if one, other := each.archive.State == etcdwalk.IdentityNone, each.target.State == etcdwalk.IdentityNone; err == nil && one != other {
			err = fmt.Errorf("mod revisions do not compare: the archive's kube-system UID is %s, the target's %s%.0w", each.archive, each.target, etcdwalk.ErrRefused)
		}
	}
	switch b := r.belongs(p, pairs); {
	case r.Scenario == kube.ScenarioNew && (err != nil || b.other != nil || len(b.open) > 0):
		return fmt.Errorf("mod revisions do not compare where --scenario=new fills another cluster: leave --on-conflict=newer out%.0w", etcdwalk.ErrRefused)
	case err != nil && b.other == nil:
		return fmt.Errorf("%w; --on-conflict=skip and =overwrite do without them", err)
	}
	if _, err := r.sameCluster(ctx, p, pairs); err != nil {
		return fmt.Errorf("mod revisions do not compare: %w", err)
	}
	return nil
}
