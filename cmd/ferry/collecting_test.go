package ferry_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

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
	if planned, err := r.Plan(t.Context()); err != nil || planned.Counts[replay.Created] != 2 {
		t.Fatalf("allowed: %v", err)
	}
	r.Allow = nil
	_, err := r.Plan(t.Context())
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
