package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd3"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/kubetest"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// TestARestoreThatIsKilledIsTakenBack: kill −9 at any moment, between the two writes of an
// adoption too, and undo: all is as it was before the restore.
func TestARestoreThatIsKilledIsTakenBack(t *testing.T) {
	t.Parallel()
	kills := 5
	if os.Getenv("KUBEFERRY_LONG") != "" {
		kills = 50
	}
	keys, server, archive := startChanged(t, 150, 1000)
	client := server.Client(t)
	want := holdings(t, client, 0)
	in, touched, finished := t.TempDir(), 0, 0
	for kill := range kills {
		first := client.Watch(t.Context(), "/registry/", clientv3.WithPrefix())
		p := start(t, "restore", "-n", "shop", "--endpoints", server.Endpoint, "--from", archive, "-i", keys.identity, "--on-conflict=overwrite", "--yes", "--no-watch", "--undo-dir", in)
		select {
		case <-first: // the first write
		case <-time.After(20 * time.Second):
			t.Fatal("it writes nothing")
		}
		time.Sleep(time.Duration(rand.IntN(400)) * time.Millisecond)
		check(t, p.Process.Kill())
		if p.end(t).code == exitDone {
			finished++
		}
		if len(holdings(t, client, 0)) != len(want) {
			touched++
		}
		r := runHere(t, "undo", "--endpoints", server.Endpoint, "-i", keys.identity, "--yes", "--no-watch", "--undo-dir", in)
		if r.code != exitDone {
			t.Fatalf("kill %d: %+v", kill, r)
		}
		same(t, fmt.Sprintf("after kill %d and undo", kill), holdings(t, client, 0), want)
	}
	if touched == 0 || finished == kills {
		t.Errorf("%d restores of %d had written something when they were killed, %d were through", touched, kills, finished)
	}
	if r := must(t, exitDone, "undo", "--list", "--undo-dir", in); strings.Count(r.stdout, "\n") > 11 {
		t.Errorf("more than ten changes are kept: %+v", r)
	}
}

// TestAnUndoBesideControllers: a restore is killed at any moment, and taken back, while controllers
// look after the cluster; once they have come to rest all is as it was before.
func TestAnUndoBesideControllers(t *testing.T) {
	t.Parallel()
	kills := 3
	if os.Getenv("KUBEFERRY_LONG") != "" {
		kills = 50
	}
	keys, server, archive := startChanged(t, 20, 200)
	client, in := server.Client(t), t.TempDir()
	cluster, err := etcd3.Dial(t.Context(), connect.Config{Endpoints: []string{server.Endpoint}})
	check(t, err)
	defer cluster.Close()
	others, err := kubetest.New(cluster, cluster.Target(), 17)
	check(t, err)
	check(t, others.Settle(t.Context()))
	want, cut, before := holdings(t, client, 0), 0, len(others.Acts)
	for kill := range kills {
		rest := beside(t, others)
		first := client.Watch(t.Context(), "/registry/", clientv3.WithPrefix())
		p := start(t, "restore", "-n", "shop", "--endpoints", server.Endpoint, "--from", archive, "-i", keys.identity, "--on-conflict=overwrite", "--yes", "--no-watch", "--undo-dir", in, "--qps", "500")
		<-first
		time.Sleep(time.Duration(rand.IntN(500)) * time.Millisecond)
		check(t, p.Process.Kill())
		if p.end(t).code != exitDone {
			cut++
		}
		must(t, exitDone, "undo", "--endpoints", server.Endpoint, "-i", keys.identity, "--yes", "--no-watch", "--undo-dir", in)
		rest()
		same(t, fmt.Sprintf("after kill %d and undo", kill), holdings(t, client, 0), want)
	}
	if cut == 0 || len(others.Acts) == before {
		t.Errorf("%d of %d restores were cut, and the controllers did %v", cut, kills, others.Acts)
	}
}

// beside lets controllers act until they are to come to rest.
func beside(t *testing.T, others *kubetest.Controllers) (rest func()) {
	ctx, stop := context.WithCancel(t.Context())
	var working sync.WaitGroup
	working.Go(func() {
		for ctx.Err() == nil {
			if err := others.Step(context.WithoutCancel(ctx)); err != nil {
				t.Error(err)
				return
			}
		}
	})
	return func() {
		stop()
		working.Wait()
		check(t, others.Settle(t.Context()))
	}
}

// startChanged starts a living cluster that has lost, and got edited, much of what an archive of
// it holds.
func startChanged(t *testing.T, apps, texts int) (keys pair, server *etcdproc.Server, archive string) {
	t.Helper()
	keys, server, put := startLiving(t)
	client := server.Client(t)
	for i := range apps {
		name := fmt.Sprintf("app-%03d", i)
		// As controllers write them, which else would write another substance with their status.
		spec := fmt.Sprintf(`"spec":{"selector":{"matchLabels":{"app":%q}},"template":{"metadata":{},"spec":{"containers":null}}}`, name)
		put("/registry/deployments/shop/"+name, fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":%[1]q,"namespace":"shop","uid":"d-%[1]s"},%[2]s}`, name, spec))
		put("/registry/replicasets/shop/"+name+"-1", fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{"labels":{"app":%[1]q},"name":"%[1]s-1","namespace":"shop",`+
			`"ownerReferences":[{"apiVersion":"apps/v1","blockOwnerDeletion":true,"controller":true,"kind":"Deployment","name":%[1]q,"uid":"d-%[1]s"}],"uid":"r-%[1]s"},%[2]s}`, name, spec))
	}
	text := func(i int, data string) (key, value string) {
		return fmt.Sprintf("/registry/configmaps/shop/text-%04d", i), fmt.Sprintf(`{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"text-%04d","namespace":"shop","uid":"c-%d"},"data":{"a":%q}}`, i, i, data)
	}
	fill(t, client, texts, func(i int) (string, string) { return text(i, "then") })
	archive = keys.backUp(t, server.Endpoint, t.TempDir())
	for _, prefix := range []string{"/registry/deployments/", "/registry/replicasets/", "/registry/configmaps/shop/text-00"} {
		_, err := client.Delete(t.Context(), prefix, clientv3.WithPrefix())
		check(t, err)
	}
	fill(t, client, texts/2, func(i int) (string, string) { return text(i+texts/2, "edited") })
	return keys, server, archive
}

// TestTheSameRestoreGoesOn: what was killed is finished by the same command, whatever a colleague
// has written meanwhile, and one undo takes back what both have written.
func TestTheSameRestoreGoesOn(t *testing.T) {
	t.Parallel()
	keys, server, archive := startChanged(t, 150, 1000)
	client, in := server.Client(t), t.TempDir()
	want := holdings(t, client, 0)
	args := []string{"restore", "-n", "shop", "--endpoints", server.Endpoint, "--from", archive, "-i", keys.identity, "--on-conflict=overwrite", "--yes", "--no-watch", "--undo-dir", in}
	killed := func() {
		first := client.Watch(t.Context(), "/registry/", clientv3.WithPrefix())
		p := start(t, append(slices.Clone(args), "--qps", "400")...)
		<-first
		time.Sleep(300 * time.Millisecond)
		check(t, p.Process.Kill())
		if r := p.end(t); r.code == exitDone {
			t.Fatalf("it was through before it was killed: %+v", r)
		}
	}
	back := func() ran {
		return must(t, exitDone, "undo", "--endpoints", server.Endpoint, "-i", keys.identity, "--yes", "--no-watch", "--undo-dir", in)
	}
	killed()
	if r := must(t, exitDone, args...); strings.Count(r.stderr, "was the same restore, and was interrupted: this goes on with it") != 1 {
		t.Errorf("%+v", r)
	}
	done, err := filepath.Glob(filepath.Join(in, "*.done"))
	check(t, err)
	for _, end := range done { // as if it had been killed after its last write
		check(t, os.Remove(end))
	}
	if r := must(t, exitDone, args...); !strings.Contains(r.stderr, "goes on with it") || !strings.Contains(r.stdout, "Undo:   kubeferry undo ") {
		t.Errorf("%+v", r)
	}
	if r := must(t, exitDone, args...); strings.Contains(r.stderr, "was interrupted") {
		t.Errorf("%+v", r)
	}
	back()
	same(t, "after the undo of both", holdings(t, client, 0), want)

	killed()
	killed()
	_, err = client.Put(t.Context(), "/registry/configmaps/shop/text-0999", "a colleague's")
	check(t, err)
	if r := must(t, exitDone, args...); !strings.Contains(r.stderr, "taken back by an undo of its own") {
		t.Errorf("%+v", r)
	}
	back()
	var all struct {
		Result struct{ Changes []struct{ Name string } }
	}
	check(t, json.Unmarshal([]byte(must(t, exitDone, "undo", "--list", "--json", "--undo-dir", in).stdout), &all))
	if len(all.Result.Changes) != 5 { // two with their undos, and between them the one that was killed twice
		t.Fatalf("%+v", all)
	}
	r := must(t, exitIncomplete, "undo", all.Result.Changes[2].Name, "--endpoints", server.Endpoint, "-i", keys.identity, "--yes", "--no-watch", "--undo-dir", in)
	if !strings.Contains(r.stdout, "text-0999") || !strings.Contains(r.stdout, "it was written since") {
		t.Errorf("%+v", r)
	}
	yours := func(e etcdwalk.Entry) bool { return strings.HasSuffix(string(e.Key), "text-0999") }
	same(t, "after both undos", slices.DeleteFunc(holdings(t, client, 0), yours), slices.DeleteFunc(want, yours))
}
