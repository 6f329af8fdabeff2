package kube_test

import (
	"errors"
	"slices"
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
		{"/registry/leases/kube-system/leader", kube.Never, kube.Allow},
		{"/registry/configmaps/shop/compact_rev_key", kube.Allow, kube.Allow},
		{"/registry/events/shop/e", kube.Allow, kube.Allow},
		{"/calico/ranges/x", kube.Allow, kube.Allow},
		{"", kube.Allow, kube.Allow},
	} {
		l := newLayout(t)
		for scenario, want := range map[kube.Scenario]kube.Severity{kube.ScenarioSame: c.same, kube.ScenarioNew: c.new} {
			got := rulesOf(t, l, scenario).Judge(etcdwalk.Entry{Key: []byte(c.key)})
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
				if got := rulesOf(t, l, s).Judge(etcdwalk.Entry{Key: []byte(key)}); got.Severity != kube.Never {
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

func rulesOf(t *testing.T, l *kube.Layout, s kube.Scenario, allowed ...string) *kube.Rules {
	t.Helper()
	rules, err := kube.NewRules(l, s, allowed...)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// TestEachRuleHolds: of each rule an object that it covers, and the nearest one that it
// does not; with --allow it is let through, if it may be.
func TestEachRuleHolds(t *testing.T) {
	object := func(kind, namespace, name, more string) string {
		return `{"kind":"` + kind + `","apiVersion":"v1","metadata":{"name":"` + name + `","namespace":"` + namespace + `","uid":"u"` + more + `}}`
	}
	owned := `,"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web","uid":"r","controller":true}]`
	loose := `,"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"web","uid":"r"}]`
	managed := `,"labels":{"endpoints.kubernetes.io/managed-by":"endpoint-controller"}`
	l, held := newLayout(t), map[string]bool{}
	for _, c := range []struct {
		rule, key, value string // no rule: it is let through
	}{
		{"derived", "/registry/pods/shop/web-1", object("Pod", "shop", "web-1", owned)},
		{"", "/registry/pods/shop/bare", object("Pod", "shop", "bare", loose)},
		{"derived", "/registry/endpointslices/shop/web-x", object("EndpointSlice", "shop", "web-x", owned)},
		{"", "/registry/endpointslices/shop/own", object("EndpointSlice", "shop", "own", "")},
		{"derived", "/registry/services/endpoints/shop/new", object("Endpoints", "shop", "new", managed)},
		{"derived", "/registry/services/endpoints/shop/old", object("Endpoints", "shop", "old", "")}, // its Service has a selector
		{"", "/registry/services/endpoints/shop/manual", object("Endpoints", "shop", "manual", "")},
		{"derived", "/registry/ipaddresses/10.0.0.1", object("IPAddress", "", "10.0.0.1", "")},
		{"", "/registry/ipaddresses/10.0.0.2", object("IPAddress", "", "10.0.0.2", "")}, // its Service comes back
		{"allocations", "/registry/ranges/servicenodeports", "k8s\x00"},
		{"allocations", "/openshift.io/rangeallocations/scc-uid", "k8s\x00"},
		{"api-server-endpoints", "/registry/services/endpoints/default/kubernetes", object("Endpoints", "default", "kubernetes", "")},
		{"api-server-endpoints", "/registry/endpointslices/default/kubernetes", object("EndpointSlice", "default", "kubernetes", "")},
		{"", "/registry/services/endpoints/default/mine", object("Endpoints", "default", "mine", "")},
		{"api-server-leases", "/registry/masterleases/192.0.2.1", "x"},
		{"compaction", "compact_rev_key", "1"},
		{"leader-leases", "/registry/leases/kube-system/kube-scheduler", object("Lease", "kube-system", "kube-scheduler", "")},
		{"certificate-requests", "/registry/certificatesigningrequests/csr-1", object("CertificateSigningRequest", "", "csr-1", "")},
		{"bootstrap-tokens", "/registry/secrets/kube-system/bootstrap-token-abc", object("Secret", "kube-system", "bootstrap-token-abc", "")},
		{"", "/registry/secrets/shop/bootstrap-token-abc", object("Secret", "shop", "bootstrap-token-abc", "")},
		{"", "/registry/configmaps/shop/b", object("ConfigMap", "shop", "b", "")},
	} {
		e := etcdwalk.Entry{Key: []byte(c.key), Value: []byte(c.value)}
		rules := rulesOf(t, l, kube.ScenarioSame)
		rules.Selecting = func(endpoints etcdwalk.Class) bool { return endpoints.Name == "old" }
		rules.Allotted = func(address []byte) bool { return string(address) == "/registry/ipaddresses/10.0.0.2" }
		v := rules.Judge(e)
		if v.Rule != c.rule || (v.Reason == "") != (c.rule == "") {
			t.Errorf("%s is judged by %+v, want rule %q", c.key, v, c.rule)
			continue
		}
		held[c.rule] = true
		allowed, err := kube.NewRules(l, kube.ScenarioSame, v.Rule)
		switch {
		case c.rule == "":
		case v.Severity == kube.Never:
			if !errors.Is(err, kube.ErrFilter) {
				t.Errorf("rule %s may be broken: %v", v.Rule, err)
			}
		case err != nil:
			t.Error(err)
		default:
			if again := allowed.Judge(e); again.Rule == v.Rule {
				t.Errorf("%s is judged by %+v though that is allowed", c.key, again)
			}
		}
	}
	ofWrites := []string{kube.Closure, kube.TurnedBack, kube.Deleting, kube.Collecting, kube.Reclaimed, kube.RunningJobs, kube.Operators, kube.Sealed, kube.Addresses, kube.Adoption,
		kube.HomelessPods, kube.StoredVersions, kube.DeadWebhooks, kube.MissedSchedules, kube.AbsentOwners, kube.DeleteFinalizers, kube.DeleteVolumes} // see the packages need and undo
	for _, r := range kube.Hazards() {
		if slices.Contains(ofWrites, r.Name) {
			continue
		}
		if !held[r.Name] {
			t.Errorf("no object shows rule %s", r.Name)
		}
		if r.What == "" || r.Reason == "" || r.In() == "" {
			t.Errorf("rule %s does not say what it is for", r.Name)
		}
	}
	if _, err := kube.NewRules(l, kube.ScenarioSame, "derive"); !errors.Is(err, kube.ErrFilter) || !strings.Contains(err.Error(), "did you mean derived?") {
		t.Errorf("an unknown rule: %v", err)
	}
}
