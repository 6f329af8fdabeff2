package kube_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// TestCategories: a word for several kinds takes those that are compiled in, and the custom
// ones whose definitions are of that category.
func TestCategories(t *testing.T) {
	view, keys := fixtureView(t)
	var entries []etcdwalk.Entry
	for e, err := range view.View.Walk(t.Context(), walktest.Everything()) {
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, etcdwalk.Entry{Key: bytes.Clone(e.Key), Value: bytes.Clone(e.Value)})
	}
	entries = slices.DeleteFunc(entries, func(e etcdwalk.Entry) bool { return string(e.Key) == definition })
	entries = append(entries, etcdwalk.Entry{Key: []byte(definition), Value: fmt.Appendf(nil,
		`{"kind":"CustomResourceDefinition","apiVersion":"apiextensions.k8s.io/v1","metadata":{"name":"widgets.shop.example.io"},`+
			`"spec":{"group":"shop.example.io","scope":"Namespaced","names":{"plural":"widgets","singular":"widget","kind":"Widget","categories":["all","goods"]}}}`)})
	slices.SortFunc(entries, func(a, b etcdwalk.Entry) int { return strings.Compare(string(a.Key), string(b.Key)) })
	whole := walktest.NewView(entries...)

	all := []string{
		"pods", "controllers", "services/specs", "daemonsets", "deployments", "replicasets", "statefulsets",
		"horizontalpodautoscalers", "cronjobs", "jobs", "routes",
		"shop.example.io/widgets", "shop.example.io/gadgets", "infra.example.io/regions", // whose definitions say so
	}
	for _, c := range []struct {
		filter kube.Filter
		paths  []string
		in     string
	}{
		{kube.Filter{Include: []string{"all"}}, all, ""},
		{kube.Filter{Include: []string{"ALL"}, Namespaces: []string{"shop-backend"}}, all, "/shop-backend/"}, // none of the cluster's
		{kube.Filter{Include: []string{"goods"}}, []string{"shop.example.io/widgets"}, ""},
		{kube.Filter{Include: []string{"goods,cm"}}, []string{"shop.example.io/widgets", "configmaps"}, ""},
		{kube.Filter{Include: []string{"api-extensions"}}, []string{"apiregistration.k8s.io/apiservices", "apiextensions.k8s.io/customresourcedefinitions",
			"mutatingadmissionpolicies", "mutatingadmissionpolicybindings", "mutatingwebhookconfigurations",
			"validatingadmissionpolicies", "validatingadmissionpolicybindings", "validatingwebhookconfigurations"}, ""},
	} {
		query, err := c.filter.Compile()
		if err != nil {
			t.Fatal(err)
		}
		sel, err := query.Resolve(t.Context(), whole)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, key := range keys {
			for _, prefix := range []string{"/registry/", "/kubernetes.io/", "/openshift.io/"} {
				path, below := strings.CutPrefix(key, prefix)
				if below && strings.Contains(key, c.in) && slices.ContainsFunc(c.paths, func(p string) bool { return strings.HasPrefix(path, p+"/") }) {
					want = append(want, key)
				}
			}
		}
		if got := keysOf(t, whole, sel); !slices.Equal(got, want) || len(want) == 0 {
			t.Errorf("%v (-got +want): %s", c.filter, cmp.Diff(got, want))
		}
	}
}

const definition = "/registry/apiextensions.k8s.io/customresourcedefinitions/widgets.shop.example.io"
