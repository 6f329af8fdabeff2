package ferry_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/kubetest"
	values "github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
	"github.com/kubeferry/kubeferry/scripts/fixtures/database"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

const fixture = "../../testdata/fixtures/registry-1.36.db.zst"

// A mishap is what somebody deletes in the keyspace of a real API server, and what is asked
// for to have it back.
type mishap struct {
	name    string
	mends   func(t *testing.T, s *store) // what is other than in the fixture
	deletes []string                     // keys: one after another
	waits   string                       // of what is below it somebody takes the finalizers off, once it is being deleted
	gone    int                          // keys that the deletion took, derived and leased ones among them
	filter  kube.Filter                  // what is selected
	change  func(r *ferry.Restore)       // the flags
	forgive map[string]int               // the differences that are no faults, by the names of exclusions
}

func mishaps() []mishap {
	owners := func(r *ferry.Restore) { r.WithOwners = true }
	owned := func(r *ferry.Restore) { r.WithOwned = true }
	const (
		shop = "shop-frontend"
		crd  = "/registry/apiextensions.k8s.io/customresourcedefinitions/"
	)
	return []mishap{
		{
			name: "a namespace", deletes: []string{"/registry/namespaces/" + shop}, waits: "/" + shop + "/", gone: 134,
			filter:  kube.Filter{Namespaces: []string{shop}},
			forgive: map[string]int{"events": 29, "pods": 22, "pods of a Job that has ended": 2, "endpoints": 15, "addresses": 3},
		},
		{
			name: "a namespace with what cannot come back", deletes: []string{"/registry/namespaces/legacy"}, waits: "/legacy/", gone: 46,
			filter:  kube.Filter{Namespaces: []string{"legacy"}, Exclude: []string{"cm/app-config-6"}},
			forgive: map[string]int{"events": 1, "pods": 2, "endpoints": 2, "addresses": 1, "on its way out": 1},
		},
		{
			name: "a Deployment with its family", deletes: []string{"/registry/deployments/" + shop + "/web-0"}, gone: 5,
			filter: kube.Filter{Include: []string{"deploy/web-0"}, Namespaces: []string{shop}}, change: owned,
			forgive: map[string]int{"pods": 4},
		},
		{
			name: "a StatefulSet", deletes: []string{"/registry/statefulsets/" + shop + "/db"}, gone: 4,
			filter: kube.Filter{Include: []string{"sts/db"}, Namespaces: []string{shop}}, change: owned,
			forgive: map[string]int{"pods": 2},
		},
		{
			name: "a DaemonSet", deletes: []string{"/registry/daemonsets/data/agent"}, gone: 5,
			filter: kube.Filter{Include: []string{"ds/agent"}, Namespaces: []string{"data"}}, change: owned,
			forgive: map[string]int{"pods": 6},
		},
		{
			name: "a ServiceAccount with its token Secret", deletes: []string{"/registry/serviceaccounts/data/sa-0"}, gone: 2,
			filter: kube.Filter{Include: []string{"secret/sa-0-token"}, Namespaces: []string{"data"}}, change: owners,
			forgive: map[string]int{},
		},
		{
			name: "a claim with its volume", gone: 6,
			deletes: []string{"/registry/statefulsets/" + shop + "/db", "/registry/persistentvolumeclaims/" + shop + "/data-db-0", "/registry/persistentvolumes/pv-03"},
			filter:  kube.Filter{Include: []string{"sts/db", "pvc/data-db-0"}, Namespaces: []string{shop}},
			change:  func(r *ferry.Restore) { r.WithOwned, r.WithOwners = true, true },
			forgive: map[string]int{"pods": 2},
		},
		{
			name: "a claim whose volume goes with it", mends: reclaimed, gone: 6,
			deletes: []string{"/registry/statefulsets/" + shop + "/db", "/registry/persistentvolumeclaims/" + shop + "/data-db-0"},
			filter:  kube.Filter{Include: []string{"sts/db", "pvc/data-db-0", "pv/pv-03"}, Namespaces: []string{shop}}, change: owned,
			forgive: map[string]int{"pods": 2},
		},
		{
			name: "a definition with its resources", deletes: []string{crd + "widgets.shop.example.io"}, waits: "/registry/shop.example.io/", gone: 29,
			filter: kube.Filter{Include: []string{"crd/widgets.shop.example.io", "widgets.shop.example.io"}}, change: owned,
			forgive: map[string]int{"API services": 1},
		},
		{
			name: "the only definition of a group", deletes: []string{crd + "regions.infra.example.io"}, gone: 8,
			filter: kube.Filter{Include: []string{"regions.infra.example.io"}}, change: owners,
			forgive: map[string]int{"API services": 1},
		},
	}
}

// reclaimed makes that a volume is deleted with its claim: in the fixture all are kept.
func reclaimed(t *testing.T, s *store) {
	const key = "/registry/persistentvolumes/pv-03"
	found, err := s.Lookup(t.Context(), [][]byte{[]byte(key)})
	if err != nil || found[0] == nil {
		t.Fatal(found, err)
	}
	value := bytes.Replace(found[0].Value, []byte("\x2a\x06Retain"), []byte("\x2a\x06Delete"), 1) // PersistentVolumeSpec.persistentVolumeReclaimPolicy
	if bytes.Equal(value, found[0].Value) {
		t.Fatalf("%s does not say Retain", key)
	}
	if r := s.Apply(t.Context(), []etcdwalk.Write{{Key: []byte(key), Value: value, Seen: found[0].ModRevision}})[0]; r.State != etcdwalk.WriteApplied {
		t.Fatal(r.Err)
	}
}

// A difference is a key that is not as it was.
type difference struct {
	key, kind string
	was, is   *values.Object // nil: it was not, or is not, there
	leased    bool
}

// object is what is there, or was.
func (d difference) object() *values.Object {
	if d.was != nil {
		return d.was
	}
	return d.is
}

func (d difference) controlledBy(kind string) bool {
	return slices.ContainsFunc(d.object().Meta.Owners, func(o values.Owner) bool { return o.Controller && (kind == "" || o.Kind == kind) })
}

// An exclusion is a difference that is documented.
type exclusion struct {
	name, reason string
	covers       func(d difference) bool
}

func exclusions() []exclusion {
	return []exclusion{
		{"events", "keys under an etcd lease are passed over without --leases=regrant", func(d difference) bool {
			return d.kind == "events" && d.leased && d.is == nil
		}},
		{"pods of a Job that has ended", "rule derived; and a Job that has ended makes none anew", func(d difference) bool {
			return d.kind == "pods" && d.is == nil && d.controlledBy("Job")
		}},
		{"pods", "rule derived: their controllers have made them anew", func(d difference) bool {
			return d.kind == "pods" && d.controlledBy("")
		}},
		{"endpoints", "rule derived: made anew for Services", func(d difference) bool {
			return d.kind == "endpoints" && d.object().Meta.Labels["endpoints.kubernetes.io/managed-by"] != "" && d.is != nil ||
				d.kind == "endpointslices.discovery.k8s.io" && d.controlledBy("")
		}},
		{"addresses", "rule derived: the API server has made them anew for Services", func(d difference) bool {
			return d.kind == "ipaddresses.networking.k8s.io" && d.was != nil && d.is != nil
		}},
		{"API services", "the API server has made them anew for definitions", func(d difference) bool {
			return d.kind == "apiservices.apiregistration.k8s.io" && d.was != nil && d.is != nil && d.was.Meta.Labels["kube-aggregator.kubernetes.io/automanaged"] == "true"
		}},
		{"on its way out", "it had a deletionTimestamp: rule deleting; left out with --exclude", func(d difference) bool {
			return d.is == nil && d.was.Meta.Deleting
		}},
	}
}

// TestTheFixtureSurvivesAccidents: in the keyspace of a real API server, with controllers
// running, something is deleted and restored. When all have come to rest, the keyspace is as
// it was, but for what is excluded and counted.
func TestTheFixtureSurvivesAccidents(t *testing.T) {
	raw, err := database.Unpack(fixture)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "registry.db")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	acts, forgiven, played := map[string]int{}, map[string]int{}, 0
	for i, m := range mishaps() {
		t.Run(m.name, func(t *testing.T) {
			server := etcdproc.Start(t, etcdproc.Options{Version: etcdproc.V36, Snapshot: path})
			cluster := dial(t, server)
			played++
			others, got := befall(t, &store{Source: cluster, Target: cluster.Target()}, m, uint64(i))
			if diff := cmp.Diff(m.forgive, got); diff != "" {
				t.Errorf("differences that are excluded (-want +got):\n%s", diff)
			}
			for name, n := range got {
				forgiven[name] += n
			}
			for who, n := range others.Acts {
				acts[who] += n
			}
		})
	}
	if played < len(mishaps()) {
		t.Skip("only some accidents were asked for")
	}
	t.Log(acts)
	for _, x := range exclusions() {
		t.Logf("%4d %s: %s", forgiven[x.name], x.name, x.reason)
		if forgiven[x.name] == 0 {
			t.Errorf("nothing is excluded as %q", x.name)
		}
	}
	for _, who := range []string{
		"somebody", "garbage collector", "namespaces", "tokens", "definitions", "API services", "deployments",
		"replicasets", "statefulsets", "daemonsets", "kubelets", "volumes", "claims", "endpoints", "allocations",
	} {
		if acts[who] == 0 {
			t.Errorf("the controller of %s never did anything", who)
		}
	}
}

// befall plays one accident, and counts the differences that are excluded.
func befall(t *testing.T, s *store, m mishap, seed uint64) (*kubetest.Controllers, map[string]int) {
	t.Helper()
	others, err := kubetest.New(s.Source, s.Target, seed)
	if err != nil {
		t.Fatal(err)
	}
	settle := func() {
		t.Helper()
		if err := others.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	// Behind it is no server, which would keep real namespaces from going: nobody could
	// tell that they are empty.
	if err := others.Delete(t.Context(), "/registry/apiregistration.k8s.io/apiservices/v1beta1.metrics.example.io"); err != nil {
		t.Fatal(err)
	}
	if m.mends != nil {
		m.mends(t, s)
	}
	settle()
	before := lasting(s.entries(t))
	for _, key := range m.deletes {
		if err := others.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		settle()
	}
	if m.waits != "" {
		if err := others.Release(t.Context(), func(key string) bool { return strings.Contains(key, m.waits) }); err != nil {
			t.Fatal(err)
		}
		settle()
	}
	gone := 0
	for key, d := range differences(t, before, lasting(s.entries(t))) {
		if d.is == nil {
			gone++
		}
		if slices.Contains(m.deletes, key) && d.is != nil {
			t.Fatalf("%s is still there", key)
		}
	}
	if gone != m.gone || gone == 0 {
		t.Fatalf("%d keys are gone, want %d", gone, m.gone)
	}
	regain(t, s, m, before, others, seed)
	for range 100 {
		if err := others.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	settle()
	return others, compared(t, before, lasting(s.entries(t)))
}

// lasting are the entries without the signs of life of API servers, which are under leases
// of seconds: here is none that renews them.
func lasting(entries []etcdwalk.Entry) []etcdwalk.Entry {
	return slices.DeleteFunc(entries, func(e etcdwalk.Entry) bool {
		return bytes.HasPrefix(e.Key, []byte("/registry/masterleases/")) || bytes.HasPrefix(e.Key, []byte("/registry/peerserverleases/"))
	})
}

// regain restores what an accident took, while the controllers act.
func regain(t *testing.T, s *store, m mishap, before []etcdwalk.Entry, others *kubetest.Controllers, seed uint64) {
	t.Helper()
	archive := walktest.NewView(before...)
	for _, e := range before {
		archive.About.Revision = max(archive.About.Revision, e.ModRevision)
	}
	archive.About.API, archive.About.KubeSystemUID = etcdwalk.V3, s.uids(t)["/registry/namespaces/kube-system"]
	steps := 3 + 30/m.gone // few writes leave few gaps
	r := ferry.Restore{Source: archive, Query: query(t, m.filter), Cluster: s.Source, Policy: replay.Fail,
		Target: &crowded{Target: s.Target, t: t, random: rand.New(rand.NewPCG(seed, 3)), steps: steps, others: others}}
	if m.change != nil {
		m.change(&r)
	}
	planned, err := r.Plan(t.Context())
	if err != nil {
		t.Fatalf("plan: %v\n%v", err, planned.Examples)
	}
	done, err := r.Apply(t.Context(), planned)
	if err != nil {
		t.Errorf("apply: %v\n%v %v", err, done.Counts, done.Examples)
	}
	if err := others.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if told, err := r.Watch(t.Context(), planned, time.Millisecond); err != nil {
		t.Errorf("watch: %v\n%v", err, told.Lost)
	}
	// What its controller has adopted counts as created, too: it was written, and is looked after.
	if c := done.Counts; c[replay.Created] == 0 || c[replay.Created]+c[replay.Skipped] != planned.Counts[replay.Created] {
		t.Errorf("created %v, planned %v", c, planned.Counts)
	}
}

// differences are the keys that are not as they were.
func differences(t *testing.T, before, after []etcdwalk.Entry) map[string]difference {
	t.Helper()
	all, layout := map[string]difference{}, theLayout(t)
	read := func(e etcdwalk.Entry) *values.Object {
		o, err := values.Decode(e.Value)
		if err != nil {
			return &values.Object{}
		}
		return o
	}
	was := map[string]etcdwalk.Entry{}
	for _, e := range before {
		was[string(e.Key)] = e
	}
	for _, e := range after {
		old, there := was[string(e.Key)]
		delete(was, string(e.Key))
		if there && bytes.Equal(old.Value, e.Value) && old.Lease == e.Lease {
			continue
		}
		d := difference{key: string(e.Key), kind: layout.Classify(e.Key).Kind, is: read(e), leased: e.Lease != 0}
		if there {
			d.was = read(old)
		}
		all[d.key] = d
	}
	for key, e := range was {
		all[key] = difference{key: key, kind: layout.Classify([]byte(key)).Kind, was: read(e), leased: e.Lease != 0}
	}
	return all
}

// compared holds a keyspace against what it was, and counts what is excluded.
func compared(t *testing.T, before, after []etcdwalk.Entry) map[string]int {
	t.Helper()
	forgiven := map[string]int{}
	all := differences(t, before, after)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		d := all[key]
		i := slices.IndexFunc(exclusions(), func(x exclusion) bool { return x.covers(d) })
		if i < 0 {
			t.Errorf("%s: was %v, is %v", key, d.was != nil, d.is != nil)
			continue
		}
		forgiven[exclusions()[i].name]++
	}
	if diff := cmp.Diff(derivedFrom(t, before), derivedFrom(t, after)); diff != "" {
		t.Errorf("what controllers have made, by whom it is for (-before +after):\n%s", diff)
	}
	return forgiven
}

// derivedFrom counts what controllers make, by whom they make it for: it may have another
// name, and another UID, but there must be as many. The pods of a Job that has ended, which
// are not made anew, do not count.
func derivedFrom(t *testing.T, entries []etcdwalk.Entry) map[string]int {
	t.Helper()
	counts, layout := map[string]int{}, theLayout(t)
	for _, e := range entries {
		kind := layout.Classify(e.Key).Kind
		if !slices.Contains([]string{"pods", "endpointslices.discovery.k8s.io", "replicasets.apps", "controllerrevisions.apps"}, kind) {
			continue
		}
		_, m, err := values.Read(e.Value)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range m.Owners {
			if o.Controller && o.Kind != "Job" {
				counts[fmt.Sprintf("%s of %s %s/%s, UID %s", kind, o.Kind, m.Namespace, o.Name, o.UID)]++
			}
		}
	}
	return counts
}
