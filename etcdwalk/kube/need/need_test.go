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

// ports are the node ports that there are.
func ports(all string) string {
	return `RangeAllocation /registry/ranges/servicenodeports ={"apiVersion":"v1","kind":"RangeAllocation","metadata":{},"range":"` + all + `","data":""}`
}

// passed are Services that no rule objects to: what they have is their own, or nobody's.
const passed = `Service /registry/services/specs/shop/new {"spec":{"clusterIP":"10.0.0.8","clusterIPs":["10.0.0.8","2001:db8::8"],"ports":[{"nodePort":30001,"protocol":"TCP"},{"nodePort":30001,"protocol":"UDP"}],"healthCheckNodePort":32767}}
	Service /registry/services/specs/shop/headless {"spec":{"clusterIP":"None","clusterIPs":["None"],"ports":[{"port":40000}]}}
	Service /registry/services/specs/shop/named {"spec":{"type":"ExternalName","externalName":"10.0.0.7"}}`

const (
	owned  = `{"metadata":{"ownerReferences":[{"apiVersion":"apps/v1","kind":"Deployment","name":"web","uid":"web"}]}}`
	either = `{"metadata":{"ownerReferences":[{"apiVersion":"apps/v1","kind":"Deployment","name":"gone","uid":"g"},{"apiVersion":"apps/v1","kind":"Deployment","name":"web","uid":"web"}]}}`
	node   = `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"n1","uid":"n1"}]}}`
	token  = `{"type":"kubernetes.io/service-account-token","metadata":{"annotations":{"kubernetes.io/service-account.name":"robot","kubernetes.io/service-account.uid":"robot"}}}`
	shop   = "Namespace /registry/namespaces/shop"
)

// A needing is an object that breaks a rule, as it stands.
type needing struct {
	write  string
	target string // beside the namespace shop
	mended string // what more the target or the selection needs to have; empty: nothing helps
	rule   string
	says   string
}

// needing objects, each by what it lacks.
func needings() map[string]needing {
	return map[string]needing{
		"no namespace":          {"ConfigMap /registry/configmaps/lost/a", "", "Namespace /registry/namespaces/lost", kube.Closure, "namespace lost is not"},
		"one that is going":     {"ConfigMap /registry/configmaps/lost/a", `Namespace /registry/namespaces/lost {"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"}}`, "-", kube.Deleting, "namespace lost is being deleted in the cluster, and all that is in it; the archive does not hold it living"},
		"no owner":              {"ReplicaSet /registry/replicasets/shop/web-1 " + owned, "", "Deployment /registry/deployments/shop/web", kube.Closure, "its owner Deployment web (uid web)"},
		"another owner":         {"ReplicaSet /registry/replicasets/shop/web-1 " + owned, `Deployment /registry/deployments/shop/web {"metadata":{"uid":"other"}}`, "-", kube.Closure, "its owner"},
		"none of two owners":    {"ReplicaSet /registry/replicasets/shop/web-1 " + either, "", "Deployment /registry/deployments/shop/web", kube.Closure, "Deployment gone (uid g), Deployment web"},
		"no cluster-wide owner": {"Lease /registry/pods/shop/mirror " + node, "", "Node /registry/minions/n1", kube.Closure, "its owner Node n1"},
		"an owner elsewhere":    {"ReplicaSet /registry/replicasets/shop/web-1 " + owned, "Deployment /registry/deployments/there/web", "-", kube.Closure, "its owner"},
		"no definition":         {"Widget /registry/example.io/widgets/shop/w", "", "CustomResourceDefinition /registry/apiextensions.k8s.io/customresourcedefinitions/widgets.example.io", kube.Closure, "widgets.example.io is not"},
		"no account":            {`Secret /registry/secrets/shop/token ` + token, "", "ServiceAccount /registry/serviceaccounts/shop/robot", kube.Closure, "serviceaccount/robot (uid robot)"},
		"a volume that goes": {`PersistentVolumeClaim /registry/persistentvolumeclaims/shop/data {"spec":{"volumeName":"pv"}}`,
			`PersistentVolume /registry/persistentvolumes/pv {"spec":{"persistentVolumeReclaimPolicy":"Delete"},"status":{"phase":"Released"}}`, "", kube.Collecting, "a controller deletes its disk"},
		"no volume":              {`PersistentVolumeClaim /registry/persistentvolumeclaims/shop/data {"spec":{"volumeName":"pv"}}`, "", "PersistentVolume /registry/persistentvolumes/pv", kube.Closure, "persistentvolume/pv"},
		"on its way out":         {`ConfigMap /registry/configmaps/shop/a {"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"}}`, "", "", kube.Deleting, "at once"},
		"a volume without claim": {`PersistentVolume /registry/persistentvolumes/pv {"spec":{"persistentVolumeReclaimPolicy":"Delete","claimRef":{"namespace":"shop","name":"data","uid":"data"}}}`, "", "PersistentVolumeClaim /registry/persistentvolumeclaims/shop/data", kube.Reclaimed, "its disk would be deleted"},
		"a released volume":      {`PersistentVolume /registry/persistentvolumes/pv {"spec":{"persistentVolumeReclaimPolicy":"Delete"},"status":{"phase":"Released"}}`, "", "", kube.Reclaimed, "Released"},
		"a job that runs":        {`Job /registry/jobs/shop/j {"spec":{}}`, "", "", kube.RunningJobs, "again"},
		"made by an operator": {`Machine /registry/example.io/machines/shop/m {"metadata":{"ownerReferences":[{"apiVersion":"example.io/v1","kind":"Set","name":"s","uid":"s","controller":true}]}}`,
			"CustomResourceDefinition /registry/apiextensions.k8s.io/customresourcedefinitions/machines.example.io", "", kube.Operators, "Set s controls it"},
		"a pod of no node": {`Pod /registry/pods/shop/p {"spec":{"nodeName":"n1"}}`, "", "Node /registry/minions/n1", kube.HomelessPods, "its node n1 is not"},
		"a webhook of nobody": {`ValidatingWebhookConfiguration /registry/validatingwebhookconfigurations/v {"webhooks":[{"clientConfig":{"url":"https://a"}},{"clientConfig":{"service":{"namespace":"shop","name":"hook"}}}]}`,
			"", "Service /registry/services/specs/shop/hook", kube.DeadWebhooks, "its Service shop/hook is not"},
		"a group of nobody": {`APIService /registry/apiregistration.k8s.io/apiservices/v1.example.io {"spec":{"service":{"namespace":"shop","name":"hook"}}}`,
			"", "Service /registry/services/specs/shop/hook", kube.DeadWebhooks, "its Service shop/hook is not"},
		"a conversion by nobody": {`CustomResourceDefinition /registry/apiextensions.k8s.io/customresourcedefinitions/widgets.example.io {"spec":{"conversion":{"webhook":{"clientConfig":{"service":{"namespace":"shop","name":"hook"}}}}}}`,
			"", "Service /registry/services/specs/shop/hook", kube.DeadWebhooks, "its Service shop/hook is not"},
		"a version of then": {`Widget /registry/example.io/widgets/shop/w {"apiVersion":"example.io/v1alpha1"}`,
			`CustomResourceDefinition /registry/apiextensions.k8s.io/customresourcedefinitions/widgets.example.io {"spec":{"versions":[{"name":"v1"},{"name":"v1beta1"}]}}`, "-", kube.StoredVersions, "has only v1, v1beta1"},
		"sealed by another key": {"Secret /registry/secrets/shop/a =k8s:enc:aescbc:v1:key1:xxx", "Secret /registry/secrets/shop/b =k8s:enc:aescbc:v1:key2:xxx", "Secret /registry/secrets/shop/c =k8s:enc:aescbc:v1:key1:yyy", kube.Sealed, "aescbc"},
		"an address that is taken": {`Service /registry/services/specs/shop/new {"spec":{"clusterIP":"10.0.0.7"}}`, `Service /registry/services/specs/shop/old {"spec":{"clusterIPs":["10.0.0.7"]}}`,
			"", kube.Addresses, "service shop/old has its address 10.0.0.7"},
		"a port that is taken": {`Service /registry/services/specs/shop/new {"spec":{"ports":[{"nodePort":30001,"protocol":"TCP"}]}}`, `Service /registry/services/specs/shop/old {"spec":{"ports":[{"nodePort":30001,"protocol":"TCP"}]}}`,
			"", kube.Addresses, "node port 30001/TCP"},
		"a port that another protocol has": {`Service /registry/services/specs/shop/new {"spec":{"ports":[{"nodePort":30001,"protocol":"UDP"}]}}`, `Service /registry/services/specs/shop/old {"spec":{"ports":[{"nodePort":30001,"protocol":"TCP"}]}}`,
			"", kube.Addresses, "service shop/old has its node port 30001/UDP"},
		"a port that is checked for health": {`Service /registry/services/specs/shop/new {"spec":{"ports":[{"nodePort":30001,"protocol":"TCP"}]}}`, `Service /registry/services/specs/shop/old {"spec":{"healthCheckNodePort":30001}}`,
			"", kube.Addresses, "service shop/old has its node port 30001"},
		"a health check's port": {`Service /registry/services/specs/shop/new {"spec":{"healthCheckNodePort":30002}}`, `Service /registry/services/specs/shop/old {"spec":{"healthCheckNodePort":30002}}`,
			"", kube.Addresses, "service shop/old has its health-check node port 30002"},
		"the second address": {`Service /registry/services/specs/shop/new {"spec":{"clusterIP":"10.0.0.7","clusterIPs":["10.0.0.7","2001:DB8::07"]}}`, `Service /registry/services/specs/shop/old {"spec":{"clusterIP":"2001:db8::7"}}`,
			"", kube.Addresses, "service shop/old has its address 2001:db8::7"},
		"an address of no Service": {`Service /registry/services/specs/shop/new {"spec":{"clusterIP":"10.0.0.7"}}`, `IPAddress /registry/ipaddresses/10.0.0.7 {"spec":{"parentRef":{"group":"gateway.networking.k8s.io","resource":"gateways","namespace":"shop","name":"new"}}}`,
			"", kube.Addresses, "by its IPAddress gateways shop/new has its address 10.0.0.7"},
		"an address that is about to be another's": {`Service /registry/services/specs/shop/new {"spec":{"clusterIP":"10.0.0.7"}}`, `IPAddress /registry/ipaddresses/10.0.0.7 {"spec":{"parentRef":{"resource":"services","namespace":"shop","name":"old"}}}`,
			"", kube.Addresses, "by its IPAddress services shop/old has its address 10.0.0.7"},
		"a port beyond the range": {`Service /registry/services/specs/shop/new {"spec":{"ports":[{"nodePort":32768,"protocol":"TCP"}]}}`, ports("30000-32767"),
			"", kube.Addresses, "its node port 32768/TCP is none of the cluster's node ports, 30000-32767"},
		"a health check's port beyond it": {`Service /registry/services/specs/shop/new {"spec":{"healthCheckNodePort":29999}}`, ports("30000-32767"),
			"", kube.Addresses, "its health-check node port 29999 is none"},
		"another range": {`Service /registry/services/specs/shop/new {"spec":{"ports":[{"nodePort":30001,"protocol":"TCP"}]}}`, ports("30000-30999"),
			"", kube.Addresses, "the node ports of the cluster are 30000-30999, which were 30000-32767"},
	}
}

// TestWhatObjectsNeed: each case is written twice: as it stands it breaks the rule, and with
// what mends it, it does not.
func TestWhatObjectsNeed(t *testing.T) {
	shown := map[string]bool{}
	for name, c := range needings() {
		t.Run(name, func(t *testing.T) {
			layout, err := kube.NewLayout()
			if err != nil {
				t.Fatal(err)
			}
			judge := func(rules *kube.Rules, selected, target string) string {
				t.Helper()
				survey, named := order.NewSurvey(1<<20), map[string]bool{}
				for _, e := range kubetest.Objects(t, layout, selected) {
					class := layout.Classify(e.Key)
					_, m, _ := object.Read(e.Value)
					if err := survey.Add(class, m); err != nil {
						t.Fatal(err)
					}
					named[class.Kind+"/"+strings.TrimPrefix(class.Namespace+"/"+class.Name, "/")] = true
				}
				if _, err := survey.Ranks(t.Context(), order.Plan{View: walktest.NewView()}); err != nil {
					t.Fatal(err)
				}
				held := walktest.NewTarget(kubetest.Objects(t, layout, shop+"\n"+target)...)
				query, err := kube.Filter{}.Compile()
				if err != nil {
					t.Fatal(err)
				}
				checks := need.Checks{Rules: rules, Layout: layout, Survey: survey, Target: held, View: held.View(),
					Selected: func(kind, name string) bool { return named[kind+"/"+name] }, Source: walktest.NewView(kubetest.Objects(t, layout, ports("30000-32767")+"\nService /registry/services/specs/shop/hook")...),
					Finders: []*kube.Finder{query.Catalog(held.View()).Finder()}}
				e := kubetest.Objects(t, layout, c.write)[0]
				reasons, err := checks.Judge(t.Context(), []etcdwalk.Write{{Key: e.Key, Value: e.Value}})
				if err != nil {
					t.Fatal(err)
				}
				return reasons[0]
			}
			all, err := kube.NewRules(layout, kube.ScenarioSame)
			if err != nil {
				t.Fatal(err)
			}
			shown[c.rule] = true
			if got := judge(all, "", c.target); !strings.HasPrefix(got, c.rule+": ") || !strings.Contains(got, c.says) {
				t.Errorf("got %q, want rule %s and %q", got, c.rule, c.says)
			}
			if c.mended != "" && c.mended != "-" {
				if got := judge(all, "", c.target+"\n"+c.mended); got != "" {
					t.Errorf("with %s in the target: %q", c.mended, got)
				}
			}
			if c.mended != "" && c.mended != "-" && c.rule != kube.Sealed {
				if got := judge(all, c.mended, c.target); got != "" {
					t.Errorf("with %s selected: %q", c.mended, got)
				}
			}
			if c.rule == kube.Reclaimed {
				return
			}
			without, err := kube.NewRules(layout, kube.ScenarioSame, c.rule)
			if err != nil {
				t.Fatal(err)
			}
			if got := judge(without, "", c.target); strings.HasPrefix(got, c.rule+": ") {
				t.Errorf("with --allow %s: %q", c.rule, got)
			}
		})
	}
	for _, rule := range []string{kube.Closure, kube.Deleting, kube.Collecting, kube.Reclaimed, kube.RunningJobs, kube.Operators, kube.Sealed, kube.Addresses, kube.HomelessPods, kube.DeadWebhooks, kube.StoredVersions} {
		if !shown[rule] {
			t.Errorf("nothing shows rule %s", rule)
		}
	}
}

// TestServicesThatTakeNothing: what a Service has itself, or nobody has, is not taken.
func TestServicesThatTakeNothing(t *testing.T) {
	layout, err := kube.NewLayout()
	if err != nil {
		t.Fatal(err)
	}
	rules, err := kube.NewRules(layout, kube.ScenarioSame)
	if err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"nothing":          "",
		"the range":        ports("30000-32767"),
		"a damaged range":  strings.Replace(ports("30000-32767"), "30000-", "", 1),
		"a sealed range":   "RangeAllocation /registry/ranges/servicenodeports =k8s:enc:aescbc:v1:key1:xxx",
		"the same":         strings.Replace(passed, "32767", "30005", 1),
		"its own address":  `IPAddress /registry/ipaddresses/10.0.0.8 {"spec":{"parentRef":{"resource":"services","namespace":"shop","name":"new"}}}`,
		"others' headless": strings.ReplaceAll(passed[strings.Index(passed, "\n"):], "shop/", "shop/other-"),
	} {
		survey := order.NewSurvey(1 << 20)
		held := walktest.NewTarget(kubetest.Objects(t, layout, shop+"\n"+target)...)
		checks := need.Checks{Rules: rules, Layout: layout, Survey: survey, Target: held, View: held.View(),
			Source: walktest.NewView(kubetest.Objects(t, layout, ports("30000-32767"))...), Selected: func(string, string) bool { return false }}
		var writes []etcdwalk.Write
		for _, e := range kubetest.Objects(t, layout, passed) {
			writes = append(writes, etcdwalk.Write{Key: e.Key, Value: e.Value})
		}
		reasons, err := checks.Judge(t.Context(), writes)
		if err != nil || len(reasons) != 3 || strings.Join(reasons, "") != "" {
			t.Errorf("%s: %q, %v", name, reasons, err)
		}
	}
}

// TestWhatIsToBeExpectedIsSaid: some things forbid nothing, and are said.
func TestWhatIsToBeExpectedIsSaid(t *testing.T) {
	layout, err := kube.NewLayout()
	if err != nil {
		t.Fatal(err)
	}
	const web = "Deployment /registry/deployments/shop/web"
	for _, c := range []struct{ write, allow, want string }{
		{`CronJob /registry/cronjobs/shop/nightly {"spec":{}}`, "", "missed-schedules: cronjob shop/nightly may run at once"},
		{`CronJob /registry/cronjobs/shop/nightly {"spec":{"suspend":true}}`, "", ""},
		{`CronJob /registry/cronjobs/shop/nightly {"spec":{}}`, kube.MissedSchedules, ""},
		{`APIService /registry/apiregistration.k8s.io/apiservices/v1.example.io {"spec":{"service":{"namespace":"shop","name":"never"}}}`, "", "dead-webhooks: apiservices.apiregistration.k8s.io v1.example.io needs Service shop/never, which is in neither"},
		{"ReplicaSet /registry/replicasets/shop/web-1 " + either, "", "absent-owners: replicasets.apps shop/web-1 names Deployment gone (uid g)"},
		{"ReplicaSet /registry/replicasets/shop/web-1 " + either, kube.AbsentOwners, ""},
		{"ReplicaSet /registry/replicasets/shop/web-1 " + owned, "", ""},
	} {
		var allow []string
		if c.allow != "" {
			allow = append(allow, c.allow)
		}
		rules, err := kube.NewRules(layout, kube.ScenarioSame, allow...)
		if err != nil {
			t.Fatal(err)
		}
		held := walktest.NewTarget(kubetest.Objects(t, layout, shop+"\n"+web)...)
		query, err := kube.Filter{}.Compile()
		if err != nil {
			t.Fatal(err)
		}
		checks := need.Checks{Rules: rules, Layout: layout, Survey: order.NewSurvey(1 << 20), Target: held, View: held.View(), Source: walktest.NewView(),
			Selected: func(string, string) bool { return false }, Finders: []*kube.Finder{query.Catalog(held.View()).Finder()}}
		e := kubetest.Objects(t, layout, c.write)[0]
		reasons, err := checks.Judge(t.Context(), []etcdwalk.Write{{Key: e.Key, Value: e.Value}})
		if err != nil || reasons[0] != "" {
			t.Fatalf("%+v: %q, %v", c, reasons[0], err)
		}
		if got := strings.Join(checks.Warnings(), "\n"); !strings.HasPrefix(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// TestForeignControllersAreSeen: what is to be adopted must have one that adopts it.
func TestForeignControllersAreSeen(t *testing.T) {
	layout, err := kube.NewLayout()
	if err != nil {
		t.Fatal(err)
	}
	const (
		web   = `Deployment /registry/deployments/shop/web {"spec":{"selector":{"matchLabels":{"app":"web"}}}}`
		other = `Deployment /registry/deployments/shop/other {"spec":{"selector":{"matchExpressions":[{"key":"app","operator":"In","values":["web"]}]}}}`
		rs    = `ReplicaSet /registry/replicasets/shop/web-1 {"metadata":{"labels":{"app":"web"},"ownerReferences":[{"apiVersion":"apps/v1","kind":"Deployment","name":"web","uid":"web","controller":true}]}}`
	)
	for _, c := range []struct {
		target, source, allow, want string
		adopted                     bool
	}{
		{shop, web, "", "", true},
		{shop + "\n" + web, web, "", "", false}, // its owner lives
		{"", web, "", "", false},                // nobody lives
		{shop + "\n" + other, web, "", "adoption: deployments.apps/other selects it too, beside its owner web", false},
		{shop, web + "\n" + other, "", "adoption: deployments.apps/other selects it too", false},
		{shop + "\n" + other, web, kube.Adoption, "", true},
	} {
		var allow []string
		if c.allow != "" {
			allow = append(allow, c.allow)
		}
		rules, err := kube.NewRules(layout, kube.ScenarioSame, allow...)
		if err != nil {
			t.Fatal(err)
		}
		survey := order.NewSurvey(1 << 20)
		for _, e := range kubetest.Objects(t, layout, web) {
			_, m, _ := object.Read(e.Value)
			if err := survey.Add(layout.Classify(e.Key), m); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := survey.Ranks(t.Context(), order.Plan{View: walktest.NewView()}); err != nil {
			t.Fatal(err)
		}
		held := walktest.NewTarget(kubetest.Objects(t, layout, c.target)...)
		query, err := kube.Filter{}.Compile()
		if err != nil {
			t.Fatal(err)
		}
		checks := need.Checks{Rules: rules, Layout: layout, Survey: survey, Target: held, View: held.View(), Source: walktest.NewView(kubetest.Objects(t, layout, c.source)...),
			Selected: func(kind, name string) bool { return c.target == "" }, Finders: []*kube.Finder{query.Catalog(held.View()).Finder()}}
		e := kubetest.Objects(t, layout, rs)[0]
		reasons, err := checks.Judge(t.Context(), []etcdwalk.Write{{Key: e.Key, Value: e.Value}})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(reasons[0], c.want) || (reasons[0] == "") != (c.want == "") || checks.Adopted(e.Key) != c.adopted {
			t.Errorf("%+v: %q, adopted %v", c, reasons[0], checks.Adopted(e.Key))
		}
	}
}
