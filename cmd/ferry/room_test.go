package ferry_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd3"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// TestARestoreThatDoesNotFitIsRefused is R05: before anything is written, and on an etcd
// that does not tell its quota once somebody says it.
func TestARestoreThatDoesNotFitIsRefused(t *testing.T) {
	s := newStock(t, 1000, 30<<10, nil)
	for _, c := range []struct {
		version string
		quota   int64
		want    error
	}{{etcdproc.V36, 0, etcdwalk.ErrNoSpace}, {etcdproc.V37, 0, etcdwalk.ErrNoSpace}, {etcdproc.V35, 12_000_000, etcdwalk.ErrNoSpace}, {etcdproc.V35, 0, nil}} {
		server := etcdproc.Start(t, etcdproc.Options{Version: c.version, Flags: []string{"--quota-backend-bytes=12000000"}})
		cluster := dial(t, server)
		r := ferry.Restore{Source: walktest.NewView(s.held...), Query: query(t, kube.Filter{}), Cluster: cluster, Target: cluster.Target(), Scenario: kube.ScenarioNew, Raw: true, Quota: c.quota}
		before := revision(t, server.Client(t))
		_, err := r.Plan(t.Context())
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) || revision(t, server.Client(t)) != before {
			t.Errorf("etcd %s, --target-quota=%d: %v", c.version, c.quota, err)
		}
		if err != nil && !strings.Contains(err.Error(), "its quota leaves") {
			t.Errorf("it does not say how much: %v", err)
		}
	}
}

func revision(t *testing.T, client *clientv3.Client) int64 {
	t.Helper()
	answer, err := client.Get(t.Context(), "/")
	if err != nil {
		t.Fatal(err)
	}
	return answer.Header.Revision
}

// TestRightsAreTriedBeforeTheFirstWrite is R12: who may read all and write a part is refused
// before anything is written; the part alone is restored.
func TestRightsAreTriedBeforeTheFirstWrite(t *testing.T) {
	for _, version := range etcdproc.Versions() {
		server := etcdproc.Start(t, etcdproc.Options{Version: version})
		root := server.Client(t)
		must := func(_ any, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		ctx := context.Background()
		must(root.RoleAdd(ctx, "operator"))
		must(root.RoleGrantPermission(ctx, "operator", "\x00", "\x00", clientv3.PermissionType(clientv3.PermRead)))
		must(root.RoleGrantPermission(ctx, "operator", "/registry/configmaps/", clientv3.GetPrefixRangeEnd("/registry/configmaps/"), clientv3.PermissionType(clientv3.PermReadWrite)))
		must(root.UserAdd(ctx, "operator", "pass"))
		must(root.UserGrantRole(ctx, "operator", "operator"))
		must(root.UserAdd(ctx, "root", "pass"))
		must(root.UserGrantRole(ctx, "root", "root"))
		must(root.AuthEnable(ctx))
		cluster, err := etcd3.Dial(ctx, connect.Config{Endpoints: etcdproc.Endpoints([]*etcdproc.Server{server}), Username: "operator", Password: func() string { return "pass" }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cluster.Close)
		archive := walktest.NewView(objects(3)...)
		plan := func(f kube.Filter) error {
			_, err := ferry.Restore{Source: archive, Query: query(t, f), Cluster: cluster, Target: cluster.Target(), Scenario: kube.ScenarioNew, Raw: true}.Plan(ctx)
			return err
		}
		if err := plan(kube.Filter{}); !errors.Is(err, etcdwalk.ErrDenied) || !strings.Contains(err.Error(), "/registry/namespaces/kube-system") {
			t.Errorf("etcd %s: everything: %v", version, err)
		}
		if err := plan(kube.Filter{Include: []string{"cm"}}); err != nil {
			t.Errorf("etcd %s: the part that may be written: %v", version, err)
		}
	}
}
