package ferry_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd3"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/need"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
	"github.com/kubeferry/kubeferry/remote/remotetest"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// manyKinds are the keys of a cluster with many custom kinds, each with a few objects, as
// operators leave them behind.
func manyKinds(kinds int) map[string]string {
	keys := map[string]string{}
	key, value := kubeSystem()
	keys[key] = value
	for i := range 20 {
		ns := fmt.Sprintf("team-%02d", i)
		if i == 7 {
			ns = "shop"
		}
		key, value := namespace(ns)
		keys[key] = value
		for j := range 40 {
			key, value := object(ns, fmt.Sprintf("settings-%02d", j), 200)
			keys[key] = value
			keys[fmt.Sprintf("/registry/secrets/%s/token-%02d", ns, j)] = `{"kind":"Secret","apiVersion":"v1","metadata":{"name":"x","labels":{"app":"web"}}}`
			keys[fmt.Sprintf("/registry/pods/%s/web-%02d", ns, j)] = `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","labels":{"app":"web"}}}`
		}
	}
	for i := range kinds {
		group, plural := fmt.Sprintf("%c%02d.example.com", 'a'+i%26, i/26%50), fmt.Sprintf("things%d", i)
		keys["/registry/apiextensions.k8s.io/customresourcedefinitions/"+plural+"."+group] = fmt.Sprintf(
			`{"kind":"CustomResourceDefinition","apiVersion":"apiextensions.k8s.io/v1","metadata":{"name":"%s.%s"},"spec":{"group":%q,"scope":"Namespaced","names":{"plural":%q,"kind":"Thing%d"}}}`, plural, group, group, plural, i)
		for j, ns := range []string{"shop", "shop", "team-03", "team-04", "team-11"} {
			keys[fmt.Sprintf("/registry/%s/%s/%s/one-%d", group, plural, ns, j)] = fmt.Sprintf(`{"kind":"Thing%d","apiVersion":"%s/v1","metadata":{"name":"one-%d","namespace":%q}}`, i, group, j, ns)
		}
	}
	return keys
}

func putAll(t testing.TB, client *clientv3.Client, keys map[string]string) {
	t.Helper()
	var ops []clientv3.Op
	commit := func() {
		if _, err := client.Txn(context.Background()).Then(ops...).Commit(); err != nil {
			t.Fatal(err)
		}
		ops = nil
	}
	for key, value := range keys {
		if ops = append(ops, clientv3.OpPut(key, value)); len(ops) == 100 {
			commit()
		}
	}
	commit()
}

const (
	// pageOfNames is how many keys without values a request brings at most.
	pageOfNames = 10000
	// aroundIt is what is asked for whatever is selected: the revision, the prefixes, the
	// namespaces, whose cluster it is, and a request for each place between two of the ninety
	// compiled-in kinds, where custom ones may lie.
	aroundIt = 220
)

// TestSelectingLessAsksForLess: with 1,500 custom kinds each part of a cluster took some seven
// requests a kind, one after the other, where everything took a hundred.
func TestSelectingLessAsksForLess(t *testing.T) {
	const kinds = 1500
	keys := manyKinds(kinds)
	all := kinds + len(kube.Known())
	things := func(n int, name string) (words []string) {
		for i := range n {
			words = append(words, fmt.Sprintf("things%d%s", i, name))
		}
		return words
	}
	for _, version := range []string{etcdproc.V36, etcdproc.V37} {
		t.Run("etcd "+version, func(t *testing.T) {
			server := etcdproc.Start(t, etcdproc.Options{Version: version})
			putAll(t, server.Client(t), keys)
			f := newForgetter(t, server.Endpoint, 1<<40) // it only counts
			cluster, err := etcd3.Dial(t.Context(), connect.Config{Endpoints: []string{f.endpoint}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(cluster.Close)
			asked := func(what func() error) int64 {
				before := f.reads.Load()
				if err := what(); err != nil {
					t.Fatal(err)
				}
				return f.reads.Load() - before
			}
			back := func(filter kube.Filter) int64 {
				recipient, _ := newKeys(t)
				b := backup(cluster, &remotetest.Memory{}, recipient)
				b.Query = query(t, filter)
				return asked(func() error { _, err := b.Run(t.Context()); return err })
			}
			whole := back(kube.Filter{})
			check := func(name string, got int64, cells int) {
				most := int64(len(keys)/pageOfNames + cells + aroundIt)
				t.Logf("%s: %d requests, everything: %d", name, got, whole)
				if got > most {
					t.Errorf("%s takes %d requests, want at most %d", name, got, most)
				}
			}
			for _, c := range []struct {
				name   string
				filter kube.Filter
				cells  int
			}{
				{"a namespace", kube.Filter{Namespaces: []string{"shop"}}, all},
				{"three namespaces", kube.Filter{Namespaces: []string{"shop,team-03,team-05"}}, 3 * all},
				{"all but a namespace", kube.Filter{ExcludeNamespaces: []string{"shop"}}, all},
				{"labels", kube.Filter{Labels: "app=web"}, all},
				{"labels in a namespace", kube.Filter{Labels: "app=web", Namespaces: []string{"shop"}}, all},
				{"a name", kube.Filter{Include: []string{"things7/one-1"}}, 1},
				{"a name in a namespace", kube.Filter{Include: []string{"things7/one-1"}, Namespaces: []string{"shop"}}, 1},
				{"names", kube.Filter{Include: things(30, "/one-1")}, 3 * 30}, // under each prefix
				{"a kind that is compiled in", kube.Filter{Include: []string{"cm"}}, 1},
				{"a custom kind", kube.Filter{Include: []string{"things7"}}, 1},
				{"kinds", kube.Filter{Include: append(things(300, ""), "cm", "deploy")}, 302},
				{"kinds in three namespaces", kube.Filter{Include: things(300, ""), Namespaces: []string{"shop,team-03,team-05"}}, 900},
			} {
				check(c.name, back(c.filter), c.cells)
			}
			look := ferry.Look{Source: cluster, Query: query(t, kube.Filter{Namespaces: []string{"shop"}})}
			check("get", asked(func() error { _, err := look.Run(t.Context(), func(ferry.Seen) error { return nil }); return err }), all)

			view, err := cluster.Open(t.Context(), etcdwalk.Newest, etcdwalk.Ranges{etcdwalk.Prefix("/registry/")})
			if err != nil {
				t.Fatal(err)
			}
			q := query(t, kube.Filter{Prefixes: []string{"/registry/"}})
			rules, err := kube.NewRules(q.Layout(), kube.ScenarioSame)
			if err != nil {
				t.Fatal(err)
			}
			removal := &need.Removal{Rules: rules, Layout: q.Layout(), Query: q, Target: cluster.Target(), View: view, Goes: func(etcdwalk.Entry) bool { return false }}
			check("what is in four namespaces that are to be deleted", asked(func() error {
				if err := removal.Disks(t.Context()); err != nil {
					return err
				}
				for _, ns := range []string{"shop", "team-03", "team-04", "team-11"} {
					if why, err := removal.Inhabited(t.Context(), []byte("/registry/namespaces/"+ns)); err != nil || why == "" {
						return fmt.Errorf("nothing stays in %s: %w", ns, err)
					}
				}
				return nil
			}), 4*all)
		})
	}
}

// oddKeys are beside the others: opaque ones, API servers' own, another prefix, OpenShift's,
// custom kinds without a definition, without namespaces, in the place of others.
func oddKeys() map[string]string {
	keys := map[string]string{}
	for _, key := range []string{
		"/registry/health", "/registry/masterleases/10.0.0.1", "/registry/peerserverleases/a", "/registry/ranges/serviceips", "/registry/x/../y", "/registry/configmaps/odd",
		"/registry/services/specs/shop/web", "/registry/services/endpoints/shop/web", "/registry/minions/n1",
		"/registry/a.example.io/regions/eu", "/registry/a.example.io/regions/shop", "/registry/b.example.io/cms/shop/undefined", "/registry/widgets/shop/flat",
		"/registry/route.openshift.io/routes/shop/web", "/openshift.io/routes/shop/web", "/openshift.io/images/sha256:1", "/openshift.io/users/jane",
		"/kubernetes.io/configmaps/shop/old", "/kubernetes.io/namespaces/shop", "/kubernetes.io/securitycontextconstraints/restricted", "/calico/v3/x",
	} {
		keys[key] = `{"kind":"Odd","apiVersion":"v1","metadata":{"name":"x","labels":{"app":"web"}}}`
	}
	return keys
}

// randomFilter is a selection of things that are there, mostly.
func randomFilter(random *rand.Rand, kinds int) (f kube.Filter) {
	some := func(words ...string) string { return words[random.IntN(len(words))] }
	word := func() string {
		kind := some("cm", "secrets", "pods", "ns", "nodes", "services", "regions", "cms", "widgets", "routes", "scc", "all", "users", "crd", fmt.Sprintf("things%d", random.IntN(kinds+2)))
		switch random.IntN(4) {
		case 0:
			return kind + "/" + some("one-0", "one-1", "web", "shop", "settings-07", "eu", "nope", "one-*", "*")
		case 1:
			return some(kind, "things3.d00.example.com", "routes.route.openshift.io", "deployments.apps")
		}
		return kind
	}
	for range random.IntN(4) {
		f.Include = append(f.Include, word())
	}
	for range random.IntN(2) {
		f.Exclude = append(f.Exclude, word())
	}
	for range random.IntN(3) {
		f.Namespaces = append(f.Namespaces, some("shop", "team-03", "team-11", "team-15", "nowhere"))
	}
	if random.IntN(3) == 0 {
		f.ExcludeNamespaces = []string{some("shop", "team-04")}
	}
	if random.IntN(4) == 0 {
		f.Prefixes = []string{some("/registry/", "/openshift.io", "/", "/registry/pods", "/kubernetes.io/,/registry/")}
		f.Prefixes = strings.Split(f.Prefixes[0], ",")
	}
	if random.IntN(5) == 0 {
		f.Labels = "app=web"
	}
	if random.IntN(6) == 0 {
		f.Fields = "metadata.name!=one-1"
	}
	return f
}

// A choice is all that a query finds in a view.
type choice struct {
	Keys                        []string
	Absent, Namespaces, Several []string
	Err                         string
}

func chosen(t *testing.T, q kube.Query, view etcdwalk.View, walk func(etcdwalk.Selection) ([]string, error)) (c choice) {
	t.Helper()
	catalog := q.Catalog(view)
	sel, err := catalog.Resolve(t.Context(), q)
	var spread *kube.Spread
	if err == nil {
		spread, err = catalog.Spread(t.Context(), q)
	}
	if err == nil {
		c.Keys, err = walk(sel)
	}
	if err == nil {
		c.Absent, err = catalog.Absent(t.Context(), q)
	}
	if err == nil {
		c.Namespaces, err = catalog.AbsentNamespaces(t.Context(), q)
	}
	if err != nil {
		return choice{Err: err.Error()}
	}
	for _, key := range c.Keys {
		spread.See([]byte(key))
	}
	for _, w := range spread.Words() {
		c.Several = append(c.Several, fmt.Sprint(w))
	}
	return c
}

// TestSelectionsAreTheSame: what a selection takes of an etcd, where names are leapt to and
// ranges are read together, is what it takes of a list in memory, kind by kind and by a filter
// over all keys.
func TestSelectionsAreTheSame(t *testing.T) {
	const kinds = 160
	keys := manyKinds(kinds)
	for key, value := range oddKeys() {
		keys[key] = value
	}
	for _, version := range []string{etcdproc.V36, etcdproc.V37} {
		t.Run("etcd "+version, func(t *testing.T) {
			server := etcdproc.Start(t, etcdproc.Options{Version: version})
			putAll(t, server.Client(t), keys)
			view, err := dial(t, server).Pin(t.Context(), etcdwalk.Ranges{{}})
			if err != nil {
				t.Fatal(err)
			}
			var all []etcdwalk.Entry
			answer, err := server.Client(t).Get(t.Context(), "/", clientv3.WithPrefix())
			if err != nil {
				t.Fatal(err)
			}
			for _, kv := range answer.Kvs {
				all = append(all, etcdwalk.Entry{Key: kv.Key, Value: kv.Value})
			}
			list := walktest.NewView(all...)
			random := rand.New(rand.NewPCG(18, 2))
			took, refused, spread := 0, 0, map[int]bool{}
			for range 70 {
				f := randomFilter(random, kinds)
				q, err := f.Compile()
				if err != nil {
					t.Fatalf("%+v: %v", f, err)
				}
				got := chosen(t, q, view, func(sel etcdwalk.Selection) (keys []string, err error) {
					for e, err := range view.Walk(t.Context(), sel) {
						if err != nil {
							return nil, err
						}
						keys = append(keys, string(e.Key))
					}
					return keys, sel.Err()
				})
				want := chosen(t, q, list, func(sel etcdwalk.Selection) (keys []string, err error) {
					for _, e := range all {
						if sel.Ranges.Contains(e.Key) && sel.Takes(e) {
							keys = append(keys, string(e.Key))
						}
					}
					return keys, sel.Err()
				})
				if diff := cmp.Diff(got, want); diff != "" {
					t.Fatalf("%+v (-got +want):\n%s", f, diff)
				}
				switch {
				case got.Err != "":
					refused++
				case len(got.Keys) > 0:
					took++
				}
				spread[len(got.Keys)] = true
			}
			if took < 20 || refused < 5 || len(spread) < 10 {
				t.Errorf("%d selections took something, %d were refused, there are %d sizes: the test shows too little", took, refused, len(spread))
			}
		})
	}
}
