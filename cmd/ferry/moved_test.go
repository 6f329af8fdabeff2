package ferry_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// TestWhatMovesAfterThePlanIsNotReplaced: a plan shows one object that would be replaced. What
// a colleague writes before it is applied, nobody has agreed to replace.
func TestWhatMovesAfterThePlanIsNotReplaced(t *testing.T) {
	s := storeInMemory(t)
	s.empty(t)
	inhabit(t, s, rand.New(rand.NewPCG(2, 3)))
	write := func(name, data string) {
		t.Helper()
		key := []byte("/registry/configmaps/b/" + name)
		have, err := s.Lookup(t.Context(), [][]byte{key})
		if err != nil {
			t.Fatal(err)
		}
		w := etcdwalk.Write{Key: key, Value: []byte(`{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"` + name + `","namespace":"b","uid":"uid-` + name + `"},"data":{"a":"` + data + `"}}`)}
		if have[0] != nil {
			w.Seen = have[0].ModRevision
		}
		if r := s.Apply(t.Context(), []etcdwalk.Write{w})[0]; r.State != etcdwalk.WriteApplied {
			t.Fatal(r.Err)
		}
	}
	for _, name := range []string{"edited", "unchanged", "gone"} {
		write(name, "then")
	}
	archive := walktest.NewView(s.entries(t)...)
	archive.About.Revision = 1
	write("edited", "now")
	s.lose(t, "/registry/configmaps/b/gone")
	r := ferry.Restore{Source: archive, Query: query(t, kube.Filter{Include: []string{"configmaps"}, Namespaces: []string{"b"}}), Cluster: s.Source, Target: s.Target,
		Policy: replay.Overwrite, ClusterIs: []string{"uid-namespaces-kube-system"}}
	planned, err := r.Plan(t.Context())
	if err != nil || planned.Counts[replay.Replaced] != 1 || planned.Counts[replay.Created] != 1 {
		t.Fatalf("%v, %v", planned.Counts, err)
	}
	write("unchanged", "a colleague's")
	write("gone", "a colleague's")
	done, err := r.Apply(t.Context(), planned)
	if !errors.Is(err, ferry.ErrIncomplete) || done.Counts[replay.Replaced] != 1 || done.Counts[replay.Moved] != 1 || done.Counts[replay.Created] != 0 {
		t.Errorf("%v, %v", done.Counts, err)
	}
	for _, line := range done.Examples[replay.Moved] {
		if line.Reason != "it was created since the plan was made" {
			t.Errorf("%s: %s", line.Key, line.Reason)
		}
	}
	for _, e := range s.entries(t) { // what was to stay, the apply does not even look at
		if string(e.Key) == "/registry/configmaps/b/unchanged" && !strings.Contains(string(e.Value), "colleague") {
			t.Errorf("%s was replaced", e.Key)
		}
	}
	if planned, err = r.Plan(t.Context()); err != nil || planned.Counts[replay.Replaced] != 2 {
		t.Errorf("planned anew: %v, %v", planned.Counts, err)
	}
}
