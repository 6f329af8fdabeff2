package ferry

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// A refusal by scenario says what is the case, and then only what would work on this
// target, which is looked into for it: who is sent from one scenario to the other and
// back learns nothing.

// elsewhere says what cannot be done yet in a cluster that is not the archive's, and
// what can.
func elsewhere(q kube.Query) string {
	what := "to restore into another cluster, or into one that was recreated, is not possible yet"
	if q.Narrow() {
		what = "to put a part of an archive, such as one namespace, into another cluster, or back into one that was recreated, is not possible yet"
	}
	return what + "; --scenario=new fills an etcd without keys, such as one with a new data directory, whose API servers are stopped"
}

// another says that the target is proven to be another cluster.
func another(q kube.Query, p pair) string {
	return fmt.Sprintf("the archive is of the cluster whose kube-system has UID %s, the target's has %s: it is another cluster, or the same one recreated, as by kubeadm init; "+
		"if the wrong target was named, name the right one with --endpoints; %s", p.archive.UID, p.target.UID, elsewhere(q))
}

// notNew refuses a target that holds what this source would not have put there.
func (r Restore) notNew(p *Planned, live, foreign []byte, b belonging) error {
	what := fmt.Sprintf("the target is not new: it holds key %s, which this restore would not put there", quoted(foreign))
	if live != nil {
		what += fmt.Sprintf(", and a kube-apiserver uses it, or did until seconds ago (key %s)", quoted(live))
	}
	if err := r.contradicted(p.Target); err != nil {
		return fmt.Errorf("%s; %w", what, err)
	}
	var way string
	switch {
	case b.other != nil:
		way = another(p.query, *b.other)
	case len(b.unproven) == 0:
		way = "it is the archive's own cluster: leave --scenario=new out"
	case len(b.open) == 0:
		way = "--cluster-is says that it is the archive's own cluster: leave --scenario=new out"
	case len(b.names) > 0:
		way = fmt.Sprintf("if you are sure that it is the archive's own cluster, leave --scenario=new out and say --cluster-is %s; %s", strings.Join(b.names, ","), elsewhere(p.query))
	default:
		way = nameless + "; " + elsewhere(p.query)
	}
	if live != nil && (b.other != nil || len(b.open) > 0) {
		way += "; " + filledAnew
	}
	return fmt.Errorf("%s; %s%.0w", what, way, etcdwalk.ErrRefused)
}

// nameless is a target of which the user cannot say that it is meant.
const nameless = "nothing tells whether the target is the archive's cluster, and it has no name that --cluster-is could confirm"

// undecided says why nothing tells whether two clusters are one, and what can be done
// about that.
func undecided(ctx context.Context, p *Planned, b belonging) error {
	archived, target, open := p.source.Info().ClusterID, p.Target.ClusterID, b.open[0]
	what := fmt.Sprintf("it is not known whether the archive is of this cluster: under %s kube-system's UID is %s in the archive (etcd cluster %s), and %s in the target (etcd cluster %s)",
		open.target.Prefix, open.archive, archived, open.target, target)
	if open.archive.Relate(archived, open.target, target) == etcdwalk.OtherStore {
		which := "neither has a kube-system"
		if open.tells() {
			which = "only one of them has a kube-system"
		}
		what = fmt.Sprintf("the archive is of etcd cluster %s, the target is %s, and %s that would tell more", archived, target, which)
	}
	fill, err := fillable(ctx, p)
	if err != nil {
		return fmt.Errorf("%s; looking whether it is a new one: %w", what, err)
	}
	ways := []string{what}
	if fill != "" {
		ways = append(ways, fill)
	}
	if len(b.names) > 0 {
		ways = append(ways, fmt.Sprintf("if you are sure that this target is the archive's own cluster, --cluster-is=%s says so", strings.Join(b.names, ",")))
	}
	if fill == "" && len(b.names) == 0 {
		ways = append(ways, nameless)
	}
	if fill == "" {
		ways = append(ways, elsewhere(p.query))
	}
	return fmt.Errorf("%s%.0w", strings.Join(ways, "; "), etcdwalk.ErrRefused)
}

// fillable says that the target can be filled as a new one; empty: it cannot, or who
// restores may not see whether it can.
func fillable(ctx context.Context, p *Planned) (string, error) {
	live, foreign, err := p.inhabited(ctx)
	switch {
	case errors.Is(err, etcdwalk.ErrDenied):
		return "", nil
	case err != nil:
		return "", err
	case live != nil || foreign != nil:
		return "", nil
	}
	some, err := etcdwalk.Any(ctx, p.target, etcdwalk.Selection{Ranges: p.layout.Scope()})
	if some {
		return "the target holds nothing but what the archive would put there: --scenario=new goes on with a new cluster that a restore has filled in part", err
	}
	return "the target holds no keys of Kubernetes: if it is for a new cluster whose API servers are stopped, --scenario=new fills it", err
}
