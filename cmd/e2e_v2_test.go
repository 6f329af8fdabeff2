package cmd

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	client "go.etcd.io/etcd/client/v2"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// startV2 runs an etcd 3.5 that serves both APIs.
func startV2(t *testing.T) (*etcdproc.Server, client.KeysAPI) {
	t.Helper()
	server := etcdproc.Start(t, etcdproc.Options{Version: etcdproc.V35, Flags: []string{"--enable-v2"}})
	c, err := client.New(client.Config{Endpoints: []string{server.Endpoint}})
	if err != nil {
		t.Fatal(err)
	}
	return server, client.NewKeysAPI(c)
}

func setV2(t *testing.T, keys client.KeysAPI, key, value string, o client.SetOptions) {
	t.Helper()
	if _, err := keys.Set(t.Context(), key, value, &o); err != nil {
		t.Fatal(err)
	}
}

func configMapJSON(name string) string { return objectJSON("ConfigMap", name) }

func objectJSON(kind, name string) string {
	return fmt.Sprintf(`{"kind":%q,"apiVersion":"v1","metadata":{"name":%q,"namespace":"shop"},"data":{"k":"v"}}`, kind, name)
}

// The old store goes out, back in, and over to v3. What it could not keep is
// refused before anything is written.
func TestOldStore(t *testing.T) {
	keys, folder := newPair(t), t.TempDir()
	old, tree := startV2(t)
	setV2(t, tree, "/registry/namespaces/shop", `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"shop"}}`, client.SetOptions{})
	for i := range 29 {
		name := fmt.Sprintf("cm-%02d", i)
		setV2(t, tree, "/registry/configmaps/shop/"+name, configMapJSON(name), client.SetOptions{})
	}
	setV2(t, tree, "/registry/events/shop", "", client.SetOptions{Dir: true, TTL: 20 * time.Minute})
	setV2(t, tree, "/registry/events/shop/short", objectJSON("Event", "short"), client.SetOptions{TTL: 5 * time.Minute})
	setV2(t, tree, "/registry/events/shop/long", objectJSON("Event", "long"), client.SetOptions{TTL: time.Hour})
	archive := keys.backUp(t, old.Endpoint, folder) // auto: only v2 holds Kubernetes' keys
	must(t, exitDone, "verify", archive, "-i", keys.identity)
	must(t, exitDone, "describe", archive, "-i", keys.identity).says(t, "Consistent:", "yes (revision ")
	must(t, exitDone, "doctor", "--endpoints", old.Endpoint).says(t, "(API v2)", "33 keys", "not looked at: members, alarms, size and quota, because API v2 does not tell them", "Nothing wrong was found")
	must(t, exitDone, "doctor", "--from", archive, "-i", keys.identity).says(t, "33 keys", "Nothing wrong was found")

	again, into := startV2(t)
	restore := []string{"restore", "--from", archive, "-i", keys.identity, "--scenario=new", "--leases=regrant", "--yes"}
	must(t, exitDone, append(restore, "--api=v2", "--endpoints", again.Endpoint)...).says(t, "33 created")
	answer, err := into.Get(t.Context(), "/registry/configmaps/shop/cm-07", nil)
	if err != nil || answer.Node.Value != configMapJSON("cm-07") {
		t.Errorf("a key that went back to v2: %+v, %v", answer, err)
	}
	must(t, exitDone, append(restore, "--api=v2", "--endpoints", again.Endpoint)...).says(t, "33 unchanged")

	young := etcdproc.Start(t, etcdproc.Options{Version: etcdproc.V36})
	must(t, exitDone, append(restore, "--endpoints", young.Endpoint)...).says(t, "32 created", "1 left out")
	v3 := young.Client(t)
	for key, most := range map[string]int64{"/registry/events/shop/short": 300, "/registry/events/shop/long": 1200} {
		found, err := v3.Get(t.Context(), key)
		if err != nil || len(found.Kvs) != 1 || found.Kvs[0].Lease == 0 {
			t.Fatalf("key %s: %+v, %v, want one under a lease", key, found, err)
		}
		lease, err := v3.TimeToLive(t.Context(), clientv3.LeaseID(found.Kvs[0].Lease))
		if err != nil || lease.TTL > most || lease.TTL < most-60 {
			t.Errorf("key %s has %d seconds, want about %d (%v)", key, lease.TTL, most, err)
		}
	}
}

// A value that is not text is refused by a target of API v2, and nothing is
// written.
func TestOldStoreTakesNoBinary(t *testing.T) {
	keys, folder := newPair(t), t.TempDir()
	source := etcdproc.Start(t, etcdproc.Options{Version: etcdproc.V36})
	fill(t, source.Client(t), 20, func(i int) (string, string) { return configMap(i, 100) })
	if _, err := source.Client(t).Put(t.Context(), "/registry/secrets/shop/binary", "k8s\x00\xff\xfe"); err != nil {
		t.Fatal(err)
	}
	archive := strings.TrimSpace(must(t, exitDone, "backup", "--endpoints", source.Endpoint, "--to", folder, "-r", keys.recipient).stdout)
	old, tree := startV2(t)
	must(t, exitGuard, "restore", "--from", archive, "-i", keys.identity, "--endpoints", old.Endpoint, "--api=v2", "--scenario=new", "--yes", "--raw").
		says(t, "nothing was written", "secret shop/binary", "UTF-8")
	answer, err := tree.Get(t.Context(), "/", nil)
	if err != nil || len(answer.Node.Nodes) != 0 {
		t.Errorf("the tree holds %+v, %v", answer, err)
	}
}

// inFrontOf is a proxy that speaks HTTP/1 only, and so API v2. It tells hook, which
// may be nil, of each request before it passes it on.
func inFrontOf(t *testing.T, endpoint string, hook func(*http.Request)) string {
	t.Helper()
	target, err := url.Parse(endpoint)
	check(t, err)
	server := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		if hook != nil {
			hook(r.In)
		}
		r.SetURL(target)
	}})
	t.Cleanup(server.Close)
	return server.URL
}

// WV1, Z01: somebody writes during the walk, or nobody does, and what the archive
// says of itself is true each time.
func TestManifestTellsOfWriters(t *testing.T) {
	t.Parallel()
	keys := newPair(t)
	server, tree := startV2(t)
	for _, kind := range []string{"configmaps", "pods", "secrets"} {
		setV2(t, tree, "/registry/"+kind+"/shop/a", objectJSON(strings.TrimSuffix(kind, "s"), "a"), client.SetOptions{})
	}
	left, ticks := 0, 0
	proxy := inFrontOf(t, server.Endpoint, func(r *http.Request) {
		if left > 0 && strings.HasPrefix(r.URL.Path, "/v2/keys/registry/pods") {
			left--
			ticks++
			setV2(t, tree, "/registry/configmaps/shop/clock", configMapJSON("clock"), client.SetOptions{})
		}
	})
	for i := range 20 {
		always := i%2 == 1
		if left = i % 4 / 2; always { // nobody, or a writer who ends in time
			left = 1 << 30
		}
		r := must(t, exitDone, "backup", "--api=v2", "--endpoints", proxy, "--to", t.TempDir(), "-r", keys.recipient, "--json")
		var summary struct{ Result backupResult }
		lines := strings.Split(strings.TrimSpace(r.stdout), "\n")
		check(t, json.Unmarshal([]byte(lines[len(lines)-1]), &summary))
		told := summary.Result
		if o := told.Outcome; o.Consistent == always || (o.LastIndex > o.FirstIndex) != always {
			t.Errorf("run %d, writer to the end: %v; the result says %+v", i, always, o)
		}
		described := must(t, exitDone, "describe", told.Path, "-i", keys.identity, "--json")
		if text := described.stdout; !strings.Contains(text, fmt.Sprintf(`"consistent":%t`, !always)) {
			t.Errorf("run %d, writer to the end: %v; the archive says:\n%s", i, always, text)
		}
	}
	if ticks < 30 {
		t.Errorf("the writer wrote %d times", ticks)
	}
	left = 1 << 30
	must(t, exitDone, "backup", "--api=v2", "--endpoints", proxy, "--to", t.TempDir(), "-r", keys.recipient).says(t, "no single moment")
}

// Several endpoints, of which one is dead, and a user: as for v3.
func TestOldStoreWithUsers(t *testing.T) {
	t.Parallel()
	server, tree := startV2(t)
	setV2(t, tree, "/registry/configmaps/shop/a", configMapJSON("a"), client.SetOptions{})
	c, err := client.New(client.Config{Endpoints: []string{server.Endpoint}, Username: "root", Password: "toor"})
	check(t, err)
	check(t, client.NewAuthUserAPI(c).AddUser(t.Context(), "root", "toor"))
	check(t, client.NewAuthAPI(c).Enable(t.Context()))
	check(t, client.NewAuthRoleAPI(c).RemoveRole(t.Context(), "guest"))
	folder := t.TempDir()
	password := func(text string) string {
		file := filepath.Join(folder, text)
		check(t, os.WriteFile(file, []byte(text+"\n"), 0o600))
		return file
	}
	look := []string{"backup", "--dry-run", "--endpoints", "http://127.0.0.1:1," + server.Endpoint}
	as := append(look, "--user=root", "--password-file")
	must(t, exitDone, append(as, password("toor"), "--api=v2")...).says(t, "configmaps     1")
	must(t, exitDenied, append(as, password("wrong"), "--api=v2")...).says(t, `refuses user "root"`)
	must(t, exitDenied, append(look, "--api=v2")...).says(t, "wants a user")
	must(t, exitDenied, append(look, "--user=root", "--password-file", password("wrong"))...) // auto, and nothing in v3
}

// A server that speaks v2 only is taken as such, and asked for v3 it says so.
func TestServerOfV2Only(t *testing.T) {
	t.Parallel()
	server, tree := startV2(t)
	setV2(t, tree, "/registry/configmaps/shop/a", configMapJSON("a"), client.SetOptions{})
	proxy := inFrontOf(t, server.Endpoint, nil)
	must(t, exitDone, "backup", "--dry-run", "--endpoints", proxy).says(t, "configmaps     1")
	must(t, exitCluster, "backup", "--dry-run", "--endpoints", proxy, "--api=v3").says(t, "HTTP/1 only", "--api v2")
}

// Which API holds the cluster is found out, or asked for.
func TestWhichAPI(t *testing.T) {
	server, tree := startV2(t)
	v3 := server.Client(t)
	look := []string{"backup", "--dry-run", "--endpoints", server.Endpoint}
	must(t, exitNotFound, look...)
	setV2(t, tree, "/registry/configmaps/shop/a", configMapJSON("a"), client.SetOptions{})
	must(t, exitDone, look...).says(t, "configmaps     1")
	if _, err := v3.Put(t.Context(), "/registry/configmaps/shop/b", configMapJSON("b")); err != nil {
		t.Fatal(err)
	}
	must(t, exitUsage, look...).says(t, "--api", "v3 and v2 hold")
	if _, err := v3.Put(t.Context(), "/registry/masterleases/192.0.2.1", "{}"); err != nil {
		t.Fatal(err)
	}
	must(t, exitDone, look...).says(t, "masterleases") // and not the stale v2 store
	setV2(t, tree, "/registry/configmaps/shop/large", strings.Repeat("x", 5000), client.SetOptions{})
	must(t, exitDone, append(look, "--max-v2-answer=3000")...).says(t, "masterleases") // nor one that cannot be read
	must(t, exitGuard, append(look, "--max-v2-answer=3000", "--api=v2")...).says(t, "/registry/configmaps/", "--max-v2-answer")
	if out := must(t, exitDone, append(look, "--api=v2")...); strings.Contains(out.stdout, "masterleases") {
		t.Errorf("v3 was taken, and v2 asked for:\n%s", out.stdout)
	}
	setV2(t, tree, "/registry/masterleases/192.0.2.1", "{}", client.SetOptions{})
	must(t, exitUsage, look...).says(t, "an API server uses each")
	must(t, exitUsage, append(look, "--api=v4")...)
	young := etcdproc.Start(t, etcdproc.Options{Version: etcdproc.V36})
	must(t, exitCluster, "backup", "--dry-run", "--endpoints", young.Endpoint, "--api=v2").says(t, "--enable-v2", "--api v3")
}
