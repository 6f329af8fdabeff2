package kube_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// stored are the kinds of kube-apiserver 1.36 by the first segments of their
// keys, from Kubernetes' test/integration/etcd/data.go.
var stored = map[bool]string{
	true: `configmaps controllerrevisions controllers cronjobs csistoragecapacities daemonsets deployments
		endpointslices events horizontalpodautoscalers ingress jobs leasecandidates leases limitranges
		networkpolicies persistentvolumeclaims podcertificaterequests poddisruptionbudgets podgroups pods
		podtemplates replicasets resourceclaims resourceclaimtemplates resourcequotas rolebindings roles secrets
		serviceaccounts services/endpoints services/specs statefulsets workloads`,
	false: `certificatesigningrequests clusterrolebindings clusterroles clustertrustbundles csidrivers csinodes
		deviceclasses devicetaintrules flowschemas ingressclasses ipaddresses minions mutatingadmissionpolicies
		mutatingadmissionpolicybindings mutatingwebhookconfigurations namespaces persistentvolumes priorityclasses
		prioritylevelconfigurations resourcepoolstatusrequests resourceslices runtimeclasses servicecidrs
		storageclasses storageversionmigrations storageversions validatingadmissionpolicies
		validatingadmissionpolicybindings validatingwebhookconfigurations volumeattachments
		volumeattributesclasses apiextensions.k8s.io/customresourcedefinitions
		apiregistration.k8s.io/apiservices`,
}

func TestEveryPathOfKubernetesIsKnown(t *testing.T) {
	l := newLayout(t)
	known := map[string]kube.Kind{}
	for _, k := range kube.Known() {
		known[k.Name()] = k
	}
	for namespaced, paths := range stored {
		for path := range strings.FieldsSeq(paths) {
			key := "/registry/" + path + "/name"
			if namespaced {
				key = "/registry/" + path + "/ns/name"
			}
			class := l.Classify([]byte(key))
			k, ok := known[class.Kind]
			if !ok || k.Namespaced != namespaced || class.Name != "name" {
				t.Errorf("%s: got class %+v of kind %+v, want a known kind with namespaced=%t", key, class, k, namespaced)
			}
		}
	}
}

// Key to object and back, for each row, under each prefix.
func TestEveryKindRoundTrips(t *testing.T) {
	l := newLayout(t)
	kinds := kube.Known()
	if len(kinds) < 80 {
		t.Fatalf("only %d kinds", len(kinds))
	}
	seen := map[string]string{}
	for _, k := range kinds {
		for _, prefix := range []string{"/registry/", "/kubernetes.io/", "/openshift.io/"} {
			sel, err := query(t, kube.Filter{Include: []string{k.Name() + "/a:b.c"}, Namespaces: []string{"shop"}}).
				Resolve(t.Context(), noView{t})
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(sel.Ranges, func(r etcdwalk.Range) bool { return strings.HasPrefix(string(r.Start), prefix) })
			key := sel.Ranges[i].Start
			if k.Plural != "endpoints" && k.Plural != "services" && seen[string(key)] != "" {
				t.Errorf("%s and %s share %s", k.Name(), seen[string(key)], key)
			}
			seen[string(key)] = k.Name()
			want := kube.Object{Group: k.Group, Resource: k.Plural, Name: "a:b.c"}
			if k.Namespaced {
				want.Namespace = "shop"
			}
			got, ok := l.Parse(key)
			if diff := cmp.Diff(got, want); !ok || diff != "" {
				t.Errorf("Parse(%q) = %t, %s", key, ok, diff)
			}
			class := l.Classify(key)
			if class.Kind != k.Name() || !class.Range.Contains(key) || class.Namespace != want.Namespace || class.Name != want.Name {
				t.Errorf("Classify(%q) = %+v", key, class)
			}
		}
	}
}

// The names that kubectl takes do not stand for two kinds.
func TestNamesAreUnambiguous(t *testing.T) {
	owner := map[string]string{}
	for _, k := range kube.Known() {
		for _, name := range k.Names() {
			if other, taken := owner[name]; taken {
				t.Errorf("%q is %s and %s", name, other, k.Name())
			}
			owner[name] = k.Name()
		}
	}
	for short, want := range map[string]string{
		"po": "pods", "deploy": "deployments.apps", "svc": "services", "cm": "configmaps", "ns": "namespaces",
		"no": "nodes", "pv": "persistentvolumes", "pvc": "persistentvolumeclaims", "sa": "serviceaccounts",
		"rs": "replicasets.apps", "sts": "statefulsets.apps", "ds": "daemonsets.apps", "cj": "cronjobs.batch",
		"hpa": "horizontalpodautoscalers.autoscaling", "ing": "ingresses.networking.k8s.io",
		"netpol": "networkpolicies.networking.k8s.io", "pdb": "poddisruptionbudgets.policy", "ep": "endpoints",
		"ev": "events", "quota": "resourcequotas", "limits": "limitranges", "rc": "replicationcontrollers",
		"crd": "customresourcedefinitions.apiextensions.k8s.io", "crds": "customresourcedefinitions.apiextensions.k8s.io",
		"csr": "certificatesigningrequests.certificates.k8s.io", "pc": "priorityclasses.scheduling.k8s.io",
		"sc": "storageclasses.storage.k8s.io", "vac": "volumeattributesclasses.storage.k8s.io",
		"ip": "ipaddresses.networking.k8s.io", "endpoints": "endpoints", "ingress": "ingresses.networking.k8s.io",
		"apiservice": "apiservices.apiregistration.k8s.io", "networkpolicy": "networkpolicies.networking.k8s.io",
	} {
		if got := owner[short]; got != want {
			t.Errorf("%q is %q, want %q", short, got, want)
		}
	}
}

// A real API server's keys: each parses, and its kind is the one in its value.
func TestFixtureKeysMeanWhatTheirValuesSay(t *testing.T) {
	l := newLayout(t)
	known := map[string]kube.Kind{}
	for _, k := range kube.Known() {
		known[k.Name()] = k
	}
	opaque := map[string]int{}
	for _, fixture := range []string{"registry-1.36.keys.tsv", "registry-1.36-encrypted.keys.tsv"} {
		for _, line := range truths(t, fixture) {
			class := l.Classify([]byte(line.key))
			object, ok := l.Parse([]byte(line.key))
			if !ok {
				opaque[line.key]++
				continue
			}
			if !strings.HasSuffix(line.key, "/"+object.Name) || class.Name != object.Name || class.Namespace != object.Namespace {
				t.Errorf("%s: parsed as %+v, classified as %+v", line.key, object, class)
			}
			if line.form == "enc" {
				continue
			}
			group, kind := groupKind(line.kind)
			want, compiled := known[class.Kind]
			if !compiled { // custom: the fixture's kinds are their plurals' singulars
				want = kube.Kind{Kind: kind, Group: object.Group}
				if object.Resource != strings.ToLower(kind)+"s" {
					t.Errorf("%s: resource %q of a %s", line.key, object.Resource, kind)
				}
			}
			if kind != want.Kind || group != want.Group {
				t.Errorf("%s: stored as %s in group %q, the table says %s in %q", line.key, kind, group, want.Kind, want.Group)
			}
		}
	}
	want := map[string]int{"compact_rev_key": 2, "/registry/ranges/servicenodeports": 2, "/registry/masterleases/192.0.2.1": 2}
	for key := range maps.Keys(opaque) {
		if strings.HasPrefix(key, "/registry/peerserverleases/") {
			want[key] = opaque[key]
		}
	}
	if diff := cmp.Diff(opaque, want); diff != "" {
		t.Errorf("opaque keys (-got +want):\n%s", diff)
	}
}

func TestClassifyAndParse(t *testing.T) {
	long := strings.Repeat("n", 64)
	for _, c := range []struct {
		key, kind, start string
		namespace, name  string // empty: opaque
	}{
		{"/registry/configmaps/shop/settings", "configmaps", "/registry/configmaps/", "shop", "settings"},
		{"/registry/services/specs/shop/web", "services", "/registry/services/specs/", "shop", "web"},
		{"/registry/services/endpoints/shop/web", "endpoints", "/registry/services/endpoints/", "shop", "web"},
		{"/registry/services/other/shop/web", "", "", "", ""},
		{"/registry/services/specs", "", "", "", ""},
		{"/registry/serviceaccounts/shop/web", "serviceaccounts", "/registry/serviceaccounts/", "shop", "web"},
		{"/registry/minions/node-0", "nodes", "/registry/minions/", "", "node-0"},
		{"/registry/apiregistration.k8s.io/apiservices/v1.", "apiservices.apiregistration.k8s.io", "/registry/apiregistration.k8s.io/apiservices/", "", "v1."},
		{"/registry/clusterroles/system:node", "clusterroles.rbac.authorization.k8s.io", "/registry/clusterroles/", "", "system:node"},
		{"/registry/snapshot.storage.k8s.io/volumesnapshots/shop/s", "volumesnapshots.snapshot.storage.k8s.io", "/registry/snapshot.storage.k8s.io/volumesnapshots/", "shop", "s"},
		{"/registry/infra.example.io/regions/eu", "regions.infra.example.io", "/registry/infra.example.io/regions/", "", "eu"},
		{"/openshift.io/routes/shop/web", "routes.route.openshift.io", "/openshift.io/routes/", "shop", "web"},
		{"/openshift.io/oauth/clients/c", "oauthclients.oauth.openshift.io", "/openshift.io/oauth/clients/", "", "c"},
		{"/openshift.io/oauth/clients/", "oauthclients.oauth.openshift.io", "/openshift.io/oauth/clients/", "", ""},
		{"/openshift.io/oauth/other/c", "", "", "", ""},
		{"/openshift.io/oauth/clients", "", "", "", ""},
		{"/openshift.io/authorization/local/x/a/b", "", "", "", ""},
		{"/openshift.io/authorization/local", "", "", "", ""},
		{"/registry/routes/shop/web", "routes", "/registry/routes/", "shop", "web"},
		{"/registry/oauth/clients/c", "oauth", "/registry/oauth/", "clients", "c"},
		{"/kubernetes.io/pods/shop/web", "pods", "/kubernetes.io/pods/", "shop", "web"},
		// not objects
		{"compact_rev_key", "", "", "", ""},
		{"/registry/", "", "", "", ""},
		{"/registry/health", "", "", "", ""},
		{"/registry/infra.example.io", "", "", "", ""},
		{"/registry/infra.example.io/regions", "", "", "", ""},
		{"/registry/infra.example.io/re.gions/eu", "", "", "", ""},
		{"/registry//configmaps/shop/a", "", "", "", ""},
		{"/registry/../configmaps/shop/a", "", "", "", ""},
		{"/registry/ConfigMaps/shop/a", "", "", "", ""},
		{"/registry/\xff\xfe/shop/a", "", "", "", ""},
		{"/calico/resources/v3/x", "", "", "", ""},
		{"/registry/ranges/servicenodeports", "ranges", "/registry/ranges/", "", ""},
		{"/registry/masterleases/192.0.2.1", "masterleases", "/registry/masterleases/", "", ""},
		{"/registry/peerserverleases/x", "peerserverleases", "/registry/peerserverleases/", "", ""},
		// in a kind's range, and opaque
		{"/registry/configmaps/", "configmaps", "/registry/configmaps/", "", ""},
		{"/registry/configmaps/settings", "configmaps", "/registry/configmaps/", "", ""},
		{"/registry/configmaps/shop/", "configmaps", "/registry/configmaps/", "", ""},
		{"/registry/configmaps//settings", "configmaps", "/registry/configmaps/", "", ""},
		{"/registry/configmaps/shop/a/b", "configmaps", "/registry/configmaps/", "", ""},
		{"/registry/configmaps/shop/..", "configmaps", "/registry/configmaps/", "", ""},
		{"/registry/configmaps/shop/a\nb", "configmaps", "/registry/configmaps/", "", ""},
		{"/registry/configmaps/shop/a\x00", "configmaps", "/registry/configmaps/", "", ""},
		{"/registry/configmaps/shop/\xff", "configmaps", "/registry/configmaps/", "", ""},
		{"/registry/configmaps/shop/100%", "configmaps", "/registry/configmaps/", "", ""},
		{"/registry/configmaps/Shop/a", "configmaps", "/registry/configmaps/", "", ""},
		{"/registry/configmaps/" + long + "/a", "configmaps", "/registry/configmaps/", "", ""},
		{"/registry/namespaces/shop/a", "namespaces", "/registry/namespaces/", "", ""},
		{"/registry/infra.example.io/regions/eu/west/1", "regions.infra.example.io", "/registry/infra.example.io/regions/", "", ""},
	} {
		t.Run(c.key, func(t *testing.T) {
			l := newLayout(t)
			got := l.Classify([]byte(c.key))
			want := etcdwalk.Class{Kind: c.kind, Namespace: c.namespace, Name: c.name}
			if c.kind != "" {
				want.Range = etcdwalk.Prefix(c.start)
				want.Prefix = c.start[:strings.Index(c.start[1:], "/")+2]
			}
			if diff := cmp.Diff(got, want); diff != "" {
				t.Errorf("class (-got +want):\n%s", diff)
			}
			if object, ok := l.Parse([]byte(c.key)); ok != (c.name != "") || object.Name != c.name || object.Namespace != c.namespace {
				t.Errorf("parsed %+v, %t", object, ok)
			}
		})
	}
}

func TestPrefixesDecideWhatIsRead(t *testing.T) {
	for _, c := range []struct {
		name     string
		prefixes []string
		key      string
		kind     string
	}{
		{"a tenant's", []string{"tenant-a"}, "/tenant-a/pods/shop/web", "pods"},
		{"not another's", []string{"/tenant-a/"}, "/registry/pods/shop/web", ""},
		{"below a default one keys keep their meaning", []string{"/registry/configmaps"}, "/registry/configmaps/shop/web", "configmaps"},
		{"everything means the default ones", []string{"/"}, "/registry/pods/shop/web", "pods"},
		{"none lies below another", []string{"/a/b/", "/a/"}, "/a/b/pods/shop", "b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := newLayout(t, c.prefixes...).Classify([]byte(c.key)).Kind; got != c.kind {
				t.Errorf("got kind %q, want %q", got, c.kind)
			}
		})
	}
	if _, err := kube.NewLayout(""); err == nil {
		t.Error("an empty prefix was taken")
	}
}

func TestClassifyHardlyAllocates(t *testing.T) {
	l := newLayout(t)
	for key, most := range map[string]float64{
		"/registry/configmaps/shop/settings":         1,
		"/registry/shop.example.io/widgets/shop/one": 6,
		"/openshift.io/oauth/clients/c":              1,
		"compact_rev_key":                            0,
	} {
		k := []byte(key)
		if got := testing.AllocsPerRun(100, func() { l.Classify(k) }); got > most {
			t.Errorf("%s: %v allocations, want at most %v", key, got, most)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"/registry/configmaps/shop/a", "/registry/services/specs/shop/a", "/registry/g.io/things/a", "/registry/x", "", "/",
		"/registry/configmaps/\xff/a", "/kubernetes.io/pods/a/b", "/registry/services/", "compact_rev_key",
		"/openshift.io/oauth/clients/a", "/openshift.io/oauth//", "/openshift.io/authorization/local/policies/a/b", "/kubernetes.io/securitycontextconstraints/a",
	} {
		f.Add([]byte(seed))
	}
	l := newLayout(f)
	f.Fuzz(func(t *testing.T, key []byte) {
		object, ok := l.Parse(key)
		class := l.Classify(key)
		if ok != (class.Name != "") || object.Name != class.Name || object.Namespace != class.Namespace {
			t.Errorf("%q: %+v but %+v", key, object, class)
		}
		if class.Kind != "" && !class.Range.Contains(key) {
			t.Errorf("%q is not in its own range %q", key, class.Range.Start)
		}
		if class.Kind != "" && !strings.HasSuffix(string(class.Range.Start), "/") {
			t.Errorf("%q: the range %q does not end in a slash", key, class.Range.Start)
		}
		if ok && !strings.HasSuffix(string(key), "/"+object.Name) {
			t.Errorf("%q: parsed as %+v", key, object)
		}
	})
}
