package undo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/etcdwalk/replay/journal"
)

// still tells whether what the cluster holds is what the change made of it.
type still struct {
	view   *before
	digest func(etcdwalk.Entry) journal.Digest
	query  kube.Query
	layout *kube.Layout
	rules  *kube.Rules
}

// why is why a key is to be left alone; empty: it need not be.
func (s *still) why(ctx context.Context, want etcdwalk.Entry, have *etcdwalk.Entry) string {
	t := s.view.touched[s.view.hash(want.Key)]
	switch {
	case have == nil && t.fate == replaced:
		return "it was deleted since"
	case have == nil:
		return ""
	case t.fate == deleted:
		return "it was made anew since" + s.by(ctx, *have)
	case s.digest(*have) != t.made:
		return "it was written since" + s.by(ctx, *have)
	case t.fate == created:
		return s.holds(ctx, *have)
	}
	return ""
}

// by says who wrote an object last, if it tells.
func (s *still) by(ctx context.Context, have etcdwalk.Entry) string {
	o, err := s.query.Opener().Decode(ctx, have.Key, have.Value)
	if err != nil {
		return ""
	}
	about, _ := o.Tree()["metadata"].(map[string]any)
	fields, _ := about["managedFields"].([]any)
	who, when := "", time.Time{}
	for _, f := range fields {
		entry, _ := f.(map[string]any)
		manager, _ := entry["manager"].(string)
		text, _ := entry["time"].(string)
		if at, err := time.Parse(time.RFC3339, text); err == nil && !at.Before(when) {
			who, when = manager, at
		}
	}
	if who == "" {
		return ""
	}
	return fmt.Sprintf(", by %s at %s", who, when.UTC().Format(time.RFC3339))
}

// holds tells what keeps an object from being deleted.
func (s *still) holds(ctx context.Context, have etcdwalk.Entry) string {
	class := s.layout.Classify(have.Key)
	o, err := s.query.Opener().Decode(ctx, have.Key, have.Value)
	if err != nil {
		return "" // a custom value, or a sealed one: nobody knows of finalizers
	}
	disk := class.Kind == "persistentvolumeclaims" || class.Kind == "persistentvolumes" && policyOf(o) == "Delete"
	switch {
	case disk && s.rules.Binds(kube.UndoVolumes):
		return fmt.Sprintf("%s: with it its disk may go; --allow %s deletes it", kube.UndoVolumes, kube.UndoVolumes)
	case len(o.Meta.Finalizers) > 0 && s.rules.Binds(kube.UndoFinalizers):
		return fmt.Sprintf("%s: %s is to be asked first; --allow %s deletes it without", kube.UndoFinalizers, strings.Join(o.Meta.Finalizers, ", "), kube.UndoFinalizers)
	}
	return ""
}

// policyOf is the reclaim policy of a volume. Without one it is Retain (kubernetes:
// pkg/apis/core/v1/defaults.go).
func policyOf(o *object.Object) string {
	spec, _ := o.Tree()["spec"].(map[string]any)
	policy, _ := spec["persistentVolumeReclaimPolicy"].(string)
	return policy
}
