package ferry_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/kubetest"
	values "github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

const dying = "/registry/namespaces/a"

// beingDeleted is a Namespace object as it is once somebody has deleted it.
func beingDeleted(value string) string {
	return strings.Replace(value, `"metadata":{`, `"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z",`, 1)
}

// terminating is a store in which namespace a is being deleted, the controllers at work on
// that, what it held before, and a restore of the namespace.
func terminating(t *testing.T, s *store, seed uint64) (*kubetest.Controllers, []etcdwalk.Entry, ferry.Restore) {
	t.Helper()
	s.empty(t)
	random := rand.New(rand.NewPCG(seed, 3))
	inhabit(t, s, random)
	others, err := kubetest.New(s.Source, s.Target, seed)
	if err != nil {
		t.Fatal(err)
	}
	if err := others.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := s.entries(t)
	archive := walktest.NewView(before...)
	archive.About.Revision = 1
	for _, e := range before {
		if string(e.Key) == dying {
			s.Apply(t.Context(), []etcdwalk.Write{{Key: e.Key, Value: []byte(beingDeleted(string(e.Value))), Seen: e.ModRevision}})
		}
	}
	return others, before, ferry.Restore{Source: archive, Query: query(t, kube.Filter{Namespaces: []string{"a"}}), Cluster: s.Source,
		Policy: replay.Overwrite, WithOwners: true, ClusterIs: []string{"uid-namespaces-kube-system"},
		Target: &crowded{Target: s.Target, t: t, random: random, others: others}}
}

// TestATerminationIsStopped: a namespace that is being deleted is replaced first, by its
// living form, before what has been deleted of it comes back. Whatever the controllers have
// done by then and do meanwhile, what was written is there in the end.
func TestATerminationIsStopped(t *testing.T) {
	s, ends := storeInMemory(t), map[string]int{}
	for seed := range uint64(120) {
		others, before, r := terminating(t, s, seed)
		for range seed % 12 {
			if err := others.Step(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		var order []string
		r.Report = func(line replay.Line) error {
			if line.Fate == replay.Created || line.Fate == replay.Replaced {
				order = append(order, string(line.Key))
			}
			return nil
		}
		if s.uids(t)[dying] == "" { // it is no more, and comes back as any other
			ends["gone"]++
			continue
		}
		planned, err := r.Plan(t.Context())
		if errors.Is(err, etcdwalk.ErrRefused) && strings.Contains(err.Error(), kube.Collecting) {
			ends["refused while the collector is at work"]++
			continue
		}
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if !strings.Contains(strings.Join(planned.Doubts, "\n"), "namespace a: being deleted in the cluster") {
			t.Errorf("seed %d: the plan says %q", seed, planned.Doubts)
		}
		order = nil
		if done, err := r.Apply(t.Context(), planned); err != nil || len(order) == 0 || order[0] != dying {
			t.Errorf("seed %d: %v, %v, written in the order %q", seed, done.Counts, err, order)
		}
		if err := others.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if told, err := r.Watch(t.Context(), planned, time.Millisecond); err != nil {
			t.Errorf("seed %d: %v: %v", seed, told.Lost, err)
		}
		is := s.uids(t)
		for _, e := range before {
			if _, m, _ := values.Read(e.Value); slices.Contains(order, string(e.Key)) && is[string(e.Key)] != m.UID {
				t.Errorf("seed %d: %s is not there", seed, e.Key)
			}
		}
		ends["kept"]++
	}
	t.Log(ends)
	if ends["kept"] < 30 {
		t.Errorf("%v", ends)
	}
}

// TestNothingIsRestoredIntoADyingNamespace: unless its Namespace object is replaced by a
// living one, and the refusal names that way out.
func TestNothingIsRestoredIntoADyingNamespace(t *testing.T) {
	const (
		out  = "deleting: namespace a is being deleted in the cluster, and all that is in it; restoring ns/a too (--with-owners takes it along) with --on-conflict=overwrite stops that, if it is still there"
		wait = "deleting: namespace a is being deleted in the cluster, and all that is in it; the archive does not hold it living, which would stop that: wait until it is gone"
	)
	some := kube.Filter{Include: []string{"cm/kube-root-ca.crt"}, Namespaces: []string{"a"}}
	all := kube.Filter{Include: []string{"cm/kube-root-ca.crt", "ns/a"}, Namespaces: []string{"a"}}
	for name, c := range map[string]struct {
		filter kube.Filter
		change func(r *ferry.Restore)
		says   string // empty: it is restored
		stays  bool   // the namespace is left being deleted
	}{
		"without it":                  {some, func(*ferry.Restore) {}, out, true},
		"what is in it":               {all, func(*ferry.Restore) {}, "", false},
		"the whole namespace":         {kube.Filter{Include: []string{"cm/kube-root-ca.crt", "ns"}, Namespaces: []string{"a"}}, func(*ferry.Restore) {}, "", false},
		"the Namespace object alone":  {kube.Filter{Include: []string{"ns/a"}, Namespaces: []string{"a"}}, func(*ferry.Restore) {}, "", false},
		"it comes along":              {some, func(r *ferry.Restore) { r.WithOwners = true }, "", false},
		"it comes along, and is kept": {some, func(r *ferry.Restore) { r.WithOwners, r.Policy = true, replay.Skip }, out, true},
		"it is kept":                  {all, func(r *ferry.Restore) { r.Policy = replay.Skip }, out, true},
		"it conflicts":                {all, func(r *ferry.Restore) { r.Policy = replay.Fail }, out, true},
		"it is allowed":               {some, func(r *ferry.Restore) { r.Allow = []string{kube.Deleting} }, "", true},
		"another rule is allowed":     {some, func(r *ferry.Restore) { r.Allow = []string{kube.Closure} }, out, true},
		"it was being deleted then":   {some, func(r *ferry.Restore) { r.Source = edited(r.Source, beingDeleted) }, wait, true},
		"it was, and is allowed for":  {all, func(r *ferry.Restore) { r.Source, r.Allow = edited(r.Source, beingDeleted), []string{kube.Deleting} }, "", true},
	} {
		s := storeInMemory(t)
		_, before, r := terminating(t, s, 1)
		for _, e := range before {
			if string(e.Key) == "/registry/configmaps/a/kube-root-ca.crt" {
				s.Apply(t.Context(), []etcdwalk.Write{{Key: e.Key, Seen: e.ModRevision, Delete: true}})
			}
		}
		r.Target, r.Query, r.WithOwners = s.Target, query(t, c.filter), false
		c.change(&r)
		planned, err := r.Plan(t.Context())
		if c.says == "" && err == nil {
			_, err = r.Apply(t.Context(), planned)
		}
		if errors.Is(err, etcdwalk.ErrRefused) != (c.says != "") || c.says == "" && err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if lines := planned.Examples[replay.Refused]; c.says != "" && (len(lines) != 1 || lines[0].Reason != c.says) {
			t.Errorf("%s: %+v", name, lines)
		}
		for _, e := range s.entries(t) {
			if _, m, _ := values.Read(e.Value); string(e.Key) == dying && m.Deleting != c.stays {
				t.Errorf("%s: the namespace is %s", name, e.Value)
			}
		}
	}
}

// edited is a source in which the Namespace object has another value.
func edited(source etcdwalk.Source, change func(string) string) etcdwalk.Source {
	return walktest.Source(func(ctx context.Context, at etcdwalk.Moment, ranges etcdwalk.Ranges) (etcdwalk.View, error) {
		view, err := source.Open(ctx, at, ranges)
		if err != nil {
			return nil, err
		}
		var entries []etcdwalk.Entry
		for e, err := range view.Walk(ctx, etcdwalk.Selection{Ranges: ranges}) {
			if err != nil {
				return nil, err
			}
			if e = e.Clone(); string(e.Key) == dying {
				e.Value = []byte(change(string(e.Value)))
			}
			entries = append(entries, e)
		}
		made := walktest.NewView(entries...)
		made.About = view.Info()
		return made, nil
	})
}
