package cmd

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/cmd/ferry/doctor"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// diagnose runs doctor, and returns what it tells scripts.
func diagnose(t *testing.T, code exitCode, args ...string) doctor.Report {
	t.Helper()
	r := must(t, code, append([]string{"doctor", "--json"}, args...)...)
	lines := strings.Split(strings.TrimSpace(r.stdout), "\n")
	var told struct{ Result doctor.Report }
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &told); err != nil {
		t.Fatal(err)
	}
	return told.Result
}

// findings are those of a report as lines: how bad, which check, how many, and their names.
func findings(r doctor.Report) map[string][]string {
	all := map[string][]string{}
	for _, f := range r.Findings {
		for _, o := range f.Objects {
			all[fmt.Sprintf("%s %s", f.Severity, f.Check)] = append(all[fmt.Sprintf("%s %s", f.Severity, f.Check)], o.Name)
		}
	}
	return all
}

// terminated are what the fixtures are known to have: objects that wait for finalizers.
var terminated = map[string][]string{"warning terminating": {"configmap legacy/app-config-6", "configmap sandbox/app-config-6", "configmap stuck/held", "namespace empty-ns", "namespace stuck"}}

// TestDoctorOnFixtures: in what real API servers wrote nothing is found but what was put there;
// sealed or opened, and in its archive as well.
func TestDoctorOnFixtures(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "config.yaml")
	check(t, os.WriteFile(config, readFile(t, fixtures+"-encrypted.config.yaml"), 0o600))
	keys := newPair(t)
	for name, c := range map[string]struct {
		sealed int64
		args   []string
	}{
		"":           {0, nil},
		"-encrypted": {341, []string{"--encryption-config", config}},
	} {
		server := etcdproc.Start(t, etcdproc.Options{Version: etcdproc.V36, Snapshot: unpack(t, fixtures+name+".db.zst")})
		before := holdings(t, server.Client(t), 0)
		archive := keys.backUp(t, server.Endpoint, t.TempDir())
		for _, from := range [][]string{{"--endpoints", server.Endpoint}, {"--from", archive, "-i", keys.identity}} {
			r := diagnose(t, exitDone, append(from, c.args...)...)
			if diff := cmp.Diff(terminated, findings(r)); diff != "" {
				t.Errorf("registry-1.36%s, %v (-want +got):\n%s", name, from, diff)
			}
			var sealed int64
			for _, s := range r.Sealed {
				sealed += s.Keys
			}
			live := from[0] == "--endpoints"
			if sealed != c.sealed || live != (len(r.Unseen) == 0) || live != (r.Compacted != nil) || live != (len(r.Members) == 1) || len(r.Prefixes) < 60 || r.Keys < 1100 {
				t.Errorf("registry-1.36%s, %v: %d sealed, %+v, %+v, %d prefixes, %d keys", name, from, sealed, r.Unseen, r.Compacted, len(r.Prefixes), r.Keys)
			}
		}
		// Of a part, what is needed lies beside it.
		for _, prefix := range []string{"/registry/replicasets/", "/registry/persistentvolumes/", "/registry/shop.example.io/"} {
			r := diagnose(t, exitDone, append([]string{"--endpoints", server.Endpoint, "--prefix", prefix}, c.args...)...)
			if len(r.Findings)+len(r.Unseen) > 0 || r.Keys == 0 {
				t.Errorf("registry-1.36%s, %s: %d keys, %+v, %+v", name, prefix, r.Keys, r.Findings, r.Unseen)
			}
		}
		if len(c.args) > 0 {
			r := diagnose(t, exitDone, "--endpoints", server.Endpoint)
			if len(r.Unseen) != 1 || !strings.Contains(r.Unseen[0].Why, "aesgcm") {
				t.Errorf("what is sealed was not told: %+v", r.Unseen)
			}
		}
		lasting := func(key string) bool { return !transient(key) }
		if diff := walktest.Diff(those(holdings(t, server.Client(t), 0), lasting), those(before, lasting)); diff != "" {
			t.Errorf("something has changed:\n%s", diff)
		}
	}
}

// TestDoctorFindsWhatWasPlanted: each finding, once, among what a real API server wrote.
func TestDoctorFindsWhatWasPlanted(t *testing.T) {
	t.Parallel()
	server, there := startFixture(t)
	client := server.Client(t)
	value := func(key string) string {
		i := slices.IndexFunc(there, func(e etcdwalk.Entry) bool { return string(e.Key) == key })
		if i < 0 {
			t.Fatalf("the fixture has no %s", key)
		}
		return string(there[i].Value)
	}
	put := func(key, value string, options ...clientv3.OpOption) {
		_, err := client.Put(t.Context(), key, value, options...)
		check(t, err)
	}
	hour, err := client.Grant(t.Context(), 3600)
	check(t, err)
	event := "/registry/events/data/agent.18e9b1e71ca940e3"
	put(event, value(event))
	put("/registry/configmaps/data/other", value("/registry/configmaps/data/app-config-1"))
	put("/registry/configmaps/data/cut", value("/registry/configmaps/data/app-config-1")[:40])
	put("/registry/masterleases/192.0.2.7", value("/registry/deployments/data/web-0"))
	put("/registry/masterleases/192.0.2.8", value("/registry/deployments/data/web-0"), clientv3.WithLease(hour.ID))
	put("/registry/services/specs/data/twin", `{"kind":"Service","apiVersion":"v1","metadata":{"name":"twin","namespace":"data","uid":"t"},"spec":{"clusterIP":"10.96.0.1","clusterIPs":["10.96.0.1"]}}`)
	put("/registry/persistentvolumes/freed", `{"kind":"PersistentVolume","apiVersion":"v1","metadata":{"name":"freed","uid":"f"},"spec":{"persistentVolumeReclaimPolicy":"Delete"},"status":{"phase":"Released"}}`)
	put("/registry/lost.example.io/things/data/one", `{"kind":"Thing","apiVersion":"lost.example.io/v1","metadata":{"name":"one","namespace":"data","uid":"o"}}`)
	put("/registry/shop.example.io/widgets/data/old", `{"kind":"Widget","apiVersion":"shop.example.io/v0","metadata":{"name":"old","namespace":"data","uid":"w"}}`)
	put("/registry/services/specs/data/gate", `{"kind":"Service","apiVersion":"v1","metadata":{"name":"gate","namespace":"data","uid":"g"},"spec":{"ports":[{"port":80,"nodePort":32100,"protocol":"TCP"}]}}`)
	put("/registry/services/specs/data/gate-too", `{"kind":"Service","apiVersion":"v1","metadata":{"name":"gate-too","namespace":"data","uid":"h"},"spec":{"ports":[{"port":80,"nodePort":32100,"protocol":"TCP"}]}}`)
	put("/registry/configmaps/lost/one", `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"one","namespace":"lost","uid":"l"}}`)
	put("/registry/configmaps/data/owned", `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"owned","namespace":"data","uid":"c","ownerReferences":[{"apiVersion":"apps/v1","kind":"Deployment","name":"web-0","uid":"of-then"}]}}`)

	want := map[string][]string{
		"warning terminating":          terminated["warning terminating"],
		"warning events-without-lease": {"event data/agent.18e9b1e71ca940e3"},
		"broken key-and-metadata":      {"configmap data/other"},
		"broken unstorable":            {"configmap data/cut"},
		"broken ghost-api-server":      {"/registry/masterleases/192.0.2.7", "/registry/masterleases/192.0.2.8"},
		"broken addresses":             {"service default/kubernetes", "service data/gate-too"},
		"broken no-namespace":          {"namespace lost"},
		"warning reclaimed-volumes":    {"persistentvolume freed"},
		"warning no-definition":        {"customresourcedefinition.apiextensions.k8s.io things.lost.example.io"},
		"broken stored-versions":       {"widgets.shop.example.io data/old"},
		"warning orphans":              {"configmap data/owned"},
	}
	brief, err := client.Grant(t.Context(), 60) // which is what a sign of life runs for at most
	check(t, err)
	put("/registry/masterleases/192.0.2.9", "{}", clientv3.WithLease(brief.ID))
	head, err := client.Get(t.Context(), event)
	check(t, err)
	_, err = client.Compact(t.Context(), head.Header.Revision-3)
	check(t, err)
	r := diagnose(t, exitCheck, "--endpoints", server.Endpoint)
	if r.Compacted == nil || *r.Compacted != (doctor.Compacted{Revision: head.Header.Revision - 3, Lag: 3}) {
		t.Errorf("what was compacted is told as %+v", r.Compacted)
	}
	if !slices.Contains(r.Alive, "/registry/masterleases/192.0.2.9") {
		t.Errorf("alive are %v", r.Alive)
	}
	must(t, exitCheck, "doctor", "--endpoints", server.Endpoint).says(t, "API servers alive:", "192.0.2.9)", "3 since the compaction at ")
	got := findings(r)
	for _, names := range got {
		slices.Sort(names)
	}
	for check, names := range want {
		slices.Sort(names)
		if diff := cmp.Diff(names, got[check]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", check, diff)
		}
		delete(got, check)
	}
	if len(got) > 0 {
		t.Errorf("and %v", got)
	}
}

// settle fills a server with 10 objects, each in a namespace of its own.
func settle(t *testing.T, client *clientv3.Client) {
	t.Helper()
	fill(t, client, 10, func(i int) (string, string) { return configMap(i, 100) })
	fill(t, client, 10, func(i int) (string, string) {
		return fmt.Sprintf("/registry/namespaces/ns-%02d", i), fmt.Sprintf(`{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"ns-%02d"}}`, i)
	})
}

// TestDoctorAndRights: what a user may not read is told, and all else is looked at; who may
// read nothing is told which members there are, and ends with 17.
func TestDoctorAndRights(t *testing.T) {
	t.Parallel()
	server := etcdproc.Start(t, etcdproc.Options{})
	client, ctx := server.Client(t), t.Context()
	settle(t, client)
	done := func(_ any, err error) { t.Helper(); check(t, err) }
	done(client.UserAdd(ctx, "root", "toor"))
	done(client.UserGrantRole(ctx, "root", "root"))
	done(client.RoleAdd(ctx, "reader"))
	done(client.UserAdd(ctx, "reader", "reader-password"))
	done(client.UserGrantRole(ctx, "reader", "reader"))
	done(client.AuthEnable(ctx))
	root := etcdproc.NewClient(t, clientv3.Config{Endpoints: []string{server.Endpoint}, Username: "root", Password: "toor"})
	password := filepath.Join(t.TempDir(), "password")
	check(t, os.WriteFile(password, []byte("reader-password"), 0o600))
	args := []string{"--endpoints", server.Endpoint, "--user", "reader", "--password-file", password}
	must(t, exitDenied, append([]string{"doctor"}, args...)...).says(t, "Members:", "leader, 3.6", "not looked at: any key, because", "permission denied")
	done(root.RoleGrantPermission(ctx, "reader", "/registry/", "/registry0", 0))
	must(t, exitDone, append([]string{"doctor"}, args...)...).says(t, "20 keys", "never compacted", "Nothing wrong was found", "not looked at: keys under /kubernetes.io/, because", "grant-permission backup read /registry/ --prefix=true")
	if r := diagnose(t, exitDone, append(args, "--prefix", "/registry/")...); len(r.Unseen) != 0 || r.Outside != nil {
		t.Errorf("with the prefix named: %+v", r)
	}
}

// TestDoctorOfThree: each member is told of; one that is down is a warning.
func TestDoctorOfThree(t *testing.T) {
	t.Parallel()
	members := etcdproc.StartCluster(t, 3, etcdproc.Options{})
	settle(t, members[0].Client(t))
	endpoints := strings.Join(etcdproc.Endpoints(members), ",")
	must(t, exitDone, "doctor", "--endpoints", endpoints).says(t, members[0].Endpoint+": ", members[2].Endpoint+": ", "leader", "follower", "Nothing wrong")
	members[2].Kill()
	must(t, exitDone, "doctor", "--endpoints", endpoints).says(t, members[2].Endpoint+": not reached", "WARNING  member: it was not reached", "etcdctl endpoint status --cluster")
}
