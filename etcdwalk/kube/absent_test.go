package kube_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

func TestAbsentTellsWhatIsNamedAndNotThere(t *testing.T) {
	var entries []etcdwalk.Entry
	for _, key := range []string{
		"/registry/configmaps/shop/one", "/registry/configmaps/bare/two", "/registry/minions/n1", "/registry/namespaces/shop",
	} {
		entries = append(entries, etcdwalk.Entry{Key: []byte(key), Value: []byte("{}")})
	}
	for _, tt := range []struct {
		name   string
		filter kube.Filter
		want   []string
	}{
		{"nothing is named", kube.Filter{Include: []string{"cm,pods"}}, nil},
		{"all is there", kube.Filter{Include: []string{"cm/one", "no/n1"}, Namespaces: []string{"shop"}}, nil},
		{"an object is in one of the namespaces", kube.Filter{Include: []string{"cm/one"}, Namespaces: []string{"shop", "bare"}}, nil},
		{"a namespace has keys and no object", kube.Filter{Include: []string{"pods"}, Namespaces: []string{"bare"}}, nil},
		{"one object of two", kube.Filter{Include: []string{"cm/one,cm/nope"}}, []string{"cm/nope"}},
		{"an object in another namespace", kube.Filter{Include: []string{"cm/two"}, Namespaces: []string{"shop"}}, []string{"cm/two"}},
		{"one namespace of two", kube.Filter{Include: []string{"cm"}, Namespaces: []string{"shop,shp"}}, []string{`namespace "shp" (did you mean shop?)`}},
		{"a namespace beside a kind without any", kube.Filter{Include: []string{"nodes"}, Namespaces: []string{"zz"}}, []string{`namespace "zz"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := absent(t, tt.filter, walktest.NewView(entries...))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(got, tt.want); diff != "" {
				t.Errorf("absent (-got +want):\n%s", diff)
			}
		})
	}
}

func TestAbsentDoesNotTakeAnErrorForAbsence(t *testing.T) {
	view := walktest.NewView()
	view.Err = errors.New("the walk fails")
	for _, f := range []kube.Filter{{Include: []string{"cm/one"}}, {Namespaces: []string{"shop"}}} {
		if got, err := absent(t, f, view); !errors.Is(err, view.Err) {
			t.Errorf("%+v: got %q, %v, want %v", f, got, err, view.Err)
		}
	}
}

// absent is all that a filter names and a view has not.
func absent(t *testing.T, f kube.Filter, view etcdwalk.View) ([]string, error) {
	t.Helper()
	q := query(t, f)
	catalog := q.Catalog(view)
	objects, err := catalog.Absent(t.Context(), q)
	if err != nil {
		return nil, err
	}
	namespaces, err := catalog.AbsentNamespaces(t.Context(), q)
	return append(objects, namespaces...), err
}
