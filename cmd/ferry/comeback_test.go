package ferry_test

import (
	"context"
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

// stopping is a Target that takes so many writes, and then denies all.
type stopping struct {
	etcdwalk.Target
	left int
}

func (s *stopping) Apply(ctx context.Context, writes []etcdwalk.Write) (results []etcdwalk.Result) {
	for _, w := range writes {
		if w.Seen == 0 {
			s.left--
		}
		if s.left < 0 {
			results = append(results, etcdwalk.Result{State: etcdwalk.WriteFailed, Err: fmt.Errorf("no more%.0w", etcdwalk.ErrDenied)})
			continue
		}
		results = append(results, s.Target.Apply(ctx, []etcdwalk.Write{w})...)
	}
	return results
}

// comingBack is a restore of namespace a, which is gone.
func comingBack(t *testing.T) (*store, ferry.Restore) {
	t.Helper()
	s := storeInMemory(t)
	s.empty(t)
	inhabit(t, s, rand.New(rand.NewPCG(2, 3)))
	before := s.entries(t)
	archive := walktest.NewView(before...)
	archive.About.Revision = 1
	for _, e := range before {
		if key := string(e.Key); strings.Contains(key, "/a/") || key == "/registry/namespaces/a" {
			s.Apply(t.Context(), []etcdwalk.Write{{Key: e.Key, Seen: e.ModRevision, Delete: true}})
		}
	}
	return s, ferry.Restore{Source: archive, Query: query(t, kube.Filter{Namespaces: []string{"a"}}), Cluster: s.Source, Target: s.Target, ClusterIs: []string{"uid-namespaces-kube-system"}}
}

// TestWhatNobodyCanReachIsTold: a restore of a namespace that ends before its Namespace
// object is written says so, and the same command finishes it.
func TestWhatNobodyCanReachIsTold(t *testing.T) {
	s, r := comingBack(t)
	r.Target = &stopping{s.Target, 5}
	planned, err := r.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Apply(t.Context(), planned)
	if !errors.Is(err, etcdwalk.ErrDenied) || !errors.Is(err, ferry.ErrIncomplete) || !strings.Contains(err.Error(), "5 objects are unreachable until namespace/a exists") {
		t.Errorf("got %v", err)
	}
	r.Target = s.Target
	if planned, err = r.Plan(t.Context()); err != nil {
		t.Fatal(err)
	}
	done, err := r.Apply(t.Context(), planned)
	if err != nil || done.Counts[replay.Unchanged] != 5 {
		t.Errorf("the same again: %v, %v", done.Counts, err)
	}
}

// TestANamespaceThatIsMadeMeanwhileStopsTheRestore: before anything is written.
func TestANamespaceThatIsMadeMeanwhileStopsTheRestore(t *testing.T) {
	s, r := comingBack(t)
	planned, err := r.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	made := etcdwalk.Write{Key: []byte("/registry/namespaces/a"), Value: []byte(`{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"a","uid":"another"}}`)}
	s.Apply(t.Context(), []etcdwalk.Write{made})
	before := len(s.entries(t))
	done, err := r.Apply(t.Context(), planned)
	if !errors.Is(err, replay.ErrConflict) || !strings.Contains(err.Error(), "made since the plan") || len(s.entries(t)) != before || done.Counts[replay.Created] > 0 {
		t.Errorf("%v, %v, %d keys more", done.Counts, err, len(s.entries(t))-before)
	}
}

// TestATargetThatWasTurnedBackIsRefused: API servers do not follow a revision that goes
// backwards.
func TestATargetThatWasTurnedBackIsRefused(t *testing.T) {
	for _, allow := range [][]string{nil, {kube.TurnedBack}} {
		s, r := comingBack(t)
		s.Apply(t.Context(), []etcdwalk.Write{{Key: []byte("/registry/masterleases/10.0.0.1"), Value: []byte("k8s\x00 an API server")}})
		archive, _ := r.Source.(*walktest.View)
		archive.About.Revision = 1 << 40
		_, err := r.Plan(t.Context())
		if allow == nil && (!errors.Is(err, etcdwalk.ErrRefused) || !strings.Contains(err.Error(), "turned back or made anew")) {
			t.Errorf("got %v", err)
		}
		if r.Allow = allow; allow != nil {
			if _, err = r.Plan(t.Context()); err != nil {
				t.Errorf("--allow %s: %v", kube.TurnedBack, err)
			}
		}
	}
}
