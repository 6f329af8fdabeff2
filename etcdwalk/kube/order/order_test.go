package order_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/order"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// world is some objects, and what a restore of them needs to know.
type world struct {
	t       *testing.T
	layout  *kube.Layout
	entries []etcdwalk.Entry
	absent  map[string]bool // namespaces
}

func newWorld(t *testing.T, absent ...string) *world {
	layout, err := kube.NewLayout()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, layout: layout, absent: map[string]bool{}}
	for _, ns := range absent {
		w.absent[ns] = true
	}
	return w
}

// add adds an object. Its UID is its key; owners are keys.
func (w *world) add(kind, key string, owners ...string) {
	w.t.Helper()
	type owner struct {
		Kind string `json:"kind"`
		Name string `json:"name"`
		UID  string `json:"uid"`
	}
	class := w.layout.Classify([]byte(key))
	var refs []owner
	for _, o := range owners {
		kind, key, _ := strings.Cut(o, " ")
		refs = append(refs, owner{kind, w.layout.Classify([]byte(key)).Name, key})
	}
	value, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": kind,
		"metadata": map[string]any{"name": class.Name, "namespace": class.Namespace, "uid": key, "ownerReferences": refs}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.entries = append(w.entries, etcdwalk.Entry{Key: []byte(key), Value: value, CreateRevision: 1, ModRevision: 1, Version: 1})
}

// order is the keys in the order in which they would be written; a number begins each rank.
func (w *world) order() ([]string, error) {
	w.t.Helper()
	survey := order.NewSurvey(1 << 20)
	for _, e := range w.entries {
		if err := survey.Add(w.layout.Classify(e.Key), metaOf(e)); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(w.entries, func(a, b etcdwalk.Entry) int { return bytes.Compare(a.Key, b.Key) })
	view := walktest.NewView(w.entries...)
	ranks, err := survey.Ranks(context.Background(), order.Plan{
		View: view, Selection: etcdwalk.Selection{Ranges: etcdwalk.Ranges{etcdwalk.Prefix("")}}, Meta: metaOf,
		Absent: func(key []byte) bool { return w.absent[w.layout.Classify(key).Name] },
	})
	if err != nil {
		return nil, err
	}
	var keys []string
	for i, sel := range ranks {
		keys = append(keys, fmt.Sprint(i))
		for e, err := range view.Walk(context.Background(), sel) {
			if err != nil {
				w.t.Fatal(err)
			}
			keys = append(keys, string(e.Key))
		}
	}
	return keys, nil
}

func metaOf(e etcdwalk.Entry) object.Meta { _, m, _ := object.Read(e.Value); return m }

func TestTheOrderOfANamespaceThatIsGone(t *testing.T) {
	w := newWorld(t, "shop")
	for _, key := range []string{
		"Namespace /registry/namespaces/shop", "Namespace /registry/namespaces/there",
		"ConfigMap /registry/configmaps/shop/a", "Secret /registry/secrets/shop/token", "ServiceAccount /registry/serviceaccounts/shop/default",
		"PersistentVolume /registry/persistentvolumes/pv", "PersistentVolumeClaim /registry/persistentvolumeclaims/shop/data",
		"Deployment /registry/deployments/shop/web", "Service /registry/services/specs/shop/web", "IPAddress /registry/ipaddresses/10.0.0.1", "Pod /registry/pods/shop/bare",
		"CustomResourceDefinition /registry/apiextensions.k8s.io/customresourcedefinitions/widgets.example.io", "Widget /registry/example.io/widgets/shop/w",
		"ValidatingWebhookConfiguration /registry/validatingwebhookconfigurations/v", "ClusterRole /registry/clusterroles/r", " /registry/odd",
	} {
		kind, key, _ := strings.Cut(key, " ")
		w.add(kind, key)
	}
	w.add("ReplicaSet", "/registry/replicasets/shop/web-1", "Deployment /registry/deployments/shop/web")
	got, err := w.order()
	if err != nil {
		t.Fatal(err)
	}
	const want = `0 /registry/apiextensions.k8s.io/customresourcedefinitions/widgets.example.io
1 /registry/namespaces/there
2 /registry/clusterroles/r
3 /registry/serviceaccounts/shop/default
4 /registry/configmaps/shop/a /registry/secrets/shop/token
5 /registry/persistentvolumeclaims/shop/data
6 /registry/persistentvolumes/pv
7 /registry/odd
8 /registry/example.io/widgets/shop/w
9 /registry/deployments/shop/web
10 /registry/replicasets/shop/web-1
11 /registry/services/specs/shop/web
12 /registry/ipaddresses/10.0.0.1
13 /registry/pods/shop/bare
14 /registry/namespaces/shop
15 /registry/validatingwebhookconfigurations/v`
	if got := strings.Join(got, " "); got != strings.ReplaceAll(want, "\n", " ") {
		t.Errorf("got  %s\nwant %s", got, strings.ReplaceAll(want, "\n", " "))
	}
}

// TestOwnersComeFirst: whatever owns what, each key is written once, and after those that
// own it, unless they own each other: then no order is found, and they are named.
func TestOwnersComeFirst(t *testing.T) {
	kinds := []string{"Secret /registry/secrets/a/", "ConfigMap /registry/configmaps/a/", "Deployment /registry/deployments/a/",
		"Machine /registry/cluster.x-k8s.io/machines/a/", "MachineSet /registry/cluster.x-k8s.io/machinesets/a/", "Node /registry/minions/", "Namespace /registry/namespaces/"}
	cycles, deep := 0, 0
	for seed := range uint64(500) {
		random := rand.New(rand.NewPCG(seed, 1))
		w, owners := newWorld(t, "n3", "n4"), map[string][]string{}
		var all []string
		for i := range 2 + random.IntN(12) {
			all = append(all, fmt.Sprintf("%sn%d", kinds[random.IntN(len(kinds))], i))
		}
		for i, own := range all {
			from := i // of those before it, so that there is no circle
			if random.IntN(40) == 0 {
				from = len(all)
			}
			for _, owner := range all[:from] {
				_, key, _ := strings.Cut(own, " ")
				absentNamespace := strings.HasPrefix(owner, "Namespace") && (strings.HasSuffix(owner, "n3") || strings.HasSuffix(owner, "n4"))
				reaches := strings.Contains(owner, "/a/") && strings.Contains(own, "/a/") || !strings.Contains(owner, "/a/")
				if random.IntN(4) == 0 && reaches && !absentNamespace {
					owners[key] = append(owners[key], owner)
				}
			}
		}
		for _, own := range all {
			kind, key, _ := strings.Cut(own, " ")
			w.add(kind, key, owners[key]...)
		}
		keys, err := w.order()
		var cycle *order.CycleError
		if errors.As(err, &cycle) {
			cycles++
			if len(cycle.Keys) == 0 || !errors.Is(err, etcdwalk.ErrRefused) {
				t.Errorf("seed %d: %v", seed, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		rank, at := "", map[string]string{}
		for _, key := range keys {
			if !strings.HasPrefix(key, "/") {
				rank = key
				continue
			}
			if at[key] != "" {
				t.Errorf("seed %d: %s comes twice", seed, key)
			}
			at[key] = rank
			for _, owner := range owners[key] {
				_, owner, _ = strings.Cut(owner, " ")
				if at[owner] == "" || at[owner] == rank {
					t.Errorf("seed %d: %s comes in rank %s, its owner %s in %q\n%q", seed, key, rank, owner, at[owner], keys)
				}
				deep++
			}
		}
		if len(at) != len(all) {
			t.Errorf("seed %d: %d of %d keys", seed, len(at), len(all))
		}
	}
	if cycles == 0 || deep < 1000 {
		t.Errorf("only %d circles, %d owners", cycles, deep)
	}
}

func TestAnOwnerElsewhereIsNone(t *testing.T) {
	survey := order.NewSurvey(1 << 20)
	w := newWorld(t)
	w.add("ConfigMap", "/registry/configmaps/a/one")
	w.add("Node", "/registry/minions/node")
	for _, e := range w.entries {
		if err := survey.Add(w.layout.Classify(e.Key), metaOf(e)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := survey.Ranks(t.Context(), order.Plan{View: walktest.NewView()}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		namespace, kind, name, uid string
		want                       bool
	}{
		{"a", "ConfigMap", "one", "/registry/configmaps/a/one", true},
		{"b", "ConfigMap", "one", "/registry/configmaps/a/one", false},
		{"", "ConfigMap", "one", "/registry/configmaps/a/one", false},
		{"a", "ConfigMap", "one", "another", false},
		{"a", "Secret", "one", "/registry/configmaps/a/one", false},
		{"a", "Node", "node", "/registry/minions/node", true},
		{"", "Node", "node", "/registry/minions/node", true},
	} {
		if got := survey.Holds(c.namespace, object.Owner{Kind: c.kind, Name: c.name, UID: c.uid}); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	survey := order.NewSurvey(100)
	class := etcdwalk.Class{Kind: "secrets", Range: etcdwalk.Prefix("/registry/secrets/"), Name: "a"}
	var err error
	n := 0
	for ; err == nil && n < 100; n++ {
		err = survey.Add(class, object.Meta{UID: fmt.Sprint(n)})
	}
	if !errors.Is(err, etcdwalk.ErrRefused) || n != 13 {
		t.Errorf("%d objects of 8 bytes in 100: %v", n, err)
	}
}
