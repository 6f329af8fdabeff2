package ferry_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/crypt"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd3"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/catalog"
	"github.com/kubeferry/kubeferry/remote/remotetest"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// object is a ConfigMap as it may be stored, of about size bytes.
func object(namespace, name string, size int) (key, value string) {
	return "/registry/configmaps/" + namespace + "/" + name, fmt.Sprintf(
		`{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":%q,"namespace":%q},"data":{"text":%q}}`,
		name, namespace, strings.Repeat("text ", size/5))
}

// kubeSystem is the namespace that gives a cluster its identity.
func kubeSystem() (key, value string) {
	return "/registry/namespaces/kube-system", `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"kube-system","uid":"5b1c7f3e-0000-4000-8000-000000000001"}}`
}

// namespace is the Namespace object that objects of a namespace need.
func namespace(name string) (key, value string) {
	return "/registry/namespaces/" + name, fmt.Sprintf(`{"kind":"Namespace","apiVersion":"v1","metadata":{"name":%q,"uid":"uid-of-%s"}}`, name, name)
}

// objects makes entries of n ConfigMaps and of the namespace kube-system.
func objects(n int) []etcdwalk.Entry {
	var entries []etcdwalk.Entry
	add := func(key, value string) {
		entries = append(entries, etcdwalk.Entry{
			Key: []byte(key), Value: []byte(value), CreateRevision: 2, ModRevision: int64(len(entries) + 2), Version: 1,
		})
	}
	add(kubeSystem())
	for i := range n {
		add(object("shop", fmt.Sprintf("settings-%03d", i), 40))
	}
	return entries
}

// newKeys makes a recipient and the keys that open what is encrypted for it.
func newKeys(t testing.TB) (crypt.Recipient, ferry.Keys) {
	t.Helper()
	pair, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	recipient, err := crypt.ParseRecipient(pair.Recipient().String(), "test")
	if err != nil {
		t.Fatal(err)
	}
	ids, err := crypt.ParseIdentities(strings.NewReader(pair.String()), "test")
	if err != nil {
		t.Fatal(err)
	}
	return recipient, ferry.Keys{Identities: ids}
}

// backup is a Backup that lacks nothing but what a test wants to be otherwise.
func backup(source etcdwalk.Source, store remote.Store, recipients ...crypt.Recipient) ferry.Backup {
	return ferry.Backup{Source: source, Store: store, Recipients: recipients, Tool: "test", Host: "tester", Now: time.Now}
}

// archived backs a source up, and opens what that has written.
func archived(t testing.TB, source etcdwalk.Source) (*ferry.Archive, catalog.Receipt) {
	t.Helper()
	var store remotetest.Memory
	recipient, keys := newKeys(t)
	made, err := backup(source, &store, recipient).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a, err := ferry.Open(t.Context(), &store, made.Receipt.Name, keys)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a, made.Receipt
}

// contents reads all entries of an archive.
func contents(t testing.TB, store remote.Store, name string, keys ferry.Keys) []etcdwalk.Entry {
	t.Helper()
	a, err := ferry.Open(t.Context(), store, name, keys)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if _, err := a.Verify(t.Context(), nil, nil); err != nil {
		t.Fatal(err)
	}
	var entries []etcdwalk.Entry
	for e, err := range a.Walk(t.Context(), walktest.Everything()) {
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e.Clone())
	}
	return entries
}

// dial connects to real servers.
func dial(t testing.TB, servers ...*etcdproc.Server) *etcd3.Cluster {
	t.Helper()
	cluster, err := etcd3.Dial(t.Context(), connect.Config{Endpoints: etcdproc.Endpoints(servers)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

// only is the source of one view.
func only(view etcdwalk.View) etcdwalk.Source {
	return walktest.Source(func(context.Context, etcdwalk.Moment, etcdwalk.Ranges) (etcdwalk.View, error) { return view, nil })
}

// query compiles a filter that makes sense.
func query(t testing.TB, f kube.Filter) kube.Query {
	t.Helper()
	q, err := f.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// put writes a key as another client would, and returns the revision.
func put(t testing.TB, client *clientv3.Client, key, value string) int64 {
	t.Helper()
	answer, err := client.Put(context.Background(), key, value)
	if err != nil {
		t.Fatal(err)
	}
	return answer.Header.Revision
}

// populate puts n ConfigMaps of about size bytes, and the namespace kube-system.
func populate(t testing.TB, client *clientv3.Client, n, size int) {
	t.Helper()
	key, value := kubeSystem()
	ops := []clientv3.Op{clientv3.OpPut(key, value)}
	for i := range n {
		key, value := object(fmt.Sprintf("ns-%d", i%7), fmt.Sprintf("settings-%05d", i), size)
		if ops = append(ops, clientv3.OpPut(key, value)); len(ops) < 100 && i < n-1 {
			continue
		}
		if _, err := client.Txn(context.Background()).Then(ops...).Commit(); err != nil {
			t.Fatal(err)
		}
		ops = nil
	}
}

// holdings reads what is under /registry/ at a revision; 0: now.
func holdings(t testing.TB, client *clientv3.Client, revision int64) []etcdwalk.Entry {
	t.Helper()
	answer, err := client.Get(context.Background(), "/registry/", clientv3.WithPrefix(), clientv3.WithRev(revision))
	if err != nil {
		t.Fatal(err)
	}
	entries := make([]etcdwalk.Entry, len(answer.Kvs))
	for i, kv := range answer.Kvs {
		entries[i] = etcdwalk.Entry{Key: kv.Key, Value: kv.Value, Lease: kv.Lease, CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision, Version: kv.Version}
	}
	return entries
}

// same fails the test unless two keyspaces are equal, mod revisions included.
func same(t testing.TB, what string, got, want []etcdwalk.Entry) {
	t.Helper()
	if diff := walktest.Diff(got, want); diff != "" || len(want) == 0 {
		t.Fatalf("%s: %d keys, want %d\n%s", what, len(got), len(want), diff)
	}
	for i := range got {
		if got[i].ModRevision != want[i].ModRevision || !bytes.Equal(got[i].Key, want[i].Key) {
			t.Fatalf("%s: key %q has mod revision %d, want %d", what, got[i].Key, got[i].ModRevision, want[i].ModRevision)
		}
	}
}
