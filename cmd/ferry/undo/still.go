package undo

import (
	"context"
	"errors"
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
	others map[string]string // what others have made in namespaces of the change, by their keys
}

// why is why a key is to be left alone; empty: it need not be.
func (s *still) why(ctx context.Context, want etcdwalk.Entry, have *etcdwalk.Entry) string {
	t := s.view.touched[s.view.hash(want.Key)]
	switch {
	case t.fate != created && want.Value == nil:
		return "it had been written before the change could touch it"
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
	kind := s.layout.Classify(have.Key).Kind
	if kind == "namespaces" {
		return s.inhabited(have.Key)
	}
	disk := func() string {
		if !s.rules.Binds(kube.UndoVolumes) {
			return ""
		}
		return fmt.Sprintf("%s: with it its disk may go; --allow %s deletes it", kube.UndoVolumes, kube.UndoVolumes)
	}
	if kind == "persistentvolumeclaims" {
		if why := disk(); why != "" {
			return why
		}
	}
	o, err := s.query.Opener().Decode(ctx, have.Key, have.Value)
	switch {
	case errors.Is(err, object.ErrSealed) && s.rules.Binds(kube.UndoFinalizers):
		return "its finalizers cannot be read; --encryption-config opens it, and --allow " + kube.UndoFinalizers + " deletes it without"
	case err != nil:
		return "" // no object
	case kind == "persistentvolumes" && policyOf(o) == "Delete" && disk() != "":
		return disk()
	case len(o.Meta.Finalizers) > 0 && s.rules.Binds(kube.UndoFinalizers):
		return fmt.Sprintf("%s: %s is to be asked first; --allow %s deletes it without", kube.UndoFinalizers, strings.Join(o.Meta.Finalizers, ", "), kube.UndoFinalizers)
	}
	return ""
}

// inhabited tells whether a namespace holds what others have made: it would be in no namespace
// any more.
func (s *still) inhabited(key []byte) string {
	if other := s.others[string(key)]; other != "" {
		return "others have made objects in it, such as " + other
	}
	return ""
}

// settled finds the objects of others in the namespaces that the change has made.
func (s *still) settled(ctx context.Context, view etcdwalk.View) error {
	s.others = map[string]string{}
	for _, made := range s.view.spaces {
		name := s.layout.Classify(made).Name
		q, err := kube.Filter{Namespaces: []string{name}, Prefixes: s.query.Words().Prefixes}.Compile()
		if err != nil {
			return err
		}
		sel, err := q.Resolve(ctx, view)
		if err != nil {
			return err
		}
		for e, err := range view.Walk(ctx, sel) {
			if err != nil {
				return fmt.Errorf("look for what others have made in namespace %s: %w", name, err)
			}
			if string(e.Key) != string(made) && s.anothers(ctx, e) {
				s.others[string(made)] = s.layout.Name(e.Key)
				break
			}
		}
	}
	return nil
}

// anothers tells whether an object in such a namespace is neither the change's nor made by
// controllers for what is in it.
func (s *still) anothers(ctx context.Context, e etcdwalk.Entry) bool {
	if s.view.touched[s.view.hash(e.Key)].fate == created {
		return false
	}
	if kind := s.layout.Classify(e.Key).Kind; kind == "events" || kind == "endpoints" || s.layout.Furnishes(e.Key) {
		return false
	}
	m, err := s.query.Opener().Read(ctx, e.Key, e.Value)
	return err != nil || len(m.Owners) == 0
}

// policyOf is the reclaim policy of a volume. Without one it is Retain (kubernetes:
// pkg/apis/core/v1/defaults.go).
func policyOf(o *object.Object) string {
	spec, _ := o.Tree()["spec"].(map[string]any)
	policy, _ := spec["persistentVolumeReclaimPolicy"].(string)
	return policy
}
