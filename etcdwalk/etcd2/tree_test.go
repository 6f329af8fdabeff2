package etcd2_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	client "go.etcd.io/etcd/client/v2"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd2"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

func walk(t *testing.T, v *etcd2.View, sel etcdwalk.Selection) []etcdwalk.Entry {
	t.Helper()
	var all []etcdwalk.Entry
	for e, err := range v.Walk(t.Context(), sel) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e.Clone())
	}
	return all
}

func set(t *testing.T, keys client.KeysAPI, key, value string, options client.SetOptions) {
	t.Helper()
	if _, err := keys.Set(t.Context(), key, value, &options); err != nil {
		t.Fatal(err)
	}
}

// TestTreeAsKeys: WV2, Z03. Directories are keys if they are empty or have a TTL,
// order is that of keys, and hidden nodes come only when they are named.
func TestTreeAsKeys(t *testing.T) {
	server, keys := serve(t)
	set(t, keys, "/registry/pods/a/web", "1", client.SetOptions{})
	set(t, keys, "/registry/pods/a-b", "2", client.SetOptions{TTL: time.Hour})
	set(t, keys, "/registry/pods/a.c/web", "3", client.SetOptions{})
	set(t, keys, "/registry/pods/empty", "", client.SetOptions{Dir: true})
	set(t, keys, "/registry/pods/mortal", "", client.SetOptions{Dir: true, TTL: 30 * time.Minute})
	set(t, keys, "/registry/pods/mortal/web", "4", client.SetOptions{})
	set(t, keys, "/registry/pods/_hidden", "5", client.SetOptions{})
	v := pin(t, server.Endpoint)
	var got []string
	var leases []int64
	for _, e := range walk(t, v, walktest.Everything()) {
		got = append(got, string(e.Key)+"="+string(e.Value))
		if e.Lease != 0 {
			leases = append(leases, e.Lease)
		}
	}
	want := "/registry/pods/a-b=2 /registry/pods/a.c/web=3 /registry/pods/a/web=1 /registry/pods/empty/= /registry/pods/mortal/= /registry/pods/mortal/web=4"
	if strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
	}
	told, err := v.Leases(t.Context(), leases)
	if err != nil || len(told) != 2 {
		t.Fatalf("%d leases, error %v, want 2", len(told), err)
	}
	for i, most := range []int64{3600, 1800} {
		if l := told[i]; l.State != etcdwalk.LeaseLive || l.Remaining > most || l.Remaining < most-10 {
			t.Errorf("lease %d is %+v, want about %d seconds", i, l, most)
		}
	}
	hidden := walk(t, v, etcdwalk.Selection{Ranges: etcdwalk.Ranges{etcdwalk.Key([]byte("/registry/pods/_hidden"))}})
	if len(hidden) != 1 || string(hidden[0].Value) != "5" {
		t.Errorf("a hidden node that is named: %+v", hidden)
	}
}

// TestOutcomeTellsTheTruth: WV1, Z01. A write between two answers is told, and no
// write is not.
func TestOutcomeTellsTheTruth(t *testing.T) {
	server, keys := serve(t)
	set(t, keys, "/registry/configmaps/a/x", "1", client.SetOptions{})
	set(t, keys, "/registry/secrets/a/x", "2", client.SetOptions{})
	for i := range 20 {
		v := pin(t, server.Endpoint)
		written := i%2 == 0
		for _, err := range v.Walk(t.Context(), walktest.Everything()) {
			if err != nil {
				t.Fatal(err)
			}
			if written && v.Outcome().Consistent {
				set(t, keys, "/registry/leases/a", "tick", client.SetOptions{})
			}
		}
		o := v.Outcome()
		if o.Consistent == written || (o.LastIndex > o.FirstIndex) != written {
			t.Errorf("run %d, written in between: %v; the view says %+v", i, written, o)
		}
	}
}

// TestRequestsAreFew: one for each kind, whatever is below it.
func TestRequestsAreFew(t *testing.T) {
	server, keys := serve(t)
	for _, kind := range []string{"configmaps", "pods", "secrets"} {
		for _, ns := range []string{"a", "b", "c", "d"} {
			set(t, keys, "/registry/"+kind+"/"+ns+"/deep/er/x", "1", client.SetOptions{})
		}
	}
	r := newRelay(t, server.Endpoint)
	v := pin(t, r.endpoint)
	before := r.count(http.MethodGet)
	if n := len(walk(t, v, etcdwalk.Selection{Ranges: etcdwalk.Ranges{etcdwalk.Prefix("/registry/")}})); n != 12 {
		t.Errorf("%d keys, want 12", n)
	}
	if n := r.count(http.MethodGet) - before; n != 4 {
		t.Errorf("%d requests for the list and three kinds, want 4", n)
	}
}

// TestLargeAnswer: Z04. What would not fit is refused, and not kept in memory.
func TestLargeAnswer(t *testing.T) {
	server, keys := serve(t)
	for _, name := range []string{"a", "b", "c"} {
		set(t, keys, "/registry/secrets/a/"+name, strings.Repeat("x", 1000), client.SetOptions{})
	}
	c, err := etcd2.Dial(t.Context(), connect.Config{Endpoints: []string{server.Endpoint}}, 2000)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	v, err := c.Pin(t.Context(), walktest.Everything().Ranges)
	if err != nil {
		t.Fatal(err)
	}
	for _, err = range v.Walk(t.Context(), walktest.Everything()) {
	}
	if !errors.Is(err, etcd2.ErrTooLarge) || !strings.Contains(err.Error(), "/registry/secrets/") {
		t.Errorf("got %v, want %v with the directory", err, etcd2.ErrTooLarge)
	}
	if got := walk(t, v, etcdwalk.Selection{Ranges: etcdwalk.Ranges{etcdwalk.Key([]byte("/registry/secrets/a/b"))}}); len(got) != 1 {
		t.Errorf("less was selected, and %d keys came, want 1", len(got))
	}
}

// TestNoSuchAPI: E28. The error says what is there.
func TestNoSuchAPI(t *testing.T) {
	for _, version := range []string{etcdproc.V35, etcdproc.V36} {
		server := etcdproc.Start(t, etcdproc.Options{Version: version})
		_, err := etcd2.Dial(t.Context(), connect.Config{Endpoints: []string{server.Endpoint}}, 0)
		if !errors.Is(err, etcd2.ErrNoAPI) || !errors.Is(err, etcdwalk.ErrUnavailable) {
			t.Errorf("etcd %s: got %v, want %v", version, err, etcd2.ErrNoAPI)
		}
	}
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := io.WriteString(w, "<html>hello</html>"); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(page.Close)
	_, err := etcd2.Dial(t.Context(), connect.Config{Endpoints: []string{page.URL}}, 0)
	if err == nil || !errors.Is(err, etcdwalk.ErrUnavailable) || !strings.Contains(err.Error(), "does not look like an etcd") {
		t.Errorf("a web page: got %v", err)
	}
}

// TestDirectoryAndLeaf: Z10. One where the other should go is neither found equal
// nor replaced.
func TestDirectoryAndLeaf(t *testing.T) {
	server, keys := serve(t)
	set(t, keys, "/registry/a/b", "leaf", client.SetOptions{})
	target := dial(t, server.Endpoint).Target()
	found, err := target.Lookup(t.Context(), [][]byte{[]byte("/registry/a"), []byte("/registry/a/b/")})
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range found {
		if e == nil || len(e.Value) == 0 {
			t.Fatalf("lookup %d: %+v, want something that no value equals", i, e)
		}
	}
	for i, w := range []etcdwalk.Write{
		{Key: []byte("/registry/a"), Value: []byte("x"), Seen: found[0].ModRevision},
		{Key: []byte("/registry/a"), Value: []byte("x")},
		{Key: []byte("/registry/a/b/c"), Value: []byte("x")},
	} {
		if r := target.Apply(t.Context(), []etcdwalk.Write{w})[0]; r.State == etcdwalk.WriteApplied || r.State == etcdwalk.WriteUnknown {
			t.Errorf("write %d: %+v, want it refused", i, r)
		}
	}
	if got := contents(t, keys); len(got) != 1 || string(got[0].Value) != "leaf" {
		t.Errorf("the tree holds %+v", got)
	}
}

// TestBinaryIsRefused: what the API would damage is not sent.
func TestBinaryIsRefused(t *testing.T) {
	server, keys := serve(t)
	target := dial(t, server.Endpoint).Target()
	for _, w := range []etcdwalk.Write{
		{Key: []byte("/registry/a"), Value: []byte("k8s\x00\xff")},
		{Key: []byte("/registry/\xff"), Value: []byte("x")},
		{Key: []byte("/registry/a/../b"), Value: []byte("x")},
		{Key: []byte("no path"), Value: []byte("x")},
		{Key: []byte("/registry/a"), Value: []byte("x"), Lease: 7},
	} {
		if r := target.Apply(t.Context(), []etcdwalk.Write{w})[0]; r.State != etcdwalk.WriteFailed || r.Err == nil {
			t.Errorf("write of %q: %+v, want it failed", w.Key, r)
		}
	}
	if got := contents(t, keys); len(got) != 0 {
		t.Errorf("the tree holds %+v", got)
	}
}
