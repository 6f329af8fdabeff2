package kube_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// openshiftKeys are keys of each of OpenShift's kinds, with all the words for it. The
// paths are those that OpenShift's own tests expect (openshift/origin:
// test/extended/etcd/etcd_storage_path.go, before 4.0
// test/integration/etcd_storage_path_test.go).
var openshiftKeys = []struct{ keys, words string }{
	{"/openshift.io/deploymentconfigs/shop/one", "deploymentconfigs deploymentconfig dc deploymentconfigs.apps.openshift.io"},
	{"/openshift.io/buildconfigs/shop/one", "buildconfigs buildconfig bc buildconfigs.build.openshift.io"},
	{"/openshift.io/builds/shop/one", "builds build builds.build.openshift.io"},
	{"/openshift.io/images/one", "images image images.image.openshift.io"},
	{"/openshift.io/imagestreams/shop/one", "imagestreams imagestream is imagestreams.image.openshift.io"},
	{"/openshift.io/routes/shop/one /kubernetes.io/route.openshift.io/routes/shop/one /registry/route.openshift.io/routes/shop/one",
		"routes route Route routes.route.openshift.io route.v1.route.openshift.io"},
	{"/openshift.io/rangeallocations/one", "rangeallocations rangeallocation rangeallocations.security.openshift.io"},
	{"/openshift.io/templates/shop/one", "templates template templates.template.openshift.io"},
	{"/openshift.io/templateinstances/shop/one", "templateinstances templateinstance templateinstances.template.openshift.io"},
	{"/openshift.io/brokertemplateinstances/one", "brokertemplateinstances brokertemplateinstance brokertemplateinstances.template.openshift.io"},
	{"/openshift.io/oauth/accesstokens/one", "oauthaccesstokens oauthaccesstoken oauthaccesstokens.oauth.openshift.io"},
	{"/openshift.io/oauth/authorizetokens/one", "oauthauthorizetokens oauthauthorizetoken oauthauthorizetokens.oauth.openshift.io"},
	{"/openshift.io/oauth/clients/one", "oauthclients oauthclient oauthclients.oauth.openshift.io"},
	{"/openshift.io/oauth/clientauthorizations/one", "oauthclientauthorizations oauthclientauthorization oauthclientauthorizations.oauth.openshift.io"},
	{"/openshift.io/groups/one", "groups group groups.user.openshift.io"},
	{"/openshift.io/users/one", "users user users.user.openshift.io"},
	{"/openshift.io/useridentities/one", "identities identity identities.user.openshift.io"},
	{"/openshift.io/clusterresourcequotas/one /kubernetes.io/quota.openshift.io/clusterresourcequotas/one",
		"clusterresourcequotas clusterresourcequota clusterquota clusterresourcequotas.quota.openshift.io"},
	{"/openshift.io/rolebindingrestrictions/shop/one /kubernetes.io/authorization.openshift.io/rolebindingrestrictions/shop/one",
		"rolebindingrestrictions rolebindingrestriction rolebindingrestrictions.authorization.openshift.io"},
	{"/openshift.io/securitycontextconstraints/one /kubernetes.io/securitycontextconstraints/one /kubernetes.io/security.openshift.io/securitycontextconstraints/one",
		"securitycontextconstraints securitycontextconstraint scc securitycontextconstraints.security.openshift.io"},
	{"/openshift.io/registry/sdnnetworks/one", "clusternetworks clusternetwork clusternetworks.network.openshift.io"},
	{"/openshift.io/registry/egressnetworkpolicy/shop/one", "egressnetworkpolicies egressnetworkpolicy egressnetworkpolicies.network.openshift.io"},
	{"/openshift.io/registry/sdnsubnets/one", "hostsubnets hostsubnet hostsubnets.network.openshift.io"},
	{"/openshift.io/registry/sdnnetnamespaces/one", "netnamespaces netnamespace netnamespaces.network.openshift.io"},
	{"/openshift.io/authorization/cluster/policies/one", "clusterpolicies clusterpolicy clusterpolicies.authorization.openshift.io"},
	{"/openshift.io/authorization/cluster/policybindings/one", "clusterpolicybindings clusterpolicybinding clusterpolicybindings.authorization.openshift.io"},
	{"/openshift.io/authorization/local/policies/shop/one", "policies policy policies.authorization.openshift.io"},
	{"/openshift.io/authorization/local/policybindings/shop/one", "policybindings policybinding policybindings.authorization.openshift.io"},
	{"/kubernetes.io/roles/shop/one", "roles roles.authorization.openshift.io"}, // a proxy of RBAC's
	{"/kubernetes.io/controllers/shop/one", "rc"},
	{"/kubernetes.io/namespaces/shop", "ns"},
}

// openshiftView holds an object of each kind in each of its places, and opaque keys.
func openshiftView() *walktest.View {
	entries := []etcdwalk.Entry{{Key: []byte("/openshift.io/oauth/odd/one")}, {Key: []byte("/openshift.io/registry/odd")}}
	for _, c := range openshiftKeys {
		for key := range strings.FieldsSeq(c.keys) {
			entries = append(entries, etcdwalk.Entry{Key: []byte(key)})
		}
	}
	slices.SortFunc(entries, func(a, b etcdwalk.Entry) int { return strings.Compare(string(a.Key), string(b.Key)) })
	return walktest.NewView(entries...)
}

// Each word for a kind takes its keys and no others, all in all and by name, and each
// key is told to be of that kind.
func TestOpenShiftKindsByEachOfTheirNames(t *testing.T) {
	view, l := openshiftView(), newLayout(t)
	known := 0
	for _, c := range openshiftKeys {
		words, keys := strings.Fields(c.words), strings.Fields(c.keys)
		slices.Sort(keys)
		for _, word := range words {
			filters := []kube.Filter{{Include: []string{word}}, {Include: []string{word}, Namespaces: []string{"shop"}}}
			if strings.HasSuffix(c.keys, "/one") {
				filters = append(filters, kube.Filter{Include: []string{word + "/one"}}, kube.Filter{Include: []string{word + "/one"}, Namespaces: []string{"shop"}})
			}
			for _, f := range filters {
				sel, err := query(t, f).Resolve(t.Context(), view)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(keysOf(t, view, sel), keys); diff != "" {
					t.Errorf("%+v: keys (-got +want):\n%s", f, diff)
				}
			}
		}
		full := words[len(words)-1]
		if strings.Contains(full, ".v1.") {
			full = words[len(words)-2]
		}
		if !strings.HasSuffix(full, ".openshift.io") || words[0] == "roles" {
			continue
		}
		known++
		if i := slices.IndexFunc(kube.Known(), func(k kube.Kind) bool { return k.Name() == full }); i < 0 {
			t.Errorf("%s is not known", full)
		}
		for _, key := range keys {
			class := l.Classify([]byte(key))
			namespace := ""
			if strings.Contains(key, "/shop/") {
				namespace = "shop"
			}
			if class.Kind != full || class.Name != "one" || class.Namespace != namespace {
				t.Errorf("%s: %+v", key, class)
			}
		}
	}
	for _, k := range kube.Known() {
		if strings.HasSuffix(k.Group, ".openshift.io") {
			known--
		}
	}
	if known != 0 {
		t.Error("the table of this test is not that of the product")
	}
}

// A namespace has OpenShift's objects in it, wherever they lie.
func TestOpenShiftObjectsOfANamespace(t *testing.T) {
	view := openshiftView()
	sel, err := query(t, kube.Filter{Namespaces: []string{"shop"}}).Resolve(t.Context(), view)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, key := range keysOf(t, view, walktest.Everything()) {
		if strings.Contains(key, "/shop/") || strings.HasSuffix(key, "/namespaces/shop") {
			want = append(want, key)
		}
	}
	if diff := cmp.Diff(keysOf(t, view, sel), want); diff != "" || len(want) < 12 {
		t.Errorf("%d keys wanted (-got +want):\n%s", len(want), diff)
	}
}

// OpenShift's words are other people's, too. Without a group they mean what is there.
func TestOpenShiftWordsYieldToWhatIsThere(t *testing.T) {
	const (
		knative = "/registry/serving.knative.dev/routes/shop/k"
		flat    = "/openshift.io/routes/shop/o"
		custom  = "/registry/route.openshift.io/routes/shop/c"
		foreign = "/registry/users/shop/f"
	)
	for _, c := range []struct {
		name, word string
		keys, want []string
		err        string
	}{
		{"another's alone", "routes", []string{knative}, []string{knative}, ""},
		{"a custom resource in OpenShift's group", "route", []string{custom}, []string{custom}, ""},
		{"both of OpenShift's", "routes", []string{flat, custom}, []string{flat, custom}, ""},
		{"another's beside OpenShift's", "routes", []string{flat, knative}, nil, `"routes" may be routes.route.openshift.io or routes.serving.knative.dev: write one of them`},
		{"another's beside a custom one of OpenShift's", "routes", []string{custom, knative}, nil, `"routes" may be routes.route.openshift.io or routes.serving.knative.dev: write one of them`},
		{"another's by its group", "routes.serving.knative.dev", []string{flat, knative}, []string{knative}, ""},
		{"OpenShift's by its group", "routes.route.openshift.io", []string{flat, knative}, []string{flat}, ""},
		{"a resource that nobody knows", "users", []string{foreign}, []string{foreign}, ""},
		{"no key of a kind that is known", "users", []string{flat}, nil, ""},
		{"no key elsewhere", "users.user.openshift.io", []string{foreign}, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var entries []etcdwalk.Entry
			for _, key := range slices.Sorted(slices.Values(c.keys)) {
				entries = append(entries, etcdwalk.Entry{Key: []byte(key)})
			}
			view := walktest.NewView(entries...)
			sel, err := query(t, kube.Filter{Include: []string{c.word}}).Resolve(t.Context(), view)
			if c.err != "" {
				if !errors.Is(err, kube.ErrFilter) || err.Error() != c.err {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(keysOf(t, view, sel), c.want); diff != "" {
				t.Errorf("keys (-got +want):\n%s", diff)
			}
		})
	}
}

// What OpenShift serves and does not store leads to what it stores.
func TestOpenShiftKindsThatAreNotStored(t *testing.T) {
	for word, want := range map[string]string{
		"projects":                              "namespaces",
		"project.project.openshift.io":          "namespaces",
		"istag":                                 "imagestreams.image.openshift.io",
		"imagestreamtags.v1.image.openshift.io": "imagestreams.image.openshift.io",
		"useridentitymappings":                  "identities.user.openshift.io",
		"deploymentconfgis":                     "deploymentconfigs.apps.openshift.io",
		"scc.apps.openshift.io":                 "securitycontextconstraints.security.openshift.io",
	} {
		_, err := resolve(t.Context(), kube.Filter{Include: []string{word}}, openshiftView())
		if !errors.Is(err, kube.ErrUnknownKind) || !strings.Contains(err.Error(), "did you mean "+want) {
			t.Errorf("%s: %v", word, err)
		}
	}
	_, err := resolve(t.Context(), kube.Filter{Include: []string{"projects.management.example.io"}}, openshiftView())
	if !errors.Is(err, kube.ErrUnknownKind) || strings.Contains(err.Error(), "namespaces") {
		t.Errorf("another's projects: %v", err)
	}
	view := walktest.NewView(etcdwalk.Entry{Key: []byte("/registry/management.example.io/projects/one")})
	if sel, err := resolve(t.Context(), kube.Filter{Include: []string{"projects"}}, view); err != nil || len(keysOf(t, view, sel)) != 1 {
		t.Errorf("projects that are there: %v", err)
	}
}

// With its group a kind has one name in a selection. Without, it may be another's.
func TestOpenShiftWordsInSelections(t *testing.T) {
	digest := func(word string) string {
		s, err := query(t, kube.Filter{Include: []string{word}}).Selected()
		if err != nil {
			t.Fatal(err)
		}
		return s.Digest
	}
	full := digest("routes.route.openshift.io")
	if digest("Route.v1.route.openshift.io") != full || digest("routes") == full || digest("clusterroles.authorization.openshift.io") != digest("clusterroles") {
		t.Error("one selection has two digests, or two have one")
	}
}

// A value below one of OpenShift's keys must be an object, as below any kind's.
func TestCheckValueOfOpenShift(t *testing.T) {
	l := newLayout(t)
	for key, ok := range map[string]bool{
		"/openshift.io/routes/shop/one": true, "/openshift.io/routes/shop/two": false, "/openshift.io/oauth/clients/one": false, "/openshift.io/oauth/odd/x": true,
	} {
		if err := l.CheckValue([]byte(key), []byte(`{"metadata":{"name":"one","namespace":"shop"}}`)); (err == nil) != ok {
			t.Errorf("%s: %v", key, err)
		}
	}
}
