package need_test

import (
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/kubetest"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/need"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/order"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// TestWhatIsSelectedIsNotAlwaysWritten: what the target holds as another's stays so under a
// policy that keeps it, and helps nobody who needs the one of the source.
func TestWhatIsSelectedIsNotAlwaysWritten(t *testing.T) {
	const (
		web     = "Deployment /registry/deployments/shop/web"
		other   = `Deployment /registry/deployments/shop/web {"metadata":{"uid":"other"}}`
		widget  = `Widget /registry/example.io/widgets/shop/w {"apiVersion":"example.io/v1alpha1"}`
		widgets = `CustomResourceDefinition /registry/apiextensions.k8s.io/customresourcedefinitions/widgets.example.io {"spec":{"versions":[{"name":"v1"}]}}`
		robot   = "ServiceAccount /registry/serviceaccounts/shop/robot"
		claim   = `PersistentVolumeClaim /registry/persistentvolumeclaims/shop/data {"spec":{"volumeName":"pv"}}`
		volume  = `PersistentVolume /registry/persistentvolumes/pv {"spec":{"persistentVolumeReclaimPolicy":"Delete"},"status":{"phase":"Released"}}`
		route   = `HTTPRoute /registry/gateway.networking.k8s.io/httproutes/shop/r {"apiVersion":"gateway.networking.k8s.io/v1"}`
		routes  = "CustomResourceDefinition /registry/apiextensions.k8s.io/customresourcedefinitions/httproutes.gateway.networking.k8s.io"
		old     = `CustomResourceDefinition /registry/apiextensions.k8s.io/customresourcedefinitions/widgets.example.io {"spec":{"conversion":{"strategy":"Webhook","webhookClientConfig":{"service":{"namespace":"shop","name":"hook"}}}}}`

		byNamespace = `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Namespace","name":"lost","uid":"lost"}]}}`
		hook        = "Service /registry/services/specs/shop/hook"
	)
	for name, c := range map[string]struct {
		write, selected, target, source string
		keeps                           bool
		want                            string
	}{
		"an owner that stays another's":       {"ReplicaSet /registry/replicasets/shop/web-1 " + owned, web, other, "", true, "closure: its owner Deployment web (uid web) would stay another's"},
		"an owner that is replaced":           {"ReplicaSet /registry/replicasets/shop/web-1 " + owned, web, other, "", false, ""},
		"an owner that comes back":            {"ReplicaSet /registry/replicasets/shop/web-1 " + owned, web, "", "", true, ""},
		"an owner that comes back last":       {"ClusterRole /registry/clusterroles/r " + byNamespace, "Namespace /registry/namespaces/lost", "", "", false, "closure: its owner Namespace lost (uid lost) comes back after the object"},
		"a namespace that is there":           {"ClusterRole /registry/clusterroles/r " + byNamespace, "Namespace /registry/namespaces/lost", "Namespace /registry/namespaces/lost", "", false, ""},
		"an account that stays another's":     {"Secret /registry/secrets/shop/token " + token, robot, `ServiceAccount /registry/serviceaccounts/shop/robot {"metadata":{"uid":"other"}}`, "", true, "closure: its account, serviceaccount/robot (uid robot), would stay another's"},
		"an account that comes back":          {"Secret /registry/secrets/shop/token " + token, robot, "", "", true, ""},
		"a definition that stays as it is":    {widget, widgets, widgets, "", true, "stored-versions: it is stored as example.io/v1alpha1"},
		"a definition that is replaced":       {widget, widgets, widgets, "", false, ""},
		"a volume that goes, selected or not": {claim, volume, volume, "", false, "collecting: its volume"},
		"a definition in a group of .k8s.io":  {route, "", "", routes, false, "closure: the definition httproutes.gateway.networking.k8s.io is not in the cluster"},
		"a kind of another Kubernetes":        {route, "", "", "", false, ""},
		"a conversion as it is stored":        {old, "", "", hook, false, "dead-webhooks: its Service shop/hook"},
	} {
		layout, err := kube.NewLayout()
		if err != nil {
			t.Fatal(err)
		}
		rules, err := kube.NewRules(layout, kube.ScenarioSame)
		if err != nil {
			t.Fatal(err)
		}
		survey, named := order.NewSurvey(1<<20), map[string]bool{}
		for _, e := range kubetest.Objects(t, layout, c.selected) {
			class := layout.Classify(e.Key)
			_, m, _ := object.Read(e.Value)
			if err := survey.Add(class, m); err != nil {
				t.Fatal(err)
			}
			named[class.Kind+"/"+strings.TrimPrefix(class.Namespace+"/"+class.Name, "/")] = true
		}
		held := walktest.NewTarget(kubetest.Objects(t, layout, shop+"\n"+c.target)...)
		query, err := kube.Filter{}.Compile()
		if err != nil {
			t.Fatal(err)
		}
		checks := need.Checks{Rules: rules, Layout: layout, Survey: survey, Target: held, View: held.View(), Source: walktest.NewView(kubetest.Objects(t, layout, c.source)...), Keeps: c.keeps,
			Selected: func(kind, name string) bool { return named[kind+"/"+name] }, Finders: []*kube.Finder{query.Catalog(held.View()).Finder()}}
		e := kubetest.Objects(t, layout, c.write)[0]
		reasons, err := checks.Judge(t.Context(), []etcdwalk.Write{{Key: e.Key, Value: e.Value}})
		if err != nil {
			t.Fatal(err)
		}
		if got := reasons[0]; !strings.HasPrefix(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
