package etcd3_test

import (
	"errors"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

func standings(t *testing.T, endpoints ...string) map[string]int {
	t.Helper()
	all, why, err := dial(t, connect.Config{Endpoints: endpoints}).Standings(t.Context())
	if err != nil || why != "" {
		t.Fatalf("%v; not told: %s", err, why)
	}
	got := map[string]int{}
	for _, s := range all {
		switch {
		case s.Endpoint == "" && strings.Contains(s.Problem, "no endpoint that was given leads to it (http://"):
			got["beside"]++
		case s.Problem != "":
			got["silent"]++
		case s.Member != "" && s.Name != "" && s.Version != "" && s.Size >= s.InUse && s.InUse > 0 && !s.Leaderless:
			got["serving"]++
		default:
			t.Errorf("neither serving nor silent: %+v", s)
		}
		if s.Leader {
			got["leader"]++
		}
	}
	return got
}

// TestStandings: each endpoint and each member is told of, once.
func TestStandings(t *testing.T) {
	members := etcdproc.StartCluster(t, 3, etcdproc.Options{})
	endpoints := etcdproc.Endpoints(members)
	if got := standings(t, endpoints...); got["serving"] != 3 || got["leader"] != 1 || len(got) != 2 {
		t.Errorf("of three members: %v", got)
	}
	if got := standings(t, endpoints[1]); got["serving"] != 1 || got["beside"] != 2 {
		t.Errorf("of three members, asked by one endpoint: %v", got)
	}
	members[2].Kill()
	if got := standings(t, endpoints...); got["serving"] != 2 || got["silent"] != 1 || got["beside"] != 0 {
		t.Errorf("of three members, one of which is down: %v", got)
	}
}

// TestCompacted: what no request tells, on every version.
func TestCompacted(t *testing.T) {
	for _, version := range etcdproc.Versions() {
		t.Run(version, func(t *testing.T) {
			server, client := served(t, version, generate(20, 10))
			c := dial(t, connect.Config{Endpoints: []string{server.Endpoint}})
			for _, key := range []string{"/registry/", "/registry/pods/ns-00/name-000003"} {
				if got, err := c.Compacted(t.Context(), []byte(key)); got != 0 || err != nil {
					t.Errorf("key %s: got %d, %v of a cluster that was never compacted", key, got, err)
				}
			}
			put, err := client.Put(t.Context(), "/registry/a", "b")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := client.Compact(t.Context(), put.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
				t.Fatal(err)
			}
			for _, key := range []string{"/registry/", "/registry/pods/ns-00/name-000003"} {
				if got, err := c.Compacted(t.Context(), []byte(key)); got != put.Header.Revision || err != nil {
					t.Errorf("key %s: got %d, %v, want %d", key, got, err, put.Header.Revision)
				}
			}
		})
	}
}

// TestCompactedNeedsRights: who may not read the key is told so.
func TestCompactedNeedsRights(t *testing.T) {
	server, _ := guarded(t, etcdproc.V36, generate(1, 1))
	c := dial(t, asBackup(server.Endpoint))
	if got, err := c.Compacted(t.Context(), []byte("/registry/secrets/")); !errors.Is(err, etcdwalk.ErrDenied) {
		t.Errorf("got %d, %v", got, err)
	}
	if got, err := c.Compacted(t.Context(), []byte("/registry/pods/a")); got != 0 || err != nil {
		t.Errorf("got %d, %v", got, err)
	}
	if all, _, err := c.Standings(t.Context()); err != nil || len(all) != 1 || all[0].Problem != "" {
		t.Errorf("got %+v, %v", all, err)
	}
}
