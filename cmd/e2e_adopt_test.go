package cmd

import (
	"fmt"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// TestAnAdoptionThatIsKilledIsFinished: kill −9 between the two writes of an adoption leaves
// objects without their owner. The same command finishes it, whatever the policy is.
func TestAnAdoptionThatIsKilledIsFinished(t *testing.T) {
	t.Parallel()
	const families = 300
	keys, server, put := startLiving(t)
	client := server.Client(t)
	for i := range families {
		name := fmt.Sprintf("app-%03d", i)
		selector := fmt.Sprintf(`"spec":{"selector":{"matchLabels":{"app":%q}}}`, name)
		put("/registry/deployments/shop/"+name, fmt.Sprintf(`{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":%q,"namespace":"shop","uid":"d-%s"},%s}`, name, name, selector))
		put("/registry/replicasets/shop/"+name+"-1", fmt.Sprintf(`{"kind":"ReplicaSet","apiVersion":"apps/v1","metadata":{"name":"%[1]s-1","namespace":"shop","uid":"r-%[1]s","labels":{"app":%[1]q},`+
			`"ownerReferences":[{"apiVersion":"apps/v1","kind":"Deployment","name":%[1]q,"uid":"d-%[1]s","controller":true}]},%[2]s}`, name, selector))
	}
	archive := keys.backUp(t, server.Endpoint, t.TempDir())
	want := holdings(t, client, 0)
	kills := 0
	for _, policy := range []string{"fail", "skip", "overwrite", "newer"} {
		for _, prefix := range []string{"/registry/deployments/", "/registry/replicasets/"} {
			if _, err := client.Delete(t.Context(), prefix, clientv3.WithPrefix()); err != nil {
				t.Fatal(err)
			}
		}
		args := []string{"restore", "deploy,rs", "-n", "shop", "--endpoints", server.Endpoint, "--from", archive, "-i", keys.identity, "--on-conflict", policy, "--yes", "--no-watch"}
		first := client.Watch(t.Context(), "/registry/replicasets/", clientv3.WithPrefix(), clientv3.WithFilterDelete())
		p := start(t, args...)
		<-first
		if err := p.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		p.end(t)
		if orphans(t, client) > 0 {
			kills++
		}
		must(t, exitDone, args...).says(t, "Done:")
		same(t, "after --on-conflict="+policy, holdings(t, client, 0), want)
	}
	if kills < 2 {
		t.Errorf("%d adoptions were killed between their two writes", kills)
	}
}

// orphans counts the ReplicaSets that are there without an owner.
func orphans(t *testing.T, client *clientv3.Client) (n int) {
	t.Helper()
	answer, err := client.Get(t.Context(), "/registry/replicasets/", clientv3.WithPrefix())
	check(t, err)
	for _, kv := range answer.Kvs {
		if !strings.Contains(string(kv.Value), `"uid":"d-`) && !strings.Contains(string(kv.Value), `"uid":"d1"`) {
			n++
		}
	}
	return n
}
