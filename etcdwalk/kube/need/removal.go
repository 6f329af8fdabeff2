package need

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// A Removal says of objects that a target holds why they must not be deleted: past the
// API servers nobody is asked for them, and nothing of theirs is cleared away. Once it knows what
// owns disks it may be asked by several at once.
type Removal struct {
	Rules  *kube.Rules
	Layout *kube.Layout
	Query  kube.Query // of which only the prefixes count, and what opens values
	Target holder
	View   etcdwalk.View // of the target
	// Goes tells of an object that it is to be deleted too.
	Goes func(have etcdwalk.Entry) bool

	disks   map[string]string // what the owners of disks own, by their keys
	catalog *kube.Catalog     // of the view
}

// Forbids is why an object must not be deleted, whatever else is in its namespace; empty: it
// may be.
func (r *Removal) Forbids(ctx context.Context, have etcdwalk.Entry) string {
	if reason := r.Owns(have.Key); reason != "" {
		return reason
	}
	kind := r.Layout.Classify(have.Key).Kind
	disk := ""
	if r.Rules.Binds(kube.DeleteVolumes) {
		disk = fmt.Sprintf("%s: with it its disk may go; --allow %s deletes it", kube.DeleteVolumes, kube.DeleteVolumes)
	}
	if kind == "persistentvolumeclaims" && disk != "" {
		return disk
	}
	o, err := r.Query.Opener().Decode(ctx, have.Key, have.Value)
	switch {
	case errors.Is(err, object.ErrSealed) && r.Rules.Binds(kube.DeleteFinalizers):
		return fmt.Sprintf("%s: its finalizers cannot be read; --encryption-config opens it, and --allow %s deletes it without", kube.DeleteFinalizers, kube.DeleteFinalizers)
	case err != nil && kind == "persistentvolumes" && disk != "":
		return disk // nobody can read what becomes of it
	case err != nil:
		return "" // no object
	case kind == "persistentvolumes" && disk != "" && field(o.Tree()).in("spec").text("persistentVolumeReclaimPolicy") == "Delete":
		return disk
	case len(o.Meta.Finalizers) > 0 && r.Rules.Binds(kube.DeleteFinalizers):
		return fmt.Sprintf("%s: %s is to be asked first; --allow %s deletes it without", kube.DeleteFinalizers, strings.Join(o.Meta.Finalizers, ", "), kube.DeleteFinalizers)
	}
	return ""
}

// Inhabited is why a Namespace object must not be deleted, by its key: what stays in it would be
// in no namespace any more, where its finalizers cannot be asked. Empty: it may be.
func (r *Removal) Inhabited(ctx context.Context, namespace []byte) (string, error) {
	name := r.Layout.Classify(namespace).Name
	q, err := kube.Filter{Namespaces: []string{name}, Prefixes: r.Query.Words().Prefixes}.Compile()
	if err != nil {
		return "", fmt.Errorf("look into namespace %s: %w", name, err)
	}
	sel, err := r.catalog.Resolve(ctx, q)
	if err != nil {
		return "", fmt.Errorf("look into namespace %s: %w", name, err)
	}
	for e, err := range r.View.Walk(ctx, sel) {
		switch {
		case err != nil:
			return "", fmt.Errorf("look into namespace %s: %w", name, err)
		case string(e.Key) != string(namespace) && (!r.Goes(e) && !r.follows(ctx, e) || r.Forbids(ctx, e) != ""):
			return "objects in it would stay, such as " + r.Layout.Name(e.Key), nil
		}
	}
	return "", nil
}

// follows tells whether controllers have made an object for a namespace, or for what is in it:
// they take it away, or it does no harm.
func (r *Removal) follows(ctx context.Context, e etcdwalk.Entry) bool {
	if kind := r.Layout.Classify(e.Key).Kind; kind == "events" || kind == "endpoints" || r.Layout.Furnishes(e.Key) {
		return true
	}
	m, err := r.Query.Opener().Read(ctx, e.Key, e.Value)
	return err == nil && len(m.Owners) > 0
}
