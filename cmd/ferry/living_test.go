package ferry_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/kubetest"
	values "github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// A store is what controllers look after: in memory, or a real etcd.
type store struct {
	etcdwalk.Source
	etcdwalk.Target
	empty func(t *testing.T)
}

func storeInMemory(*testing.T) *store {
	s := &store{}
	s.empty = func(*testing.T) {
		target := walktest.NewTarget()
		s.Target = target
		s.Source = walktest.Source(func(context.Context, etcdwalk.Moment, etcdwalk.Ranges) (etcdwalk.View, error) {
			return target.View(), nil
		})
	}
	return s
}

func storeInEtcd(t *testing.T) *store {
	server := etcdproc.Start(t, etcdproc.Options{})
	client, cluster := server.Client(t), dial(t, server)
	return &store{cluster, cluster.Target(), func(t *testing.T) {
		if _, err := client.Delete(t.Context(), "/registry/", clientv3.WithPrefix()); err != nil {
			t.Fatal(err)
		}
	}}
}

// entries are what the store holds.
func (s *store) entries(t *testing.T) (entries []etcdwalk.Entry) {
	t.Helper()
	view, err := s.Open(t.Context(), etcdwalk.Newest, etcdwalk.Ranges{etcdwalk.Prefix("/registry/")})
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range view.Walk(t.Context(), etcdwalk.Selection{Ranges: etcdwalk.Ranges{etcdwalk.Prefix("/registry/")}}) {
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e.Clone())
	}
	return entries
}

// uids are the UIDs of what the store holds, by key.
func (s *store) uids(t *testing.T) map[string]string {
	t.Helper()
	uids := map[string]string{}
	for _, e := range s.entries(t) {
		_, m, err := values.Read(e.Value)
		if err != nil {
			t.Fatal(err)
		}
		uids[string(e.Key)] = m.UID
	}
	return uids
}

// crowded is a Target in which controllers act between writes.
type crowded struct {
	etcdwalk.Target
	t      *testing.T
	random *rand.Rand
	steps  int // at most, between two writes
	others *kubetest.Controllers
}

func (c *crowded) Apply(ctx context.Context, writes []etcdwalk.Write) []etcdwalk.Result {
	results := make([]etcdwalk.Result, 0, len(writes))
	for _, w := range writes { // a batch is no transaction
		c.some(ctx)
		results = append(results, c.Target.Apply(ctx, []etcdwalk.Write{w})[0])
	}
	c.some(ctx)
	return results
}

func (c *crowded) some(ctx context.Context) {
	for range c.random.IntN(c.steps + 1) {
		if err := c.others.Step(ctx); err != nil {
			c.t.Error(err)
		}
	}
}

// inhabit fills a store with namespaces, families, chains of owners, and a volume.
func inhabit(t *testing.T, s *store, random *rand.Rand) {
	t.Helper()
	put := func(key, apiVersion, kind, labels, owners, spec string) {
		class := classOf(t, key)
		value := fmt.Sprintf(`{"apiVersion":%q,"kind":%q,"metadata":{"name":%q,"namespace":%q,"uid":"uid-%s","labels":{%s},"ownerReferences":[%s]},"spec":{%s}}`,
			apiVersion, kind, class.Name, class.Namespace, strings.ReplaceAll(strings.TrimPrefix(key, "/registry/"), "/", "-"), labels, owners, spec)
		if r := s.Apply(t.Context(), []etcdwalk.Write{{Key: []byte(key), Value: []byte(value)}})[0]; r.State != etcdwalk.WriteApplied {
			t.Fatal(r.Err)
		}
	}
	owned := func(apiVersion, kind, name, uid string, controller bool) string {
		return fmt.Sprintf(`{"apiVersion":%q,"kind":%q,"name":%q,"uid":"uid-%s","controller":%v}`, apiVersion, kind, name, uid, controller)
	}
	put("/registry/namespaces/kube-system", "v1", "Namespace", "", "", "")
	put("/registry/clusterroles/admin", "rbac.authorization.k8s.io/v1", "ClusterRole", "", "", "")
	for _, ns := range []string{"a", "b"} {
		put("/registry/namespaces/"+ns, "v1", "Namespace", "", "", "")
		for i := range 1 + random.IntN(3) {
			app := fmt.Sprintf("web%d", i)
			put("/registry/deployments/"+ns+"/"+app, "apps/v1", "Deployment", `"app":"`+app+`"`, "", `"selector":{"matchLabels":{"app":"`+app+`"}}`)
			put("/registry/replicasets/"+ns+"/"+app+"-1", "apps/v1", "ReplicaSet", `"app":"`+app+`"`, owned("apps/v1", "Deployment", app, "deployments-"+ns+"-"+app, true), `"selector":{"matchLabels":{"app":"`+app+`"}}`)
			put("/registry/pods/"+ns+"/"+app+"-1-x", "v1", "Pod", `"app":"`+app+`"`, owned("apps/v1", "ReplicaSet", app+"-1", "replicasets-"+ns+"-"+app+"-1", true), "")
		}
		for i := range 2 + random.IntN(6) { // each may be owned by some before it, of either kind
			var owners []string
			for j := range i {
				if random.IntN(3) == 0 {
					owners = append(owners, owned("v1", kindOf(j), fmt.Sprintf("c%d", j), pathOf(j)+"-"+ns+"-c"+fmt.Sprint(j), false))
				}
			}
			put(fmt.Sprintf("/registry/%s/%s/c%d", pathOf(i), ns, i), "v1", kindOf(i), "", strings.Join(owners, ","), "")
		}
		put("/registry/persistentvolumeclaims/"+ns+"/data", "v1", "PersistentVolumeClaim", "", "", `"volumeName":"pv-`+ns+`"`)
		put("/registry/persistentvolumes/pv-"+ns, "v1", "PersistentVolume", "", "",
			`"persistentVolumeReclaimPolicy":"Delete","claimRef":{"namespace":"`+ns+`","name":"data","uid":"uid-persistentvolumeclaims-`+ns+`-data"}`)
	}
}

func kindOf(i int) string { return []string{"ConfigMap", "Secret", "ServiceAccount"}[i%3] }
func pathOf(i int) string { return []string{"configmaps", "secrets", "serviceaccounts"}[i%3] }

func classOf(t *testing.T, key string) etcdwalk.Class {
	t.Helper()
	return theLayout(t).Classify([]byte(key))
}

func theLayout(t *testing.T) *kube.Layout {
	t.Helper()
	layout, err := kube.NewLayout()
	if err != nil {
		t.Fatal(err)
	}
	return layout
}

// An accident is what is deleted, and what is asked for to have it back.
type accident struct {
	name    string
	deletes func(key string) bool
	filter  kube.Filter
	change  func(r *ferry.Restore)
	ends    string
}

func accidents() []accident {
	owners := func(r *ferry.Restore) { r.WithOwners = true }
	owned := func(r *ferry.Restore) { r.WithOwned = true }
	within := func(ns string) func(string) bool {
		return func(key string) bool { return strings.Contains(key, "/"+ns+"/") || key == "/registry/namespaces/"+ns }
	}
	is := func(keys ...string) func(string) bool {
		return func(key string) bool { return slices.Contains(keys, key) }
	}
	return []accident{
		{"a namespace", within("a"), kube.Filter{Namespaces: []string{"a"}}, nil, "refused"}, // its volume went with the claim
		{"a namespace and its volume", func(key string) bool { return within("a")(key) || key == "/registry/persistentvolumes/pv-a" }, kube.Filter{Namespaces: []string{"a"}}, owners, "kept"},
		{"a Deployment, and what it owns", is("/registry/deployments/a/web0"), kube.Filter{Include: []string{"deploy/web0"}, Namespaces: []string{"a"}}, owned, "kept"},
		{"a ReplicaSet, with its owner", is("/registry/deployments/a/web0"), kube.Filter{Include: []string{"rs/web0-1"}, Namespaces: []string{"a"}}, owners, "kept"},
		{"all of two kinds that own each other", is("/registry/configmaps/a/c0"), kube.Filter{Include: []string{"cm", "secrets", "sa"}, Namespaces: []string{"a"}}, nil, "kept"},
		{"a claim and its volume", is("/registry/persistentvolumeclaims/b/data"), kube.Filter{Include: []string{"pvc/data", "pv/pv-b"}, Namespaces: []string{"b"}}, nil, "kept"},
		{"a volume alone, whose claim is gone", is("/registry/persistentvolumeclaims/b/data"), kube.Filter{Include: []string{"pv/pv-b"}}, nil, "refused"},
		{"everything", func(key string) bool { return key != "/registry/namespaces/kube-system" }, kube.Filter{}, nil, "another's stayed"}, // those in kube-system, which was left
	}
}

// TestALivingClusterKeepsWhatWasRestored: controllers act between the writes. What a
// restore ends well with is there when they have come to rest; or it told exactly what is
// not.
func TestALivingClusterKeepsWhatWasRestored(t *testing.T) {
	for name, c := range map[string]struct {
		seeds int
		make  func(*testing.T) *store
	}{"in memory": {200, storeInMemory}, "in etcd": {16, storeInEtcd}} {
		t.Run(name, func(t *testing.T) {
			s := c.make(t)
			ends, acts := map[string]int{}, map[string]int{}
			for seed := range uint64(c.seeds) {
				a := accidents()[seed%uint64(len(accidents()))]
				how, others := livingRound(t, s, a, seed)
				ends[a.name+": "+how]++
				for who, n := range others.Acts {
					acts[who] += n
				}
			}
			t.Log(ends, acts)
			for _, a := range accidents() {
				if got := ends[a.name+": "+a.ends]; got != c.seeds/len(accidents()) {
					t.Errorf("%s: %s in %d seeds: %v", a.name, a.ends, got, ends)
				}
			}
			for _, who := range []string{"garbage collector", "namespaces", "deployments", "replicasets", "volumes"} {
				if acts[who] == 0 {
					t.Errorf("the controller of %s never did anything", who)
				}
			}
		})
	}
}

// livingRound plays one accident, and tells how its restore ended.
func livingRound(t *testing.T, s *store, a accident, seed uint64) (string, *kubetest.Controllers) {
	t.Helper()
	s.empty(t)
	random := rand.New(rand.NewPCG(seed, 3))
	inhabit(t, s, random)
	others, err := kubetest.New(s.Source, s.Target, seed)
	if err != nil {
		t.Fatal(err)
	}
	settle := func() {
		if err := others.Settle(t.Context()); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	settle()
	before := s.entries(t)
	archive := walktest.NewView(before...)
	archive.About.KubeSystemUID = "uid-namespaces-kube-system"
	archive.About.Revision = 1
	for _, e := range before {
		if a.deletes(string(e.Key)) {
			if r := s.Apply(t.Context(), []etcdwalk.Write{{Key: e.Key, Seen: e.ModRevision, Delete: true}})[0]; r.State != etcdwalk.WriteApplied {
				t.Fatal(r.Err)
			}
		}
	}
	settle()
	r := ferry.Restore{Source: archive, Query: query(t, a.filter), Cluster: s.Source, Policy: replay.Skip,
		ClusterIs: []string{"uid-namespaces-kube-system"},
		Target:    &crowded{Target: s.Target, t: t, random: random, steps: 3, others: others}}
	if a.change != nil {
		a.change(&r)
	}
	wrote := map[string]bool{}
	r.Report = func(line replay.Line) error {
		if line.Fate == replay.Created || line.Fate == replay.Replaced {
			wrote[string(line.Key)] = true
		}
		return nil
	}
	planned, err := r.Plan(t.Context())
	if errors.Is(err, etcdwalk.ErrRefused) {
		return "refused", others
	}
	if err != nil {
		t.Fatalf("seed %d, %s: %v", seed, a.name, err)
	}
	clear(wrote)
	done, err := r.Apply(t.Context(), planned)
	settle()
	told, watched := r.Watch(t.Context(), planned, time.Millisecond)
	lost := map[string]bool{}
	is := s.uids(t)
	for _, e := range before {
		_, m, _ := values.Read(e.Value)
		if wrote[string(e.Key)] && is[string(e.Key)] != m.UID {
			lost[string(e.Key)] = true
		}
	}
	for _, l := range told.Lost {
		if !lost[l.Key] {
			t.Errorf("seed %d, %s: %s is told to be lost, and is not", seed, a.name, l.Key)
		}
		delete(lost, l.Key)
	}
	switch {
	case len(lost) > 0:
		t.Errorf("seed %d, %s: lost without a word: %v\n%v %v", seed, a.name, lost, done.Counts, err)
	case errors.Is(watched, ferry.ErrIncomplete):
		return "told of losses", others
	case err != nil:
		return "stopped: " + err.Error(), others
	case done.Counts[replay.Skipped] > 0:
		return "another's stayed", others
	}
	return "kept", others
}

// TestAnInterruptedAdoptionIsFinished: what a restore left without its owner when it was
// killed is its own, under every policy. What another has changed is not.
func TestAnInterruptedAdoptionIsFinished(t *testing.T) {
	const rs, deploy = "/registry/replicasets/a/web0-1", "/registry/deployments/a/web0"
	for _, policy := range []replay.Policy{replay.Fail, replay.Skip, replay.Overwrite} {
		for name, c := range map[string]struct {
			change func(value string) string
			done   bool
		}{
			"as it was left": {func(value string) string { return value }, true},
			"with a status": {func(value string) string {
				return strings.Replace(value, `"spec":`, `"status":{"replicas":1},"spec":`, 1)
			}, true},
			"scaled":    {func(value string) string { return strings.Replace(value, `"spec":{`, `"spec":{"replicas":7,`, 1) }, policy == replay.Overwrite},
			"another's": {func(value string) string { return strings.Replace(value, `"uid":"uid-`, `"uid":"other-`, 1) }, policy == replay.Overwrite},
		} {
			s := storeInMemory(t)
			s.empty(t)
			inhabit(t, s, rand.New(rand.NewPCG(1, 3)))
			before := s.entries(t)
			archive := walktest.NewView(before...)
			archive.About.Revision = 1
			var was string
			for _, e := range before {
				switch string(e.Key) {
				case deploy:
					s.Apply(t.Context(), []etcdwalk.Write{{Key: e.Key, Seen: e.ModRevision, Delete: true}})
				case rs:
					was = string(e.Value)
					left, err := values.WithoutOwners(e.Value)
					if err != nil {
						t.Fatal(err)
					}
					s.Apply(t.Context(), []etcdwalk.Write{{Key: e.Key, Value: []byte(c.change(string(left))), Seen: e.ModRevision}})
				}
			}
			r := ferry.Restore{Source: archive, Query: query(t, kube.Filter{Include: []string{"deploy/web0", "rs/web0-1"}, Namespaces: []string{"a"}}),
				Cluster: s.Source, Target: s.Target, Policy: policy, ClusterIs: []string{"uid-namespaces-kube-system"}}
			planned, err := r.Plan(t.Context())
			if err == nil {
				_, err = r.Apply(t.Context(), planned)
			}
			if err != nil && !errors.Is(err, replay.ErrConflict) {
				t.Fatal(err)
			}
			is := ""
			for _, e := range s.entries(t) {
				if string(e.Key) == rs {
					is = string(e.Value)
				}
			}
			if (is == was) != c.done {
				t.Errorf("%s, --on-conflict=%s: it is %s, and was %s (%v)", name, policy, is, was, err)
			}
		}
	}
}

// TestOwnersThatSomebodyTookOffStayOff: that is no form which a restore leaves behind, but of
// what is adopted.
func TestOwnersThatSomebodyTookOffStayOff(t *testing.T) {
	s := storeInMemory(t)
	s.empty(t)
	inhabit(t, s, rand.New(rand.NewPCG(1, 3)))
	const key = "/registry/configmaps/a/kept"
	put := func(value string, seen int64) int64 {
		t.Helper()
		r := s.Apply(t.Context(), []etcdwalk.Write{{Key: []byte(key), Value: []byte(value), Seen: seen}})[0]
		if r.State != etcdwalk.WriteApplied {
			t.Fatal(r.Err)
		}
		return r.Revision
	}
	owned := `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"kept","namespace":"a","uid":"k","ownerReferences":[{"apiVersion":"apps/v1","kind":"Deployment","name":"web0","uid":"uid-deployments-a-web0"}]}}`
	revision := put(owned, 0)
	archive := walktest.NewView(s.entries(t)...)
	archive.About.Revision = 1
	left, err := values.WithoutOwners([]byte(owned))
	if err != nil {
		t.Fatal(err)
	}
	put(string(left), revision)
	r := ferry.Restore{Source: archive, Query: query(t, kube.Filter{Include: []string{"cm/kept"}, Namespaces: []string{"a"}}), Cluster: s.Source, Target: s.Target, ClusterIs: []string{"uid-namespaces-kube-system"}}
	if planned, err := r.Plan(t.Context()); !errors.Is(err, replay.ErrConflict) {
		t.Errorf("%v, %v", planned.Counts, err)
	}
}
