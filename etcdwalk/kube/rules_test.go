package kube_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		key       string
		same, new kube.Severity
	}{
		{"compact_rev_key", kube.Never, kube.Never},
		{"/registry/masterleases/192.0.2.1", kube.Never, kube.Never},
		{"/registry/masterleases/", kube.Never, kube.Never},
		{"/kubernetes.io/masterleases/192.0.2.1", kube.Never, kube.Never},
		{"/registry/peerserverleases/x", kube.Never, kube.Never},
		{"/tenant-a/masterleases/192.0.2.1", kube.Never, kube.Never},
		{"/vcluster/registry/peerserverleases/x", kube.Never, kube.Never},
		{"/registry/tenant/masterleases/192.0.2.1", kube.Never, kube.Never},
		{"/registry/ranges/servicenodeports", kube.Leave, kube.Allow},
		{"/registry/ipaddresses/10.0.0.1", kube.Leave, kube.Allow},
		{"/openshift.io/rangeallocations/scc-uid", kube.Leave, kube.Allow},
		{"/registry/pods/masterleases/web", kube.Allow, kube.Allow}, // a namespace
		{"/registry/shop.example.io/widgets/masterleases/w", kube.Allow, kube.Allow},
		{"/registry/shop.example.io/masterleases/w", kube.Allow, kube.Allow}, // a custom resource
		{"/registry/leases/kube-system/leader", kube.Allow, kube.Allow},
		{"/registry/configmaps/shop/compact_rev_key", kube.Allow, kube.Allow},
		{"/registry/events/shop/e", kube.Allow, kube.Allow},
		{"/calico/ranges/x", kube.Allow, kube.Allow},
		{"", kube.Allow, kube.Allow},
	} {
		l := newLayout(t)
		for scenario, want := range map[kube.Scenario]kube.Severity{kube.ScenarioSame: c.same, kube.ScenarioNew: c.new} {
			got := l.Judge(scenario, etcdwalk.Entry{Key: []byte(c.key)})
			if got.Severity != want || (got.Reason != "") != (want != kube.Allow) {
				t.Errorf("%q in scenario %s: got %+v, want severity %d", c.key, scenario, got, want)
			}
		}
	}
}

// Whatever the layout and the scenario, what is never to be written is not.
func TestNoPrefixLetsMasterLeasesThrough(t *testing.T) {
	for _, prefixes := range [][]string{nil, {"/"}, {"/vcluster"}, {"/vcluster/x"}, {"/other"}} {
		l := newLayout(t, prefixes...)
		for _, key := range []string{"/vcluster/x/masterleases/192.0.2.1", "/vcluster/x/peerserverleases/a", "compact_rev_key"} {
			for _, s := range []kube.Scenario{kube.ScenarioSame, kube.ScenarioNew} {
				if got := l.Judge(s, etcdwalk.Entry{Key: []byte(key)}); got.Severity != kube.Never {
					t.Errorf("%q, prefixes %q: %+v", key, prefixes, got)
				}
			}
		}
	}
}

// cborObject is {"metadata": {"name": "w", "namespace": "data"}} with byte strings, as a
// kube-apiserver writes it.
const cborObject = "\xd9\xd9\xf7\xa1\x48metadata\xa2\x44name\x41w\x49namespace\x44data"

// yamlObject is what kubectl prints with -o yaml.
const yamlObject = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: shop\ndata:\n  sh: a && *b\n"

func TestCheckValue(t *testing.T) {
	cm := string(valueOf(t, "/registry/configmaps/ci/recreated", "k8s\x00"))
	sealed := string(valueOf(t, "/registry/configmaps/ci/recreated", "k8s:enc:"))
	widget := string(valueOf(t, "/registry/shop.example.io/widgets/data/widget-03", "{"))
	node := string(valueOf(t, "/registry/minions/node-0", "k8s\x00"))
	bitmap := string(valueOf(t, "/registry/ranges/servicenodeports", "k8s\x00"))
	for _, c := range []struct {
		name, key, value string
		want             string // of the error; empty: passes
	}{
		{"its own", "/registry/configmaps/ci/recreated", cm, ""},
		{"a custom resource's own", "/registry/shop.example.io/widgets/data/widget-03", widget, ""},
		{"a cluster object's own", "/registry/minions/node-0", node, ""},
		{"another namespace's", "/registry/configmaps/data/recreated", cm, `its metadata names "recreated" in namespace "ci"`},
		{"another name's", "/registry/configmaps/ci/settings", cm, `its metadata names "recreated" in namespace "ci"`},
		{"a cluster object's under another key", "/registry/minions/node-1", node, `its metadata names "node-0"`},
		{"a custom resource's in another namespace", "/registry/shop.example.io/widgets/ci/widget-03", widget, `its metadata names "widget-03" in namespace "data"`},
		{"a name that is none", "/registry/configmaps/ci/a", `{"metadata":{"name":"pass/word","namespace":"ci"}}`, "its metadata names no object that can exist"},
		{"a name that may be a secret", "/registry/configmaps/ci/a", `{"metadata":{"name":"pass word","namespace":"ci"}}`, "its metadata names another object"},
		{"no name", "/registry/configmaps/ci/a", `{"metadata":{}}`, "its metadata names no object that can exist"},
		{"sealed", "/registry/configmaps/other/key", sealed, ""},
		{"its own in YAML", "/registry/configmaps/shop/a", yamlObject, ""},
		{"its own behind white space", "/registry/configmaps/shop/a", "\n " + `{"metadata":{"name":"a","namespace":"shop"}}`, ""},
		{"another's in YAML", "/registry/configmaps/shop/b", yamlObject, `its metadata names "a" in namespace "shop"`},
		{"half an object in YAML", "/registry/configmaps/shop/a", "kind: ConfigMap\nmetadata: {name: a}", "it does not begin like a stored object"},
		{"its own in CBOR", "/registry/shop.example.io/widgets/data/w", cborObject, ""},
		{"another's in CBOR", "/registry/shop.example.io/widgets/data/v", cborObject, `its metadata names "w" in namespace "data"`},
		{"CBOR that is none", "/registry/shop.example.io/widgets/data/w", "\xd9\xd9\xf7hunter2", "metadata cannot be read: no CBOR of an object"},
		{"no object", "/registry/configmaps/ci/a", "hunter2", "it does not begin like a stored object"},
		{"empty", "/registry/configmaps/ci/a", "", "it does not begin like a stored object"},
		{"a custom resource that is no object", "/registry/shop.example.io/widgets/data/w", "x", "it does not begin like a stored object"},
		{"cut off", "/registry/configmaps/ci/recreated", cm[:len(cm)-1], "metadata cannot be read: envelope, field 4: unexpected EOF"},
		{"a bitmap", "/registry/ranges/servicenodeports", bitmap, ""},
		{"an opaque key", "/registry/configmaps/odd", "x", ""},
		{"an opaque key that is empty", "/registry/health", "", ""},
		{"a resource nobody knows", "/registry/odd/a/b", "x", ""},
		{"outside the prefixes", "/calico/v3/x", "x", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := newLayout(t).CheckValue([]byte(c.key), []byte(c.value))
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, kube.ErrValue) || !strings.HasSuffix(err.Error(), ": "+c.want) || !strings.Contains(err.Error(), c.key) {
				t.Errorf("got  %v\nwant … %s", err, c.want)
			}
			if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "word")) {
				t.Errorf("the error repeats the value: %v", err)
			}
		})
	}
}

func FuzzCheckValue(f *testing.F) {
	for _, e := range values(f) {
		f.Add(e.Key, e.Value)
	}
	l := newLayout(f)
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if err := l.CheckValue(key, value); err != nil && !errors.Is(err, kube.ErrValue) {
			t.Errorf("%v", err)
		}
		if _, ok := l.Parse(key); !ok && l.CheckValue(key, value) != nil {
			t.Errorf("an opaque key was refused: %q", key)
		}
	})
}
