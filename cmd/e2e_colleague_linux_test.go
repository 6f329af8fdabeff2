package cmd

import (
	"fmt"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// A colleague writes between the plan and the yes: what they wrote stays, and is told; a status
// that a controller wrote meanwhile keeps nothing from being restored.
func TestWhatAColleagueWritesBeforeTheYesStays(t *testing.T) {
	t.Parallel()
	const system, colleague = "/registry/namespaces/kube-system", `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"%s","namespace":"shop","uid":"u-9"},"data":{"by":"colleague"}}`
	cm := func(name string) string { return "/registry/configmaps/shop/" + name }
	deployment := func(replicas int, ready string) string {
		return fmt.Sprintf(`{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"web","namespace":"shop","uid":"u-1"},"spec":{"replicas":%d},"status":{"ready":%q}}`, replicas, ready)
	}
	text := func(name, data string) string {
		return fmt.Sprintf(`{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":%q,"namespace":"shop","uid":"u-%s"},"data":{"a":%q}}`, name, name, data)
	}
	const web = "/registry/deployments/shop/web"
	for policy, want := range map[replay.Policy]struct {
		code    exitCode
		edited  string // the deployment's and the edited ConfigMap's values in the end, by what they hold
		replica string
	}{
		replay.Skip:      {exitIncomplete, "edited now", `"replicas":9`},
		replay.Overwrite: {exitIncomplete, "colleague", `"replicas":1`},
		replay.Newer:     {exitIncomplete, "edited now", `"replicas":9`}, // the archive is older
	} {
		t.Run(policy.String(), func(t *testing.T) {
			keys := newPair(t)
			server := etcdproc.Start(t, etcdproc.Options{})
			client := server.Client(t)
			put := func(key, value string) {
				t.Helper()
				_, err := client.Put(t.Context(), key, value)
				check(t, err)
			}
			put(system, `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"kube-system","uid":"u-0"}}`)
			put("/registry/namespaces/shop", `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"shop","uid":"u-s"}}`)
			put(cm("gone"), text("gone", "then"))
			put(cm("lost"), text("lost", "then"))
			put(cm("edited"), text("edited", "then"))
			put(web, deployment(1, "then"))
			archive := keys.backUp(t, server.Endpoint, t.TempDir())
			for _, name := range []string{"gone", "lost"} {
				_, err := client.Delete(t.Context(), cm(name))
				check(t, err)
			}
			put(cm("edited"), text("edited", "edited now"))
			put(web, deployment(9, "then"))

			tty := newTerminal(t)
			p := tty.run(t, "restore", "-n", "shop", "--from", archive, "-i", keys.identity, "--endpoints", server.Endpoint, "--on-conflict", policy.String())
			p.await(t, "the question", func() bool { return tty.says(`Type "yes"`) || strings.Contains(p.stderr.String(), `Type "yes"`) })
			put(cm("gone"), fmt.Sprintf(colleague, "gone"))
			if policy == replay.Overwrite {
				put(cm("edited"), fmt.Sprintf(colleague, "edited"))
			}
			put(web, deployment(9, "now"))
			_, err := tty.person.WriteString("yes\n")
			check(t, err)
			r := p.end(t)
			if r.code != want.code || !strings.Contains(r.stdout+r.stderr, "moved") {
				t.Errorf("%+v", r)
			}
			for key, part := range map[string]string{cm("gone"): "colleague", cm("edited"): want.edited, cm("lost"): "then", web: want.replica} {
				got, err := client.Get(t.Context(), key)
				check(t, err)
				if len(got.Kvs) != 1 || !strings.Contains(string(got.Kvs[0].Value), part) {
					t.Errorf("%s holds %s, not %s", key, got.Kvs, part)
				}
			}
		})
	}
}

// With many conflicts nothing at all is written under fail, not even when the plan's pass is
// through with a thousand of them.
func TestAThousandConflictsWriteNothing(t *testing.T) {
	t.Parallel()
	keys := newPair(t)
	server := etcdproc.Start(t, etcdproc.Options{})
	client := server.Client(t)
	_, err := client.Put(t.Context(), "/registry/namespaces/kube-system", `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"kube-system","uid":"u-0"}}`)
	check(t, err)
	fill(t, client, 20, func(i int) (string, string) {
		return fmt.Sprintf("/registry/namespaces/ns-%02d", i), fmt.Sprintf(`{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"ns-%02d","uid":"u-%d"}}`, i, i)
	})
	fill(t, client, 2000, func(i int) (string, string) { return configMap(i, 200) })
	archive := keys.backUp(t, server.Endpoint, t.TempDir())
	fill(t, client, 1000, func(i int) (string, string) {
		key, value := configMap(i, 200)
		return key, strings.Replace(value, `"web"`, `"other"`, 1)
	})
	_, err = client.Delete(t.Context(), "/registry/configmaps/ns-19/", clientv3.WithPrefix())
	check(t, err)
	before, err := client.Get(t.Context(), "/none")
	check(t, err)
	r := must(t, exitConflict, "restore", "--from", archive, "-i", keys.identity, "--endpoints", server.Endpoint, "--on-conflict=fail", "--yes")
	after, err := client.Get(t.Context(), "/none")
	check(t, err)
	if after.Header.Revision != before.Header.Revision || !strings.Contains(r.stdout, "950 conflict") {
		t.Errorf("revision %d, then %d: %+v", before.Header.Revision, after.Header.Revision, r)
	}
}

// Two runs of one machine do not change one cluster at once; of which nothing stays when the
// first has ended, however.
func TestASecondRestoreWaits(t *testing.T) {
	t.Parallel()
	keys, server, _ := startLiving(t)
	client := server.Client(t)
	_, err := client.Put(t.Context(), "/registry/configmaps/shop/lost", `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"lost","namespace":"shop","uid":"u-l"}}`)
	check(t, err)
	archive, in := keys.backUp(t, server.Endpoint, t.TempDir()), t.TempDir()
	_, err = client.Delete(t.Context(), "/registry/configmaps/shop/lost")
	check(t, err)
	args := []string{"restore", "cm/lost", "-n", "shop", "--from", archive, "-i", keys.identity, "--endpoints", server.Endpoint, "--no-watch", "--undo-dir", in}
	tty := newTerminal(t)
	p := tty.run(t, args...)
	p.await(t, "the question", func() bool { return tty.says(`Type "yes"`) })
	must(t, exitLocked, append(args, "--yes")...)
	must(t, exitLocked, append(args, "--yes", "--no-undo")...)
	must(t, exitDone, append(args, "--dry-run")...) // which changes nothing
	check(t, p.Process.Kill())
	p.end(t)
	must(t, exitDone, append(args, "--yes")...)
	must(t, exitDone, "undo", "-i", keys.identity, "--endpoints", server.Endpoint, "--no-watch", "--undo-dir", in, "--yes")
}
