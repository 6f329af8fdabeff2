package ferry

import (
	"context"
	"fmt"
	"slices"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/need"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// passives are kinds that no controller looks after, unless an object has an owner.
var passives = []string{
	"clusterrolebindings.rbac.authorization.k8s.io", "clusterroles.rbac.authorization.k8s.io", "configmaps", "csidrivers.storage.k8s.io",
	"ingressclasses.networking.k8s.io", "limitranges", "networkpolicies.networking.k8s.io", "podtemplates", "priorityclasses.scheduling.k8s.io",
	"rolebindings.rbac.authorization.k8s.io", "roles.rbac.authorization.k8s.io", "runtimeclasses.node.k8s.io", "storageclasses.storage.k8s.io",
}

// An API server that sees an address before its Service deletes it, if it is old, and makes it
// anew as soon as it sees the Service (kubernetes: pkg/registry/core/service/ipallocator/
// controller/repairip.go).
const addressAnew = "the API server makes an address anew for its Service"

// passive tells whether one look at an object is enough.
func (p *Planned) passive(e etcdwalk.Entry) bool {
	if !slices.Contains(passives, p.layout.Classify(e.Key).Kind) {
		return false
	}
	_, m, err := object.Read(e.Value)
	return err == nil && len(m.Owners) == 0
}

// meta reads what an object says of itself.
func (p *Planned) meta(ctx context.Context, e etcdwalk.Entry) (object.Meta, error) {
	return p.query.Opener().Read(ctx, e.Key, e.Value)
}

// expected is the reason why an object goes as its kind goes; empty: it should have
// stayed.
func (p *Planned) expected(ctx context.Context, e etcdwalk.Entry) string {
	kind := p.layout.Classify(e.Key).Kind
	if e.Lease != 0 {
		return "its lease has run out"
	}
	if kind == need.AddressKind {
		return addressAnew
	}
	if kind == "nodes" {
		return "the machine of a node that is gone"
	}
	o, err := p.query.Opener().Decode(ctx, e.Key, e.Value)
	if err != nil {
		return ""
	}
	field := func(path ...string) (any, bool) { return at(o.Tree(), path...) }
	switch kind {
	case "jobs.batch":
		done := isOver(o.Tree())
		if _, limited := field("spec", "ttlSecondsAfterFinished"); done && limited {
			return "a Job that has ended is removed after its ttlSecondsAfterFinished"
		}
		if done && ownedBy(o.Meta, "CronJob") {
			return "a CronJob keeps as many Jobs as its history limit says"
		}
	case "replicasets.apps":
		if replicas, _ := field("spec", "replicas"); replicas == int64(0) && ownedBy(o.Meta, "Deployment") {
			return "a Deployment keeps as many old ReplicaSets as its revisionHistoryLimit says"
		}
	case "secrets":
		if t, _ := field("type"); fmt.Sprint(t) == "bootstrap.kubernetes.io/token" {
			return "a bootstrap token is removed when it has expired"
		}
	}
	return ""
}

// isOver tells whether a Job is over: one that has failed has no completionTime.
func isOver(job map[string]any) bool {
	if _, done := at(job, "status", "completionTime"); done {
		return true
	}
	all, _ := at(job, "status", "conditions")
	conditions, _ := all.([]any)
	return slices.ContainsFunc(conditions, func(c any) bool {
		condition, _ := c.(map[string]any)
		return condition["type"] == "Failed" && condition["status"] == "True"
	})
}

// at finds what lies at a path in a tree.
func at(tree map[string]any, path ...string) (any, bool) {
	for _, name := range path[:len(path)-1] {
		tree, _ = tree[name].(map[string]any)
	}
	v, ok := tree[path[len(path)-1]]
	return v, ok
}

func ownedBy(m object.Meta, kind string) bool {
	return slices.ContainsFunc(m.Owners, func(o object.Owner) bool { return o.Kind == kind && o.Controller })
}
