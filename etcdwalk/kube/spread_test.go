package kube_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// spreadKeys have one name in several namespaces, and in several kinds.
var spreadKeys = []string{
	"/kubernetes.io/configmaps/shop/two-clusters",
	"/registry/apiextensions.k8s.io/customresourcedefinitions/widgets.example.com",
	"/registry/configmaps/dev/app",
	"/registry/configmaps/dev/app-1",
	"/registry/configmaps/prod/app",
	"/registry/configmaps/prod/single",
	"/registry/configmaps/shop/app",
	"/registry/configmaps/shop/two-clusters",
	"/registry/example.com/widgets/dev/app",
	"/registry/example.com/widgets/shop/app",
	"/registry/minions/app",
	"/registry/namespaces/app",
	"/registry/secrets/dev/app",
	"/registry/secrets/shop/app",
}

func TestSpread(t *testing.T) {
	var entries []etcdwalk.Entry
	for _, key := range spreadKeys {
		value := "{}"
		if key == spreadKeys[1] {
			value = `{"spec":{"group":"example.com","scope":"Namespaced","names":{"plural":"widgets","kind":"Widget","shortNames":["wd"]}}}`
		}
		entries = append(entries, etcdwalk.Entry{Key: []byte(key), Value: []byte(value)})
	}
	view := walktest.NewView(entries...)
	type in = kube.InNamespaces
	for name, c := range map[string]struct {
		filter         kube.Filter
		words, several []in
	}{
		"a name in three namespaces":           {kube.Filter{Include: []string{"cm/app"}}, []in{{"cm/app", 3}}, []in{{"cm/app", 3}}},
		"a name in one":                        {kube.Filter{Include: []string{"cm/single"}}, []in{{"cm/single", 1}}, nil},
		"a name that is not there":             {kube.Filter{Include: []string{"cm/nope"}}, []in{{"cm/nope", 0}}, nil},
		"a list, and a word twice":             {kube.Filter{Include: []string{"Secret/app,cm/single", "Secret/app"}}, []in{{"Secret/app", 2}, {"cm/single", 1}}, []in{{"Secret/app", 2}}},
		"a namespace is given":                 {kube.Filter{Include: []string{"cm/app"}, Namespaces: []string{"dev"}}, nil, nil},
		"a kind without namespaces":            {kube.Filter{Include: []string{"nodes/app", "ns/app"}}, nil, nil},
		"a type without a name":                {kube.Filter{Include: []string{"cm"}}, nil, nil},
		"the whole kind is taken all the same": {kube.Filter{Include: []string{"cm/app", "configmaps"}}, nil, nil},
		"a custom resource by a short name":    {kube.Filter{Include: []string{"wd/app"}}, []in{{"wd/app", 2}}, []in{{"wd/app", 2}}},
		"excluded":                             {kube.Filter{Include: []string{"cm/app"}, Exclude: []string{"cm/app"}}, []in{{"cm/app", 0}}, nil},
		"only excluded by a name":              {kube.Filter{Exclude: []string{"cm/app"}}, nil, nil},
		"a prefix leaves one namespace":        {kube.Filter{Include: []string{"cm/app"}, Prefixes: []string{"/registry/configmaps/dev/"}}, []in{{"cm/app", 1}}, nil},
		"one namespace under two prefixes":     {kube.Filter{Include: []string{"cm/two-clusters"}}, []in{{"cm/two-clusters", 2}}, nil},
		"everything":                           {kube.Filter{}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := spread(t, c.filter, view)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				s.See(e.Key)
			}
			if diff := cmp.Diff(c.words, s.Words()); diff != "" {
				t.Errorf("the words (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.several, s.Several()); diff != "" {
				t.Errorf("those in several namespaces (-want +got):\n%s", diff)
			}
		})
	}
}

func spread(t *testing.T, f kube.Filter, view etcdwalk.View) (*kube.Spread, error) {
	t.Helper()
	q := query(t, f)
	return q.Catalog(view).Spread(t.Context(), q)
}

// A view costs requests: it is read only for kinds that are not compiled in.
func TestSpreadReadsNothingForCompiledInKinds(t *testing.T) {
	for _, f := range []kube.Filter{{}, {Include: []string{"wd"}}, {Include: []string{"wd/app"}, Namespaces: []string{"dev"}}, {Include: []string{"cm/app", "secrets"}}} {
		if _, err := spread(t, f, noView{t}); err != nil {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

func TestSpreadOfAnUnknownKind(t *testing.T) {
	for _, words := range [][]string{{"wd/app"}, {"cm/app", "wd"}} {
		if _, err := spread(t, kube.Filter{Include: words}, walktest.NewView()); !errors.Is(err, kube.ErrUnknownKind) {
			t.Errorf("%q: got %v, want %v", words, err, kube.ErrUnknownKind)
		}
	}
}
