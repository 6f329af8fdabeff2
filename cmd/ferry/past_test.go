package ferry_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// A cluster at an older revision is a source like any other: one ConfigMap comes back
// from before an accident, out of the history of the same living etcd.
func TestRestoreFromAnOlderRevision(t *testing.T) {
	for _, version := range etcdproc.Versions() {
		t.Run(version, func(t *testing.T) {
			server := etcdproc.Start(t, etcdproc.Options{Version: version})
			client := server.Client(t)
			name, value := kubeSystem()
			put(t, client, name, value)
			name, value = namespace("shop")
			put(t, client, name, value)
			for i := range 20 {
				key, value := object("shop", fmt.Sprintf("settings-%03d", i), 40)
				put(t, client, key, value)
			}
			lost, was := object("shop", "settings-007", 40)
			other, _ := object("shop", "settings-008", 40)
			before := put(t, client, "/registry/marker", "x")
			put(t, client, other, `{"kind":"ConfigMap","apiVersion":"v1","changed":"since"}`)
			if _, err := client.Delete(t.Context(), lost); err != nil {
				t.Fatal(err)
			}
			cluster := dial(t, server)
			r := ferry.Restore{
				Source: cluster, At: etcdwalk.Moment(before), Query: query(t, kube.Filter{Include: []string{"cm/settings-007"}, Namespaces: []string{"shop"}}),
				Cluster: cluster, Target: cluster.Target(),
			}
			planned, err := r.Plan(t.Context())
			if err != nil || planned.Counts[replay.Created] != 1 || planned.Counts.Total() != 1 || planned.Confirmed {
				t.Fatalf("planned %+v, %v; want one key to create", planned, err)
			}
			done, err := r.Apply(t.Context(), planned)
			if err != nil || done.Counts[replay.Created] != 1 {
				t.Fatalf("done %+v, %v", done, err)
			}
			answer, err := client.Get(t.Context(), "/registry/configmaps/", clientv3.WithPrefix())
			if err != nil || len(answer.Kvs) != 20 {
				t.Fatalf("%d ConfigMaps, %v; want 20", len(answer.Kvs), err)
			}
			for _, kv := range answer.Kvs {
				if string(kv.Key) == lost && string(kv.Value) != was {
					t.Errorf("%s is %s, want what it was", kv.Key, kv.Value)
				}
				if string(kv.Key) == other && string(kv.Value) == was {
					t.Errorf("%s was restored too", kv.Key)
				}
			}

			r.At = etcdwalk.Moment(before + 1_000_000)
			if _, err := r.Plan(t.Context()); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("from the future: %v, want %v", err, fs.ErrNotExist)
			}
			if _, err := client.Compact(t.Context(), revisionOf(t, client)); err != nil {
				t.Fatal(err)
			}
			r.At = etcdwalk.Moment(before)
			if _, err := r.Plan(t.Context()); !errors.Is(err, etcdwalk.ErrCompacted) {
				t.Errorf("from what was compacted away: %v, want %v", err, etcdwalk.ErrCompacted)
			}
		})
	}
}

func revisionOf(t *testing.T, client *clientv3.Client) int64 {
	t.Helper()
	answer, err := client.Get(t.Context(), "x", clientv3.WithCountOnly())
	if err != nil {
		t.Fatal(err)
	}
	return answer.Header.Revision
}
