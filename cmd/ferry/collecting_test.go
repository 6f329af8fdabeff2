package ferry_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// TestWhatIsBeingCollectedIsNotRestoredAround: an owner was deleted, of what it owned some is
// gone and some is on the garbage collector's list. What is there would pass as unchanged,
// and be gone after the restore has ended.
func TestWhatIsBeingCollectedIsNotRestoredAround(t *testing.T) {
	s := storeInMemory(t)
	s.empty(t)
	inhabit(t, s, rand.New(rand.NewPCG(2, 3)))
	key := func(name string) []byte { return []byte("/registry/configmaps/b/" + name) }
	put := func(name, more string) {
		t.Helper()
		value := fmt.Sprintf(`{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":%q,"namespace":"b","uid":"uid-%s"%s}}`, name, name, more)
		if r := s.Apply(t.Context(), []etcdwalk.Write{{Key: key(name), Value: []byte(value)}})[0]; r.State != etcdwalk.WriteApplied {
			t.Fatal(r.Err)
		}
	}
	owned := `,"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"owner","uid":"uid-owner"}]`
	put("owner", "")
	put("one", owned)
	put("other", owned)
	archive := walktest.NewView(s.entries(t)...)
	archive.About.Revision = 1
	remove := func(name string) {
		t.Helper()
		e, err := s.Lookup(t.Context(), [][]byte{key(name)})
		if err != nil || e[0] == nil {
			t.Fatalf("%s: %v", name, err)
		}
		s.Apply(t.Context(), []etcdwalk.Write{{Key: key(name), Seen: e[0].ModRevision, Delete: true}})
	}
	remove("owner")
	remove("one")
	r := ferry.Restore{Source: archive, Query: query(t, kube.Filter{Include: []string{"configmaps"}, Namespaces: []string{"b"}}), Cluster: s.Source, Target: s.Target,
		ClusterIs: []string{"uid-namespaces-kube-system"}, Allow: []string{kube.Collecting}}
	allowed, err := r.Plan(t.Context())
	if err != nil || allowed.Counts[replay.Created] != 2 {
		t.Fatalf("allowed: %v", err)
	}
	r.Allow = nil
	_, err = r.Plan(t.Context())
	if !errors.Is(err, etcdwalk.ErrRefused) || !strings.Contains(err.Error(), "collecting: there is still what belongs to owners that are gone, of 1 of them") || !strings.Contains(err.Error(), "/registry/configmaps/b/other") {
		t.Fatalf("got %v", err)
	}
	remove("other")
	planned, err := r.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	done, err := r.Apply(t.Context(), planned)
	if err != nil || done.Counts[replay.Created] != 3 {
		t.Errorf("%v, %v", done.Counts, err)
	}
	if _, err := r.Plan(t.Context()); err != nil {
		t.Errorf("all is there: %v", err)
	}
}

// TestLeftoversOfAKindWithoutADefinitionAreNotCollected: of custom resources whose definition
// is gone nobody knows, and nobody collects them. They are unchanged when it comes back.
func TestLeftoversOfAKindWithoutADefinitionAreNotCollected(t *testing.T) {
	s := storeInMemory(t)
	s.empty(t)
	inhabit(t, s, rand.New(rand.NewPCG(2, 3)))
	const definition, owner, owned = "/registry/apiextensions.k8s.io/customresourcedefinitions/machines.farm.io", "/registry/farm.io/machines/b/owner", "/registry/farm.io/machines/b/owned"
	put := func(key, value string) {
		t.Helper()
		if r := s.Apply(t.Context(), []etcdwalk.Write{{Key: []byte(key), Value: []byte(value)}})[0]; r.State != etcdwalk.WriteApplied {
			t.Fatal(r.Err)
		}
	}
	put(definition, `{"kind":"CustomResourceDefinition","apiVersion":"apiextensions.k8s.io/v1","metadata":{"name":"machines.farm.io","uid":"crd"},"spec":{"group":"farm.io","scope":"Namespaced","names":{"plural":"machines","kind":"Machine"},"versions":[{"name":"v1","served":true,"storage":true}]}}`)
	put(owner, `{"kind":"Machine","apiVersion":"farm.io/v1","metadata":{"name":"owner","namespace":"b","uid":"one"}}`)
	put(owned, `{"kind":"Machine","apiVersion":"farm.io/v1","metadata":{"name":"owned","namespace":"b","uid":"two","ownerReferences":[{"apiVersion":"farm.io/v1","kind":"Machine","name":"owner","uid":"one"}]}}`)
	archive := walktest.NewView(s.entries(t)...)
	archive.About.Revision = 1
	r := ferry.Restore{Source: archive, Query: query(t, kube.Filter{Include: []string{"machines.farm.io", "crd"}}), Cluster: s.Source, Target: s.Target, ClusterIs: []string{"uid-namespaces-kube-system"}}
	s.lose(t, owner)
	if _, err := r.Plan(t.Context()); !errors.Is(err, etcdwalk.ErrRefused) {
		t.Errorf("with its definition: %v", err)
	}
	s.lose(t, definition)
	planned, err := r.Plan(t.Context())
	if err != nil || planned.Counts[replay.Created] != 2 || planned.Counts[replay.Unchanged] != 1 {
		t.Errorf("without: %v, %v", planned.Counts, err)
	}
}

// TestWhatStandsBesideIsLookedAtAgain: what was there when its owner came back was not written,
// and is watched all the same.
func TestWhatStandsBesideIsLookedAtAgain(t *testing.T) {
	s := storeInMemory(t)
	s.empty(t)
	inhabit(t, s, rand.New(rand.NewPCG(2, 3)))
	const owner, owned = "/registry/configmaps/b/owner", "/registry/configmaps/b/owned"
	put := func(key, value string) {
		t.Helper()
		if r := s.Apply(t.Context(), []etcdwalk.Write{{Key: []byte(key), Value: []byte(value)}})[0]; r.State != etcdwalk.WriteApplied {
			t.Fatal(r.Err)
		}
	}
	put(owner, `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"owner","namespace":"b","uid":"one"}}`)
	put(owned, `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"owned","namespace":"b","uid":"two","ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"owner","uid":"one"}]}}`)
	archive := walktest.NewView(s.entries(t)...)
	archive.About.Revision = 1
	s.lose(t, owner)
	r := ferry.Restore{Source: archive, Query: query(t, kube.Filter{Include: []string{"configmaps"}, Namespaces: []string{"b"}}), Cluster: s.Source, Target: s.Target,
		ClusterIs: []string{"uid-namespaces-kube-system"}, Allow: []string{kube.Collecting}}
	planned, err := r.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if done, err := r.Apply(t.Context(), planned); err != nil || done.Counts[replay.Created] != 1 {
		t.Fatalf("%v, %v", done.Counts, err)
	}
	if a, err := r.Watch(t.Context(), planned, time.Millisecond); err != nil {
		t.Errorf("all is there: %+v, %v", a, err)
	}
	s.lose(t, owned)
	if a, err := r.Watch(t.Context(), planned, time.Millisecond); !errors.Is(err, ferry.ErrIncomplete) || len(a.Lost) != 1 || a.Lost[0].Key != owned {
		t.Errorf("%+v, %v", a, err)
	}
}
