package etcd2_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	client "go.etcd.io/etcd/client/v2"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd2"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// serve starts an etcd 3.5 that has API v2, and returns etcd's own client for it.
func serve(t *testing.T, flags ...string) (*etcdproc.Server, client.KeysAPI) {
	t.Helper()
	server := etcdproc.Start(t, etcdproc.Options{Version: etcdproc.V35, Flags: append(flags, "--enable-v2")})
	return server, keysOf(t, server.Endpoint)
}

func keysOf(t *testing.T, endpoint string) client.KeysAPI {
	t.Helper()
	c, err := client.New(client.Config{Endpoints: []string{endpoint}})
	if err != nil {
		t.Fatal(err)
	}
	return client.NewKeysAPI(c)
}

func dial(t *testing.T, endpoint string) *etcd2.Cluster {
	t.Helper()
	c, err := etcd2.Dial(t.Context(), connect.Config{Endpoints: []string{endpoint}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func pin(t *testing.T, endpoint string) *etcd2.View {
	t.Helper()
	v, err := dial(t, endpoint).Pin(t.Context(), walktest.Everything().Ranges)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// holds tells what a tree of text can hold: paths, and text in the leaves.
func holds(e etcdwalk.Entry) bool {
	key := string(e.Key)
	parts := strings.Split(strings.TrimSuffix(key, "/"), "/")
	for i, part := range parts {
		if (part == "") != (i == 0) || part == ".." {
			return false
		}
	}
	return len(parts) > 1 && utf8.ValidString(key) && utf8.Valid(e.Value) && !(strings.HasSuffix(key, "/") && len(e.Value) > 0)
}

// load puts entries. What has a lease gets a TTL.
func load(t *testing.T, keys client.KeysAPI, entries []etcdwalk.Entry) {
	t.Helper()
	for _, e := range entries {
		options := client.SetOptions{Dir: strings.HasSuffix(string(e.Key), "/")}
		if e.Lease != 0 {
			options.TTL = time.Hour
		}
		if _, err := keys.Set(t.Context(), string(e.Key), string(e.Value), &options); err != nil {
			t.Fatalf("putting key %.100q: %v", e.Key, err)
		}
	}
}

// wipe empties the tree.
func wipe(t *testing.T, keys client.KeysAPI) {
	t.Helper()
	root, err := keys.Get(t.Context(), "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range root.Node.Nodes {
		if _, err := keys.Delete(t.Context(), n.Key, &client.DeleteOptions{Recursive: n.Dir, Dir: n.Dir}); err != nil {
			t.Fatal(err)
		}
	}
}

// contents is what etcd's own client sees, as entries: leaves, and directories that
// are empty or have a TTL.
func contents(t *testing.T, keys client.KeysAPI) []etcdwalk.Entry {
	t.Helper()
	root, err := keys.Get(t.Context(), "/", &client.GetOptions{Recursive: true, Quorum: true})
	if err != nil {
		t.Fatal(err)
	}
	var all []etcdwalk.Entry
	var add func(n *client.Node)
	add = func(n *client.Node) {
		e := etcdwalk.Entry{Key: []byte(n.Key), Value: []byte(n.Value), ModRevision: int64(n.ModifiedIndex)}
		if n.TTL > 0 {
			e.Lease = 1
		}
		if n.Dir {
			e.Key = append(e.Key, '/')
		}
		if n.Key != "" && (!n.Dir || len(n.Nodes) == 0 || n.TTL > 0) {
			all = append(all, e)
		}
		for _, child := range n.Nodes {
			add(child)
		}
	}
	add(root.Node)
	return walktest.Sorted(all)
}
