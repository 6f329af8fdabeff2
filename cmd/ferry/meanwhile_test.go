package ferry_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// TestWhatControllersMakeOfEachNamespaceGivesWay: between plan and apply a controller makes a
// namespace's certificate and account anew. They give way to those of the archive; what
// somebody else has made, or what was there before, does not.
func TestWhatControllersMakeOfEachNamespaceGivesWay(t *testing.T) {
	for _, c := range []struct {
		key, kind string
		gives     bool
	}{
		{"/registry/configmaps/b/kube-root-ca.crt", "ConfigMap", true},
		{"/registry/serviceaccounts/b/default", "ServiceAccount", true},
		{"/registry/configmaps/b/settings", "ConfigMap", false},
	} {
		s := storeInMemory(t)
		s.empty(t)
		inhabit(t, s, rand.New(rand.NewPCG(2, 3)))
		name := classOf(t, c.key).Name
		put := func(uid string, seen int64) {
			t.Helper()
			value := `{"kind":"` + c.kind + `","apiVersion":"v1","metadata":{"name":"` + name + `","namespace":"b","uid":"` + uid + `"}}`
			if r := s.Apply(t.Context(), []etcdwalk.Write{{Key: []byte(c.key), Value: []byte(value), Seen: seen}})[0]; r.State != etcdwalk.WriteApplied {
				t.Fatal(r.Err)
			}
		}
		put("then", 0)
		archive := walktest.NewView(s.entries(t)...)
		archive.About.Revision = 1
		s.lose(t, c.key)
		r := ferry.Restore{Source: archive, Query: query(t, kube.Filter{Include: []string{"configmaps", "serviceaccounts"}, Namespaces: []string{"b"}}),
			Cluster: s.Source, Target: s.Target, ClusterIs: []string{"uid-namespaces-kube-system"}}
		planned, err := r.Plan(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		put("now", 0) // a controller
		done, err := r.Apply(t.Context(), planned)
		if c.gives && (err != nil || s.uids(t)[c.key] != "then" || done.Counts[replay.Created] != 1) {
			t.Errorf("%s: %v, %v, uid %s", c.key, done.Counts, err, s.uids(t)[c.key])
		}
		if !c.gives && (!errors.Is(err, replay.ErrConflict) || s.uids(t)[c.key] != "now") {
			t.Errorf("%s: %v, %v, uid %s", c.key, done.Counts, err, s.uids(t)[c.key])
		}
		if !c.gives {
			continue
		}
		s.lose(t, c.key)
		put("now", 0)
		if _, err := r.Plan(t.Context()); !errors.Is(err, replay.ErrConflict) {
			t.Errorf("%s: one that was there before: %v", c.key, err)
		}
	}
}
