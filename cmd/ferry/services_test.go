package ferry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/big"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd3"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	values "github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
	"github.com/kubeferry/kubeferry/scripts/fixtures/database"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

const (
	fixtures  = "../../testdata/fixtures"
	bitmapKey = "/registry/ranges/servicenodeports"
	allPorts  = "30000-32767"
)

// bitmap is a RangeAllocation as an API server stores it, made by Kubernetes' own code.
func bitmap(t testing.TB, of string, ports ...int) string {
	t.Helper()
	bits := new(big.Int)
	for _, port := range ports {
		bits.SetBit(bits, port-30_000, 1)
	}
	var out bytes.Buffer
	err := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme).Encode(&corev1.RangeAllocation{
		TypeMeta: metav1.TypeMeta{Kind: "RangeAllocation", APIVersion: "v1"}, Range: of, Data: bits.Bytes()}, &out)
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func service(name, spec string) (key, value string) {
	return "/registry/services/specs/shop/" + name, fmt.Sprintf(`{"kind":"Service","apiVersion":"v1","metadata":{"name":%q,"namespace":"shop","uid":"uid-of-%s"},"spec":%s}`+"\n", name, name, spec)
}

func ipAddress(ip, service string) (key, value string) {
	return "/registry/ipaddresses/" + ip, fmt.Sprintf(`{"kind":"IPAddress","apiVersion":"networking.k8s.io/v1","metadata":{"name":%q,"uid":"uid-of-%s"},"spec":{"parentRef":{"resource":"services","namespace":"shop","name":%q}}}`+"\n", ip, ip, service)
}

// A harbour is an etcd that lives, and an archive of what it held.
type harbour struct {
	*etcd3.Cluster
	t       *testing.T
	client  *clientv3.Client
	archive *walktest.View
}

// newHarbour fills an etcd with entries, of which there is an archive.
func newHarbour(t *testing.T, entries ...etcdwalk.Entry) *harbour {
	t.Helper()
	server := etcdproc.Start(t, etcdproc.Options{})
	h := &harbour{Cluster: dial(t, server), t: t, client: server.Client(t)}
	for some := range slices.Chunk(entries, 100) {
		var ops []clientv3.Op
		for _, e := range some {
			ops = append(ops, clientv3.OpPut(string(e.Key), string(e.Value)))
		}
		if _, err := h.client.Txn(t.Context()).Then(ops...).Commit(); err != nil {
			t.Fatal(err)
		}
	}
	held := holdings(t, h.client, 0)
	h.archive = walktest.NewView(held...)
	h.archive.About.Revision = held[len(held)-1].ModRevision
	return h
}

// shop is a harbour with a namespace, Services and what they have, and ports that are taken.
func shop(t *testing.T, ports string) *harbour {
	t.Helper()
	var entries []etcdwalk.Entry
	add := func(key, value string) {
		entries = append(entries, etcdwalk.Entry{Key: []byte(key), Value: []byte(value)})
	}
	add(kubeSystem())
	add(namespace("shop"))
	add(service("web", `{"clusterIP":"10.0.0.7","clusterIPs":["10.0.0.7","2001:db8::7"],"ports":[{"nodePort":30100,"protocol":"TCP"},{"nodePort":30101,"protocol":"UDP"}],"healthCheckNodePort":32767}`))
	add(service("db", `{"clusterIP":"None","clusterIPs":["None"],"ports":[{"port":5432}]}`))
	add(service("alone", `{"clusterIP":"10.0.0.9","clusterIPs":["10.0.0.9"]}`))
	add(ipAddress("10.0.0.7", "web"))
	add(ipAddress("2001:db8::7", "web"))
	add(ipAddress("10.0.0.8", "other"))
	add(ipAddress("10.0.0.9", "other")) // which is not its own
	if ports != "" {
		add(bitmapKey, ports)
	}
	return newHarbour(t, entries...)
}

func (h *harbour) del(keys ...string) {
	h.t.Helper()
	for _, key := range keys {
		answer, err := h.client.Delete(context.Background(), key)
		if err != nil || answer.Deleted != 1 {
			h.t.Fatalf("%s: %d keys were deleted, %v", key, answer.Deleted, err)
		}
	}
}

func (h *harbour) get(key string) string {
	h.t.Helper()
	answer, err := h.client.Get(context.Background(), key)
	if err != nil {
		h.t.Fatal(err)
	}
	if len(answer.Kvs) == 0 {
		return ""
	}
	return string(answer.Kvs[0].Value)
}

func (h *harbour) restore(f kube.Filter) ferry.Restore {
	return ferry.Restore{Source: h.archive, Query: query(h.t, f), Cluster: h.Cluster, Target: h.Target(), ClusterIs: []string{"5b1c7f3e-0000-4000-8000-000000000001"}}
}

// mustRestore plans and applies.
func mustRestore(t *testing.T, r ferry.Restore) (*ferry.Planned, replay.Summary) {
	t.Helper()
	planned, err := r.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	done, err := r.Apply(t.Context(), planned)
	if err != nil {
		t.Fatalf("%v: %v", done.Counts, err)
	}
	return planned, done
}

// texts are keys as texts.
func texts(keys [][]byte) (texts []string) {
	for _, key := range keys {
		texts = append(texts, string(key))
	}
	return texts
}

// unlike names the keys that two keyspaces do not hold alike.
func unlike(a, b []etcdwalk.Entry) (keys []string) {
	held := map[string]string{}
	for _, e := range a {
		held[string(e.Key)] = string(e.Value)
	}
	for _, e := range b {
		if was, there := held[string(e.Key)]; !there || was != string(e.Value) {
			keys = append(keys, string(e.Key))
		}
		delete(held, string(e.Key))
	}
	for key := range held {
		keys = append(keys, key)
	}
	return keys
}

// TestServicesOfAnAPIServerComeBackWhole: Services that a real API server had made are gone
// with their addresses and bits, and a restore makes the keyspace what it was, whether the
// addresses were selected or not.
func TestServicesOfAnAPIServerComeBackWhole(t *testing.T) {
	db, err := database.Read(filepath.Join(fixtures, "registry-1.36.db.zst"))
	if err != nil {
		t.Fatal(err)
	}
	kept := slices.DeleteFunc(db.Entries, func(e etcdwalk.Entry) bool { return e.Lease != 0 })
	const lb, web = "/registry/services/specs/shop-frontend/lb", "/registry/services/specs/payments/web-1"
	lost := []string{lb, web, "/registry/ipaddresses/10.96.113.30", "/registry/ipaddresses/10.97.0.88"}
	for name, c := range map[string]struct {
		filters []kube.Filter
		along   int
	}{
		"by name":         {[]kube.Filter{{Include: []string{"svc/lb"}, Namespaces: []string{"shop-frontend"}}, {Include: []string{"svc/web-1"}, Namespaces: []string{"payments"}}}, 1},
		"with the others": {[]kube.Filter{{Include: []string{"svc,ipaddresses"}}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarbour(t, kept...)
			before := holdings(t, h.client, 0)
			if got := h.get(bitmapKey); got != bitmap(t, allPorts, 30100, 30101, 30102, 30103, 32724) {
				t.Fatal("the fixture's bitmap is not of the ports that its Services have")
			}
			h.del(lost...)
			put(t, h.client, bitmapKey, bitmap(t, allPorts, 30100, 30101, 30103))
			created := int64(0)
			for _, f := range c.filters {
				r := h.restore(f)
				r.ClusterIs = []string{uidOf(t, kept, "/registry/namespaces/kube-system")}
				planned, done := mustRestore(t, r)
				created += done.Counts[replay.Created]
				if len(planned.Along) != c.along || len(planned.Unmarked) > 0 || done.Counts[replay.Replaced] > 0 {
					t.Errorf("%v: along %q, unmarked %v", done.Counts, planned.Along, planned.Unmarked)
				}
				if back, err := r.ReadBack(t.Context(), planned); err != nil || back.Keys != done.Counts[replay.Created] {
					t.Errorf("read back: %+v, %v", back, err)
				}
				if seen, err := r.Watch(t.Context(), planned, time.Millisecond); err != nil || seen.Count > 0 {
					t.Errorf("looked at again: %+v, %v", seen, err)
				}
			}
			if differ := unlike(before, holdings(t, h.client, 0)); len(differ) > 0 || created != int64(len(lost)) {
				t.Errorf("%d created; these are not as they were: %q", created, differ)
			}
		})
	}
}

func uidOf(t *testing.T, entries []etcdwalk.Entry, key string) string {
	t.Helper()
	for _, e := range entries {
		if string(e.Key) == key {
			_, m, err := values.Read(e.Value)
			if err != nil {
				t.Fatal(err)
			}
			return m.UID
		}
	}
	t.Fatalf("there is no %s", key)
	return ""
}

// TestWhatComesAlongWithAService: the addresses of both families that name it; its ports
// and the one of its health check. What is another's does not, nor has a headless Service any.
func TestWhatComesAlongWithAService(t *testing.T) {
	h := shop(t, bitmap(t, allPorts, 30_000))
	keys := []string{"/registry/ipaddresses/10.0.0.7", "/registry/ipaddresses/2001:db8::7"}
	h.del(append([]string{"/registry/services/specs/shop/web", "/registry/services/specs/shop/db", "/registry/services/specs/shop/alone", "/registry/ipaddresses/10.0.0.8", "/registry/ipaddresses/10.0.0.9"}, keys...)...)
	var order []string
	r := h.restore(kube.Filter{Include: []string{"services"}, Namespaces: []string{"shop"}})
	r.Report = func(line replay.Line) error { order = append(order, string(line.Key)); return nil }
	planned, err := r.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	order = nil
	done, err := r.Apply(t.Context(), planned)
	if err != nil {
		t.Fatal(err)
	}
	if got := texts(planned.Along); !slices.Equal(got, keys) || !slices.Equal(planned.Ports, []int{30100, 30101, 32767}) || done.Counts[replay.Created] != 5 {
		t.Errorf("along came %q, ports %v, %v", got, planned.Ports, done.Counts)
	}
	if len(order) != 5 || !slices.Equal(order[3:], keys) {
		t.Errorf("written in the order %q", order)
	}
	for _, key := range keys {
		if _, want := ipAddress(strings.TrimPrefix(key, "/registry/ipaddresses/"), "web"); h.get(key) != want {
			t.Errorf("%s is %s", key, h.get(key))
		}
	}
	if h.get("/registry/ipaddresses/10.0.0.8")+h.get("/registry/ipaddresses/10.0.0.9") != "" {
		t.Error("another's address came back")
	}
	if h.get(bitmapKey) != bitmap(t, allPorts, 30_000, 30_100, 30_101, 32_767) {
		t.Error("the ports that are taken are others")
	}
	// Again: all is there, and nothing is written.
	before := now(t, h.Cluster)
	planned, done = mustRestore(t, r)
	if len(planned.Along)+len(planned.Ports) > 0 || done.Counts[replay.Unchanged] != 3 || now(t, h.Cluster) != before {
		t.Errorf("again: along %q, ports %v, %v", planned.Along, planned.Ports, done.Counts)
	}
}

// TestAPortThatAServiceHadBefore: one that is replaced has its ports of then marked; with
// the policy skip it keeps those that it has, and nothing comes along.
func TestAPortThatAServiceHadBefore(t *testing.T) {
	for policy, c := range map[replay.Policy]struct {
		ports []int
		along int
	}{replay.Overwrite: {[]int{30_100, 30_101, 30_555, 32_767}, 1}, replay.Skip: {[]int{30_555}, 0}} {
		h := shop(t, bitmap(t, allPorts, 30_555))
		put(t, h.client, "/registry/services/specs/shop/web", `{"kind":"Service","apiVersion":"v1","metadata":{"name":"web","namespace":"shop","uid":"another"},"spec":{"clusterIP":"10.0.0.77","ports":[{"nodePort":30555}]}}`)
		h.del("/registry/ipaddresses/10.0.0.7")
		r := h.restore(kube.Filter{Include: []string{"svc/web"}, Namespaces: []string{"shop"}})
		r.Policy = policy
		planned, _ := mustRestore(t, r)
		if h.get(bitmapKey) != bitmap(t, allPorts, c.ports...) || len(planned.Along) != c.along {
			t.Errorf("%s: along %q, ports %v", policy, planned.Along, planned.Ports)
		}
	}
}

// TestAnAddressThatIsTakenMeanwhileStays: under every policy; and another Service's port is
// only found in the plan.
func TestAnAddressThatIsTakenMeanwhileStays(t *testing.T) {
	for _, policy := range []replay.Policy{replay.Fail, replay.Skip, replay.Overwrite} {
		h := shop(t, bitmap(t, allPorts))
		const address = "/registry/ipaddresses/10.0.0.7"
		h.del("/registry/services/specs/shop/web", address)
		_, theirs := ipAddress("10.0.0.7", "other")
		m := &meddler{Target: h.Target(), key: address, meddle: func(int) { put(t, h.client, address, theirs) }}
		r := h.restore(kube.Filter{Include: []string{"svc/web"}, Namespaces: []string{"shop"}})
		r.Target, r.Policy = m, policy
		_, done := mustRestore(t, r)
		if h.get(address) != theirs || m.n == 0 || done.Counts[replay.Skipped] != 1 {
			t.Errorf("%s: %v, the other wrote %d times, there is %s", policy, done.Counts, m.n, h.get(address))
		}
	}
}

// TestOtherNodePortsAreRefused: before anything is written.
func TestOtherNodePortsAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ was, is, says string }{
		"another range":       {bitmap(t, allPorts), bitmap(t, "30000-30999"), "the node ports of the cluster are 30000-30999, which were 30000-32767"},
		"beyond the range":    {bitmap(t, "30000-30999"), bitmap(t, "30000-30999"), "its health-check node port 32767 is none of the cluster's"},
		"not known from then": {"", bitmap(t, "30000-30999"), "its health-check node port 32767 is none of the cluster's"},
	} {
		h := shop(t, c.was)
		put(t, h.client, bitmapKey, c.is)
		h.del("/registry/services/specs/shop/web", "/registry/ipaddresses/10.0.0.7")
		before := now(t, h.Cluster)
		planned, err := h.restore(kube.Filter{Include: []string{"svc/web"}, Namespaces: []string{"shop"}}).Plan(t.Context())
		if !errors.Is(err, etcdwalk.ErrRefused) || now(t, h.Cluster) != before {
			t.Errorf("%s: %v, written up to revision %d", name, err, now(t, h.Cluster)-before)
		}
		if lines := planned.Examples[replay.Refused]; len(lines) != 1 || !strings.Contains(lines[0].Reason, c.says) {
			t.Errorf("%s: %+v", name, lines)
		}
	}
}
