package ferry_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// TestReadBackTellsWhatDiffers: into a new cluster any difference is damage, in a living one
// somebody has changed it, and a status is no difference.
func TestReadBackTellsWhatDiffers(t *testing.T) {
	const key = "/registry/deployments/a/web0"
	for name, c := range map[string]struct {
		scenario kube.Scenario
		since    func(value string) string // what becomes of a value since; nil: nothing; empty: it is gone
		want     error
		what     string
	}{
		"new":                {kube.ScenarioNew, nil, nil, ""},
		"new, another value": {kube.ScenarioNew, func(value string) string { return value + " " }, etcdwalk.ErrInvariant, "its value"},
		"new, gone":          {kube.ScenarioNew, func(string) string { return "" }, etcdwalk.ErrInvariant, "it is not there"},
		"same":               {kube.ScenarioSame, nil, nil, ""},
		"same, another status": {kube.ScenarioSame, func(value string) string {
			return strings.Replace(value, `"spec":`, `"status":{"replicas":1},"spec":`, 1)
		}, nil, ""},
		"same, changed":         {kube.ScenarioSame, func(value string) string { return strings.Replace(value, `"labels":{`, `"labels":{"x":"y",`, 1) }, ferry.ErrIncomplete, "its value"},
		"same, gone since then": {kube.ScenarioSame, func(string) string { return "" }, ferry.ErrIncomplete, "it is not there"},
	} {
		t.Run(name, func(t *testing.T) {
			s := storeInMemory(t)
			s.empty(t)
			inhabit(t, s, rand.New(rand.NewPCG(5, 3)))
			before := s.entries(t)
			archive := walktest.NewView(before...)
			archive.About.Revision = 1
			s.empty(t)
			r := ferry.Restore{Source: archive, Query: query(t, kube.Filter{}), Cluster: s.Source, Target: s.Target, Scenario: c.scenario}
			if c.scenario == kube.ScenarioSame {
				r.ClusterIs = []string{"c1"}
			}
			planned, err := r.Plan(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			done, err := r.Apply(t.Context(), planned)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range s.entries(t) {
				if string(e.Key) == key && c.since != nil {
					value := c.since(string(e.Value))
					s.Apply(t.Context(), []etcdwalk.Write{{Key: e.Key, Value: []byte(value), Seen: e.ModRevision, Delete: value == ""}})
				}
			}
			back, err := r.ReadBack(t.Context(), planned)
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) || back.Keys != done.Counts.Total()-done.Counts["excluded"] {
				t.Errorf("%v, %+v of %v", err, back, done.Counts)
			}
			if c.what != "" && (back.Count != 1 || back.Lost[0].Key != key || back.Lost[0].What != c.what) {
				t.Errorf("%+v", back)
			}
		})
	}
}

// TestReadBackMissesNoLease: a key that has lost its lease would never go.
func TestReadBackMissesNoLease(t *testing.T) {
	event := etcdwalk.Entry{Key: []byte("/registry/events/a/e"), Value: []byte(`{"apiVersion":"v1","kind":"Event","metadata":{"name":"e","namespace":"a"}}`), Lease: 7, CreateRevision: 1, ModRevision: 1, Version: 1}
	archive := walktest.NewView(event)
	archive.TTLs = map[int64]etcdwalk.Lease{7: {ID: 7, State: etcdwalk.LeaseLive, Granted: 3600, Remaining: 1800}}
	s := storeInMemory(t)
	s.empty(t)
	r := ferry.Restore{Source: archive, Query: query(t, kube.Filter{}), Cluster: s.Source, Target: s.Target, Scenario: kube.ScenarioNew, Regrant: true}
	planned, err := r.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Apply(t.Context(), planned); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadBack(t.Context(), planned); err != nil {
		t.Errorf("as it was written: %v", err)
	}
	there := s.entries(t)[0]
	if r := s.Apply(t.Context(), []etcdwalk.Write{{Key: there.Key, Value: there.Value, Seen: there.ModRevision}})[0]; r.State != etcdwalk.WriteApplied {
		t.Fatal(r.Err)
	}
	if back, err := r.ReadBack(t.Context(), planned); !errors.Is(err, etcdwalk.ErrInvariant) || back.Count != 1 || back.Lost[0].What != "its lease" {
		t.Errorf("without its lease: %v, %+v", err, back)
	}
}
