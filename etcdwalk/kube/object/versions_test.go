package object_test

import (
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// TestNewer: an object that is stored in a version from which API servers have moved on is
// told apart from one that is stored as they store it.
func TestNewer(t *testing.T) {
	crd := object.OfTree(object.Meta{}, map[string]any{"spec": map[string]any{"versions": []any{
		map[string]any{"name": "v1beta1", "storage": false}, map[string]any{"name": "v1", "storage": true},
	}}})
	for _, c := range []struct {
		apiVersion, kind string
		definition       *object.Object
		want             string
	}{
		{"v1", "Pod", nil, ""},
		{"v1", "Event", nil, ""},
		{"apps/v1", "Deployment", nil, ""},
		{"apps/v1beta1", "Deployment", nil, "apps/v1"},
		{"extensions/v1beta1", "Deployment", nil, "apps/v1"},
		{"extensions/v1beta1", "Ingress", nil, "networking.k8s.io/v1"},
		{"autoscaling/v1", "HorizontalPodAutoscaler", nil, "autoscaling/v2"},
		{"autoscaling/v2", "HorizontalPodAutoscaler", nil, ""},
		{"policy/v1beta1", "PodDisruptionBudget", nil, "policy/v1"},
		{"policy/v1beta1", "PodSecurityPolicy", nil, ""}, // which has no newer one
		{"shop.example.io/v1beta1", "Widget", nil, ""},
		{"shop.example.io/v1beta1", "Widget", crd, "shop.example.io/v1"},
		{"shop.example.io/v1", "Widget", crd, ""},
		{"shop.example.io/v1", "Widget", object.OfTree(object.Meta{}, map[string]any{"spec": "odd"}), ""},
		{"a/b/c", "Pod", nil, ""},
	} {
		o := object.Object{Meta: object.Meta{APIVersion: c.apiVersion, Kind: c.kind}}
		if got := o.Newer(c.definition); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.apiVersion, c.kind, got, c.want)
		}
	}
}
