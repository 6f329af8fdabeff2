package cmd

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/tests/v3/framework/integration"
)

// startThree runs a cluster of three members in this process.
func startThree(t *testing.T) *integration.Cluster {
	t.Helper()
	t.Chdir(t.TempDir()) // the framework changes the folder; this puts it back in the end
	integration.BeforeTestExternal(t)
	cluster := integration.NewCluster(t, &integration.ClusterConfig{Size: 3, UseTCP: true})
	t.Cleanup(func() { cluster.Terminate(t) })
	return cluster
}

// meddle does something again and again, beside a command, until it is stopped.
// It counts how often that went well.
func meddle(t *testing.T, pause time.Duration, do func(n int) error) (stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done, fired := make(chan struct{}), 0
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if err := do(fired); err == nil {
				fired++
			}
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
		}
	}()
	return func() int {
		cancel()
		<-done
		return fired
	}
}

// The command line carries a keyspace out of a cluster of three and back, while
// its leader moves and while a member is away.
func TestClusterOfThree(t *testing.T) {
	keys := newPair(t)
	folder := t.TempDir()
	cluster := startThree(t)
	client := cluster.Client(0)
	fill(t, client, 3000, func(i int) (string, string) { return configMap(i, 2000) })
	want := holdings(t, client, 0)
	endpoints := strings.Join(cluster.Endpoints(), ",")

	stop := moveLeader(t, cluster)
	archive := keys.backUp(t, endpoints, folder)
	if moved := stop(); moved == 0 {
		t.Error("the leader never moved during the backup")
	}
	same(t, "the archive", contents(t, keys.open(t, archive)), want)

	if _, err := client.Delete(t.Context(), "\x00", clientv3.WithFromKey()); err != nil {
		t.Fatal(err)
	}
	report := filepath.Join(folder, "report")
	restore := []string{"restore", "--from", archive, "-i", keys.identity, "--endpoints", endpoints, "--scenario=new", "--yes", "--report"}
	stop = moveLeader(t, cluster)
	must(t, exitDone, append(restore, report)...)
	if moved := stop(); moved == 0 {
		t.Error("the leader never moved during the restore")
	}
	there := holdings(t, client, 0)
	same(t, "restored", there, want)
	created := map[string]int64{}
	for key, l := range readReport(t, report) {
		created[key] = l.Revision
	}
	checkCreated(t, created, there)

	away := (cluster.WaitLeader(t) + 1) % 3
	cluster.Members[away].Stop(t)
	archive = keys.backUp(t, endpoints, folder)
	same(t, "the archive of two members", contents(t, keys.open(t, archive)), want)
	must(t, exitDone, append(restore, report+"2")...).says(t, fmt.Sprintf("%d unchanged", len(want)))
}

// moveLeader moves the leader on and on, but leaves each the time for some writes on
// a busy machine.
func moveLeader(t *testing.T, cluster *integration.Cluster) (stop func() int) {
	t.Helper()
	return meddle(t, 200*time.Millisecond, func(n int) error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for _, m := range cluster.Members {
			if m.Server.Leader() != m.ID() {
				continue
			}
			next := cluster.Members[n%3]
			if next == m {
				next = cluster.Members[(n+1)%3]
			}
			_, err := m.Client.MoveLeader(ctx, uint64(next.ID()))
			return err
		}
		return fmt.Errorf("there is no leader")
	})
}
