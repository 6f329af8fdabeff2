package ferry_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

const (
	webDeployment = "/registry/deployments/a/web0"
	webReplicaSet = "/registry/replicasets/a/web0-1"
)

// ofWeb is a restore of a Deployment and its ReplicaSet out of a store's past, into the store.
func ofWeb(t *testing.T) (*store, ferry.Restore) {
	t.Helper()
	s := storeInMemory(t)
	s.empty(t)
	inhabit(t, s, rand.New(rand.NewPCG(1, 3)))
	archive := walktest.NewView(s.entries(t)...)
	archive.About.Revision = 1
	return s, ferry.Restore{Source: archive, Query: query(t, kube.Filter{Include: []string{"deploy/web0", "rs/web0-1"}, Namespaces: []string{"a"}}),
		Cluster: s.Source, Target: s.Target, Policy: replay.Skip, ClusterIs: []string{"uid-namespaces-kube-system"}}
}

// rewrite replaces what a key holds.
func (s *store) rewrite(t *testing.T, key, value string) {
	t.Helper()
	have, err := s.Lookup(t.Context(), [][]byte{[]byte(key)})
	if err != nil || have[0] == nil {
		t.Fatalf("%s: %v", key, err)
	}
	if r := s.Apply(t.Context(), []etcdwalk.Write{{Key: []byte(key), Value: []byte(value), Seen: have[0].ModRevision}})[0]; r.State != etcdwalk.WriteApplied {
		t.Fatal(r.Err)
	}
}

// plan plans, and closes what is not applied.
func plan(t *testing.T, r ferry.Restore) *ferry.Planned {
	t.Helper()
	planned, err := r.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := planned.Close(); err != nil {
			t.Error(err)
		}
	})
	return planned
}

// keptPlan is the file of a restore's plan.
func keptPlan(t *testing.T, r ferry.Restore) string {
	t.Helper()
	r.PlanOut = filepath.Join(t.TempDir(), "plan")
	plan(t, r)
	return r.PlanOut
}

// TestWhatWasAdoptedHasItsOwners: what is written without its owner first has it in the end,
// although its substance may be told to be the same without.
func TestWhatWasAdoptedHasItsOwners(t *testing.T) {
	s, r := ofWeb(t)
	before := s.entries(t)
	s.lose(t, webReplicaSet, webDeployment)
	done, err := r.Apply(t.Context(), plan(t, r))
	if err != nil || done.Counts[replay.Created] != 2 {
		t.Errorf("%v, %v", done.Counts, err)
	}
	if diff := walktest.Diff(s.entries(t), before); diff != "" {
		t.Error(diff)
	}
}

// TestAPlanThatIsFollowedAdoptsNothingElse: a plan that leaves objects as they are does not bring
// them back once they are gone, neither whole nor without their owners.
func TestAPlanThatIsFollowedAdoptsNothingElse(t *testing.T) {
	s, r := ofWeb(t)
	path := keptPlan(t, r)
	s.lose(t, webReplicaSet, webDeployment)
	want := s.entries(t)
	closing, err := r.Follow(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := closing(); err != nil {
			t.Error(err)
		}
	}()
	if done, err := r.Apply(t.Context(), plan(t, r)); done.Counts[replay.Moved] != 2 || done.Counts.Changes() != 0 {
		t.Errorf("%v, %v", done.Counts, err)
	}
	if diff := walktest.Diff(s.entries(t), want); diff != "" {
		t.Error(diff)
	}
}

// TestAPlanIsAlteredWhileTheQuestionStands: what is applied is what was shown, whatever becomes
// meanwhile of the file that the plan is kept in, or that is followed.
func TestAPlanIsAlteredWhileTheQuestionStands(t *testing.T) {
	alter := func(t *testing.T, path string) {
		t.Helper()
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		altered := bytes.Replace(text, []byte("\nskipped\t"), []byte("\nreplaced\t"), 1)
		if bytes.Equal(altered, text) {
			t.Fatalf("nothing was altered in\n%s", text)
		}
		if err := os.WriteFile(path, altered, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, followed := range []bool{false, true} {
		s, r := ofWeb(t)
		s.rewrite(t, webDeployment, `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web0","namespace":"a","uid":"uid-deployments-a-web0"},"spec":{"replicas":7}}`)
		want := s.entries(t)
		path := filepath.Join(t.TempDir(), "plan")
		if followed {
			path = keptPlan(t, r)
			closing, err := r.Follow(path)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := closing(); err != nil {
					t.Error(err)
				}
			}()
		} else {
			r.PlanOut = path
		}
		planned := plan(t, r)
		alter(t, path)
		if done, err := r.Apply(t.Context(), planned); err != nil || done.Counts[replay.Skipped] != 1 || done.Counts.Changes() != 0 {
			t.Errorf("followed: %t, %v, %v", followed, done.Counts, err)
		}
		if diff := walktest.Diff(s.entries(t), want); diff != "" {
			t.Error(diff)
		}
	}
}
