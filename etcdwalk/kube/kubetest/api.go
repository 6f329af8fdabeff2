package kubetest

import (
	"context"
	"fmt"
	"slices"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// deletedAt is the time of all deletions: nobody reads it.
const deletedAt = "2026-12-01T00:00:00Z"

// cleanup is the finalizer that the API server gives to a definition that is deleted.
const cleanup = "customresourcecleanup.apiextensions.k8s.io"

// Delete deletes the object under a key as somebody does who asks the API server for it:
// what has finalizers, a namespace, a definition or a running pod is only marked, and its
// controller does the rest.
func (c *Controllers) Delete(ctx context.Context, key string) error {
	s, err := c.look(ctx)
	if err != nil {
		return err
	}
	o := s.byKey[key]
	if o == nil {
		return fmt.Errorf("delete %q: there is no such object", key)
	}
	return c.remove(ctx, "somebody", s, o)
}

// Release takes the finalizers off objects that are being deleted, as somebody does who
// waits for a namespace that does not go.
func (c *Controllers) Release(ctx context.Context, of func(key string) bool) error {
	s, err := c.look(ctx)
	if err != nil {
		return err
	}
	for _, o := range s.all {
		if o.Meta.Deleting && of(o.key) {
			for _, finalizer := range o.Meta.Finalizers {
				if err := c.unfinalise(ctx, "somebody", o, finalizer); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// remove is a call to delete an object.
func (c *Controllers) remove(ctx context.Context, who string, s *state, o *item) error {
	kind := o.class.Kind
	if o.Meta.Deleting {
		return nil
	}
	phase := o.text("status", "phase")
	running := kind == "pods" && o.text("spec", "nodeName") != "" && phase != "Succeeded" && phase != "Failed"
	definition := kind == "customresourcedefinitions.apiextensions.k8s.io"
	if kind != "namespaces" && !definition && !running && len(o.Meta.Finalizers) == 0 {
		if err := c.write(ctx, who, etcdwalk.Write{Key: []byte(o.key), Seen: o.revision, Delete: true}); err != nil || kind != "services" {
			return err
		}
		return c.free(ctx, s, o)
	}
	tree, about := o.changed()
	about["deletionTimestamp"] = deletedAt
	switch {
	case definition:
		about["finalizers"] = []any{cleanup}
	case kind == "namespaces":
		tree["status"] = map[string]any{"phase": "Terminating"}
	}
	return c.put(ctx, who, o, tree)
}

// unfinalise takes a finalizer off. With the last one goes what is being deleted.
func (c *Controllers) unfinalise(ctx context.Context, who string, o *item, finalizer string) error {
	if !slices.Contains(o.Meta.Finalizers, finalizer) {
		return nil
	}
	tree, about := o.changed()
	left := []any{}
	for _, f := range o.Meta.Finalizers {
		if f != finalizer {
			left = append(left, f)
		}
	}
	about["finalizers"] = left
	if o.Meta.Deleting && len(left) == 0 {
		return c.write(ctx, who, etcdwalk.Write{Key: []byte(o.key), Seen: o.revision, Delete: true})
	}
	return c.put(ctx, who, o, tree)
}
