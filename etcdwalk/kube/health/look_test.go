package health_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/health"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/kubetest"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// sound is a cluster in which nothing is wrong.
const sound = `
	Namespace /registry/namespaces/shop
	CustomResourceDefinition /registry/apiextensions.k8s.io/customresourcedefinitions/widgets.example.io {"spec":{"versions":[{"name":"v1"}]}}
	Widget /registry/example.io/widgets/shop/w {"apiVersion":"example.io/v1"}
	Deployment /registry/deployments/shop/web {"apiVersion":"apps/v1"}
	ReplicaSet /registry/replicasets/shop/web-1 {"apiVersion":"apps/v1","metadata":{"ownerReferences":[{"apiVersion":"apps/v1","kind":"Deployment","name":"web","uid":"web"}]}}
	Event /registry/events/shop/e@15
	Endpoints /registry/masterleases/10.0.0.1@15 ={}
	PersistentVolume /registry/persistentvolumes/pv {"spec":{"persistentVolumeReclaimPolicy":"Delete","claimRef":{"namespace":"shop","name":"data","uid":"data"}},"status":{"phase":"Bound"}}
	PersistentVolumeClaim /registry/persistentvolumeclaims/shop/data {"spec":{"volumeName":"pv"}}
	IPAddress /registry/ipaddresses/10.0.0.7 {"apiVersion":"networking.k8s.io/v1","spec":{"parentRef":{"resource":"services","namespace":"shop","name":"web"}}}
	Service /registry/services/specs/shop/web {"spec":{"clusterIP":"10.0.0.7","clusterIPs":["10.0.0.7"],"ports":[{"nodePort":30001,"protocol":"TCP"},{"nodePort":30001,"protocol":"UDP"}]}}
	RangeAllocation /registry/ranges/servicenodeports =k8s`

// view is a view of a sound cluster with more in it, which stands in the place of what is there.
// Its leases run for as many seconds as their ids say; lease 1 is over, and lease 2 not told.
func view(t *testing.T, more string) *walktest.View {
	t.Helper()
	all := map[string]etcdwalk.Entry{}
	for _, e := range kubetest.Objects(t, query(t).Layout(), sound+"\n"+more) {
		all[string(e.Key)] = e
	}
	var entries []etcdwalk.Entry
	for _, e := range all {
		if string(e.Value) != "gone" {
			entries = append(entries, e)
		}
	}
	v := walktest.NewView(walktest.Sorted(entries)...)
	v.TTLs = map[int64]etcdwalk.Lease{15: {ID: 15, State: etcdwalk.LeaseLive, Granted: 15, Remaining: 9}, 3600: {ID: 3600, State: etcdwalk.LeaseLive, Granted: 3600, Remaining: 1800}, 1: {ID: 1, State: etcdwalk.LeaseExpired}}
	return v
}

func query(t *testing.T, prefixes ...string) kube.Query {
	t.Helper()
	q, err := kube.Filter{Prefixes: prefixes}.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func look(t *testing.T, l health.Look) health.Seen {
	t.Helper()
	return lookWith(t, query(t), l)
}

func lookWith(t *testing.T, q kube.Query, l health.Look) health.Seen {
	t.Helper()
	l.Query = q
	seen, err := l.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

// told are findings as lines: how bad, which check, how many, and each object with what it is
// about it.
func told(seen health.Seen) (lines []string) {
	for _, f := range seen.Findings {
		line := fmt.Sprintf("%s %s %d:", f.Severity, f.Check, f.Count)
		for _, o := range f.Objects {
			line += " " + strings.TrimSpace(o.Name+" "+o.Why)
		}
		lines = append(lines, line)
	}
	return lines
}

// TestEachFindingIsFound: in a sound cluster nothing is found, and what is planted is, once,
// and nothing else.
func TestEachFindingIsFound(t *testing.T) {
	if got := look(t, health.Look{View: view(t, "")}); len(got.Findings)+len(got.Unseen) > 0 || len(got.Alive) != 1 || got.Keys != 12 {
		t.Fatalf("in a sound cluster: %+v", got)
	}
	for name, c := range map[string]struct{ planted, want, help string }{
		"another name":         {`ConfigMap /registry/configmaps/shop/a {"metadata":{"name":"b"}}`, `broken key-and-metadata 1: configmap shop/a its metadata names "b" in namespace "shop"`, "restore configmap/a -n shop --from"},
		"another namespace":    {`ConfigMap /registry/configmaps/shop/a {"metadata":{"namespace":"else"}}`, `broken key-and-metadata 1: configmap shop/a its metadata names "a" in namespace "else"`, ""},
		"no object":            {"ConfigMap /registry/configmaps/shop/a =secret-bytes", "broken unstorable 1: configmap shop/a it does not begin like a stored object", ""},
		"cut short":            {`ConfigMap /registry/configmaps/shop/a ={"kind":`, "broken unstorable 1: configmap shop/a metadata cannot be read: the JSON object breaks off", ""},
		"a ghost for ever":     {"X /registry/masterleases/10.0.0.9 ={}", "broken ghost-api-server 1: /registry/masterleases/10.0.0.9 it has no etcd lease", "etcdctl del '/registry/masterleases/10.0.0.9'"},
		"a ghost for an hour":  {"X /registry/peerserverleases/x@3600 ={}", "broken ghost-api-server 1: /registry/peerserverleases/x its etcd lease runs for 3600 s, and API servers take 15", ""},
		"on its way out":       {`ConfigMap /registry/configmaps/shop/a {"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z","finalizers":["example.io/keep"]}}`, "warning terminating 1: configmap shop/a finalizers: example.io/keep", "kubectl get configmap/a -n shop"},
		"a namespace":          {`Namespace /registry/namespaces/old {"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"},"spec":{"finalizers":["kubernetes"]}}`, "warning terminating 1: namespace old finalizers: kubernetes", "kubectl get namespace/old"},
		"on its way, unwaited": {`Pod /registry/pods/shop/a {"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"}}`, "", ""},
		"an address twice":     {`Service /registry/services/specs/shop/xx {"spec":{"clusterIP":"10.0.0.7"}}`, "broken addresses 2: service shop/xx service shop/web has its address 10.0.0.7 service shop/xx by its IPAddress services shop/web has its address 10.0.0.7", ""},
		"a node port twice":    {`Service /registry/services/specs/shop/xx {"spec":{"ports":[{"nodePort":30001,"protocol":"UDP"}]}}`, "broken addresses 1: service shop/xx service shop/web has its node port 30001/UDP", ""},
		"another's IPAddress":  {`IPAddress /registry/ipaddresses/10.0.0.7 {"apiVersion":"networking.k8s.io/v1","spec":{"parentRef":{"resource":"services","namespace":"shop","name":"old"}}}`, "broken addresses 1: service shop/web by its IPAddress services shop/old has its address 10.0.0.7", ""},
		"no namespace":         {"ConfigMap /registry/configmaps/lost/a\nPod /registry/pods/lost/p", "broken no-namespace 1: namespace lost objects: 2, such as configmap lost/a", "kubeferry restore namespace/lost --from ARCHIVE, or kubectl create namespace lost"},
		"no namespace there":   {"BuildConfig /openshift.io/buildconfigs/lost/b", "broken no-namespace 1: namespace lost objects: 1, such as buildconfig.build.openshift.io lost/b", ""},
		"one that is going":    {`Namespace /registry/namespaces/old {"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"}}` + "\nConfigMap /registry/configmaps/old/a", "", ""},
		"OpenShift's objects":  {"BuildConfig /openshift.io/buildconfigs/origin/b\nNamespace /kubernetes.io/namespaces/origin", "", ""},
		"an event of then":     {"Event /registry/events/lost/e@3600", "", ""},
		"no definition":        {"Gadget /registry/example.io/gadgets/shop/g\nGadget /registry/example.io/gadgets/shop/h", "warning no-definition 1: customresourcedefinition.apiextensions.k8s.io gadgets.example.io objects: 2", "kubeferry restore customresourcedefinition.apiextensions.k8s.io/gadgets.example.io"},
		"a version of then":    {`Widget /registry/example.io/widgets/shop/v {"apiVersion":"example.io/v1alpha1"}`, "broken stored-versions 1: widgets.example.io shop/v stored as example.io/v1alpha1; the definition has v1", ""},
		"no owner":             {"Deployment /registry/deployments/shop/web =gone", "warning orphans 1: replicaset.apps shop/web-1 owner: Deployment web (uid web)", "kubectl patch replicaset.apps/web-1 -n shop"},
		"an owner made anew":   {`Deployment /registry/deployments/shop/web {"apiVersion":"apps/v1","metadata":{"uid":"other"}}`, "warning orphans 1: replicaset.apps shop/web-1 owner: Deployment web (uid web)", ""},
		"one of two owners":    {`Pod /registry/pods/shop/p {"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Pod","name":"gone","uid":"g"},{"apiVersion":"apps/v1","kind":"Deployment","name":"web","uid":"web"}]}}`, "", ""},
		"an event for ever":    {"Event /registry/events/shop/e", "warning events-without-lease 1: event shop/e", "kubectl delete event/e -n shop"},
		"a volume, unclaimed":  {"PersistentVolumeClaim /registry/persistentvolumeclaims/shop/data =gone", "warning reclaimed-volumes 1: persistentvolume pv", "kubectl patch persistentvolume/pv -p"},
		"a volume, released":   {`PersistentVolume /registry/persistentvolumes/pv {"spec":{"persistentVolumeReclaimPolicy":"Delete"},"status":{"phase":"Released"}}`, "warning reclaimed-volumes 1: persistentvolume pv", ""},
		"a volume, retained":   {`PersistentVolume /registry/persistentvolumes/pv {"spec":{"persistentVolumeReclaimPolicy":"Retain"},"status":{"phase":"Released"}}`, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := look(t, health.Look{View: view(t, c.planted)})
			if diff := cmp.Diff(c.want, strings.Join(told(got), "\n")); diff != "" || len(got.Unseen) > 0 {
				t.Errorf("-want +got:\n%s%+v", diff, got.Unseen)
			}
			for _, f := range got.Findings {
				if f.Reason == "" || f.Help == "" || f.Objects[0].Key == "" || strings.Contains(f.Help, "{object}") || strings.Contains(f.Help, "{name}") || strings.Contains(f.Help, "{key}") {
					t.Errorf("no reason, key or command: %+v", f)
				}
			}
			if c.help != "" && !strings.Contains(got.Findings[0].Help, c.help) {
				t.Errorf("the help is %q, want %q", got.Findings[0].Help, c.help)
			}
			if text, _ := json.Marshal(got); strings.Contains(string(text), "secret-bytes") {
				t.Errorf("a value is told: %s", text)
			}
		})
	}
}

// TestSignsOfLife: who shows that it lives, and whose lease has run out, or is not told.
func TestSignsOfLife(t *testing.T) {
	seen := look(t, health.Look{View: view(t, "X /registry/masterleases/10.0.0.2@1 ={}\nX /registry/masterleases/10.0.0.3@2 ={}")})
	if got := strings.Join(seen.Alive, " "); got != "/registry/masterleases/10.0.0.1 /registry/masterleases/10.0.0.3" || len(seen.Findings) != 0 {
		t.Errorf("alive are %s, %q", got, told(seen))
	}
	if got := unseen(seen); got != "how long the leases of API servers run, because the server does not tell" {
		t.Errorf("got %q", got)
	}
}

// TestNamespacesLieBesideAPart: of one prefix alone, the Namespaces are looked for where they
// are; and of an archive of a part nobody knows where that is.
func TestNamespacesLieBesideAPart(t *testing.T) {
	const more = `BuildConfig /openshift.io/buildconfigs/origin/b
		Namespace /kubernetes.io/namespaces/origin
		Namespace /registry/namespaces/old {"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"}}
		ConfigMap /registry/configmaps/old/a
		ConfigMap /registry/configmaps/shop/a`
	for prefix, lost := range map[string]string{"/openshift.io/": "BuildConfig /openshift.io/buildconfigs/lost/b", "/registry/configmaps/": "ConfigMap /registry/configmaps/lost/a"} {
		q := query(t, prefix)
		if seen := lookWith(t, q, health.Look{View: view(t, more)}); len(seen.Findings) != 0 || seen.Keys == 0 {
			t.Errorf("under %s: %q of %d keys", prefix, told(seen), seen.Keys)
		}
		if got := told(lookWith(t, q, health.Look{View: view(t, more+"\n"+lost)})); len(got) != 1 || !strings.HasPrefix(got[0], "broken no-namespace 1:") {
			t.Errorf("under %s: %q", prefix, got)
		}
		seen := lookWith(t, q, health.Look{View: view(t, more+"\n"+lost), Partial: true})
		if got := told(seen); len(got) != 0 || !strings.Contains(unseen(seen), "whether objects have their namespace, because it holds a part") {
			t.Errorf("under %s, of a part: %q, %q", prefix, got, unseen(seen))
		}
	}
}

// TestFindingsAreFolded: what is the same is one finding, of which fifty are named.
func TestFindingsAreFolded(t *testing.T) {
	var lines strings.Builder
	for i := range 200 {
		fmt.Fprintf(&lines, "Event /registry/events/shop/e%03d\n", i)
	}
	got := look(t, health.Look{View: view(t, lines.String())})
	if len(got.Findings) != 1 || got.Findings[0].Count != 200 || len(got.Findings[0].Objects) != 50 || got.Findings[0].Objects[0].Name != "event shop/e000" {
		t.Errorf("got %+v", got.Findings)
	}
}

// TestTheWorstComesFirst: broken, then warnings.
func TestTheWorstComesFirst(t *testing.T) {
	got := told(look(t, health.Look{View: view(t, "Event /registry/events/shop/e\nX /registry/masterleases/10.0.0.9 ={}\nConfigMap /registry/configmaps/shop/a =x")}))
	for i, want := range []string{"broken ghost", "broken unstorable", "warning events"} {
		if len(got) != 3 || !strings.HasPrefix(got[i], want) {
			t.Errorf("got %q, want %s at %d", got, want, i)
		}
	}
}

// unseen are what was not looked at, as lines.
func unseen(seen health.Seen) string {
	var lines []string
	for _, u := range seen.Unseen {
		lines = append(lines, u.What+", because "+u.Why)
	}
	return strings.Join(lines, "\n")
}

// TestAPartHasNoFindingsOfWhatIsElsewhere: what was left out of an archive is not missing.
func TestAPartHasNoFindingsOfWhatIsElsewhere(t *testing.T) {
	lacking := `PersistentVolumeClaim /registry/persistentvolumeclaims/shop/data =gone
		Deployment /registry/deployments/shop/web =gone
		CustomResourceDefinition /registry/apiextensions.k8s.io/customresourcedefinitions/widgets.example.io =gone`
	if got := told(look(t, health.Look{View: view(t, lacking)})); len(got) != 3 {
		t.Fatalf("of the whole: %q", got)
	}
	seen := look(t, health.Look{View: view(t, lacking), Partial: true})
	if got := told(seen); len(got) != 0 {
		t.Errorf("of a part: %q", got)
	}
	for _, want := range []string{"whether objects have their owners", "whether volumes have their claims", "whether custom resources have their definition", "it holds a part"} {
		if !strings.Contains(unseen(seen), want) {
			t.Errorf("%q is not told in %q", want, unseen(seen))
		}
	}
}

// TestSealedValuesAreTold: they are counted, and their content is not said to be well.
func TestSealedValuesAreTold(t *testing.T) {
	seen := look(t, health.Look{View: view(t, `Secret /registry/secrets/shop/a =k8s:enc:aescbc:v1:key1:xxx
		Deployment /registry/deployments/shop/web =k8s:enc:aescbc:v1:key1:xxx`)})
	if got := told(seen); len(got) != 0 { // an owner that cannot be read may be the one
		t.Errorf("got %q", got)
	}
	want := []health.Sealed{{Kind: "deployments.apps", Encoding: "k8s:enc:aescbc:v1:key1", Keys: 1}, {Kind: "secrets", Encoding: "k8s:enc:aescbc:v1:key1", Keys: 1}}
	if diff := cmp.Diff(want, seen.Sealed); diff != "" {
		t.Error(diff)
	}
	if got := unseen(seen); !strings.Contains(got, "what is in 2 values, because of encryption at rest (2 by aescbc key key1): --encryption-config") {
		t.Errorf("got %q", got)
	}
}

// TestKeysThatDoNotOpen: a value that the keys given do not open is found, but for one that is
// sealed by a KMS, whose keys no file has.
func TestKeysThatDoNotOpen(t *testing.T) {
	opener, err := object.ParseEncryption([]byte(`{"kind":"EncryptionConfiguration","apiVersion":"apiserver.config.k8s.io/v1","resources":[{"resources":["secrets"],
		"providers":[{"aescbc":{"keys":[{"name":"key2","secret":"MDEyMzQ1Njc4OWFiY2RlZg=="}]}},{"identity":{}}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	seen := lookWith(t, query(t).Opening(opener), health.Look{View: view(t, `Secret /registry/secrets/shop/a =k8s:enc:aescbc:v1:key1:xxx
		Secret /registry/secrets/shop/b =k8s:enc:kms:v2:vault:xxx`)})
	if got := told(seen); len(got) != 1 || !strings.HasPrefix(got[0], "warning sealed 1: secret shop/a ") || seen.Findings[0].Help != "kubeferry get secret/a -n shop --encryption-config FILE" {
		t.Errorf("got %q", got)
	}
	if got := unseen(seen); got != "what is in 1 value, because of encryption at rest (1 by kms v2 plugin vault) by a KMS, whose keys no file has" {
		t.Errorf("got %q", got)
	}
}

// TestOwnersNeedMemory: where there are more than may be remembered, that is told.
func TestOwnersNeedMemory(t *testing.T) {
	seen := look(t, health.Look{View: view(t, "Deployment /registry/deployments/shop/web =gone"), MaxMemory: 16})
	if got := told(seen); len(got) != 0 || !strings.Contains(unseen(seen), "whether objects have their owners, because") {
		t.Errorf("got %q, %q", got, unseen(seen))
	}
}

// fenced is a view of which a part may not be read.
type fenced struct {
	*walktest.View

	closed func(key string) bool
}

func (f fenced) denied(ranges etcdwalk.Ranges) error {
	for _, r := range ranges {
		if f.closed(string(r.Start)) {
			return fmt.Errorf("keys from %q on: %w", r.Start, etcdwalk.ErrDenied)
		}
	}
	return nil
}

func (f fenced) Count(ctx context.Context, sel etcdwalk.Selection) (int64, error) {
	if err := f.denied(sel.Ranges); err != nil {
		return 0, err
	}
	return f.View.Count(ctx, sel)
}

func (f fenced) Walk(ctx context.Context, sel etcdwalk.Selection) iter.Seq2[etcdwalk.Entry, error] {
	if err := f.denied(sel.Ranges); err != nil {
		return func(yield func(etcdwalk.Entry, error) bool) { yield(etcdwalk.Entry{}, err) }
	}
	return f.View.Walk(ctx, sel)
}

// TestWhatMayNotBeReadIsTold: with rights on one prefix, the others are told, and what lies
// under it is looked at; with none, nothing is.
func TestWhatMayNotBeReadIsTold(t *testing.T) {
	v := fenced{view(t, "Event /registry/events/shop/e"), func(key string) bool { return !strings.HasPrefix(key, "/registry/") }}
	seen := look(t, health.Look{View: v})
	if got := told(seen); len(got) != 1 {
		t.Errorf("got %q", got)
	}
	for _, prefix := range []string{"/kubernetes.io/", "/openshift.io/"} {
		if !strings.Contains(unseen(seen), "keys under "+prefix+", because keys from") {
			t.Errorf("%s is not told in %q", prefix, unseen(seen))
		}
	}
	v.closed = func(string) bool { return true }
	if seen, err := (health.Look{View: v, Query: query(t)}).Run(t.Context()); !errors.Is(err, etcdwalk.ErrDenied) || len(seen.Unseen) != 3 {
		t.Errorf("got %v, %+v", err, seen)
	}
}

// counting is a view that counts how often it is walked.
type counting struct {
	*walktest.View

	walks *int
}

func (c counting) Walk(ctx context.Context, sel etcdwalk.Selection) iter.Seq2[etcdwalk.Entry, error] {
	*c.walks++
	return c.View.Walk(ctx, sel)
}

// TestWhatIsNotThereCostsNothing: a key that the walk did not meet is not looked for, however
// many objects name it as their owner's.
func TestWhatIsNotThereCostsNothing(t *testing.T) {
	walks := func(orphans int) (n int) {
		var lines strings.Builder
		for i := range orphans {
			fmt.Fprintf(&lines, `Pod /registry/pods/shop/p%04d {"metadata":{"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"gone-%d","uid":"g"}]}}`+"\n", i, i)
		}
		seen := look(t, health.Look{View: counting{view(t, lines.String()), &n}})
		if len(seen.Findings) != 1 || seen.Findings[0].Count != int64(orphans) {
			t.Fatalf("got %+v", seen.Findings)
		}
		return n
	}
	if few, many := walks(1), walks(1000); few != many {
		t.Errorf("the view was walked %d times for one orphan, and %d times for 1,000", few, many)
	}
}
