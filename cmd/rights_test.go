package cmd

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// TestRightsForANamespace: what the README says that a role needs for a restore of -n NS is
// enough, and all of it is needed.
func TestRightsForANamespace(t *testing.T) {
	t.Parallel()
	keys, server, _ := startLiving(t)
	client, ctx := server.Client(t), context.Background()
	done := func(_ any, err error) { t.Helper(); check(t, err) }
	archive := keys.backUp(t, server.Endpoint, t.TempDir())
	done(client.Delete(ctx, "/registry/namespaces/shop"))
	for _, kind := range []string{"configmaps", "deployments", "replicasets", "serviceaccounts"} {
		done(client.Delete(ctx, "/registry/"+kind+"/shop/", clientv3.WithPrefix()))
	}
	before := holdings(t, client, 0)
	done(client.UserAdd(ctx, "root", "toor"))
	done(client.UserGrantRole(ctx, "root", "root"))
	done(client.RoleAdd(ctx, "restores"))
	done(client.UserAdd(ctx, "restorer", "hunter2"))
	done(client.UserGrantRole(ctx, "restorer", "restores"))
	done(client.AuthEnable(ctx))
	root := etcdproc.NewClient(t, clientv3.Config{Endpoints: []string{server.Endpoint}, Username: "root", Password: "toor"})
	grant := func(key, end string, what clientv3.PermissionType) {
		t.Helper()
		done(root.RoleGrantPermission(ctx, "restores", key, end, what))
	}
	password := filepath.Join(t.TempDir(), "password")
	check(t, os.WriteFile(password, []byte("hunter2"), 0o600))
	args := []string{"restore", "-n", "shop", "--prefix", "/registry/", "--endpoints", server.Endpoint, "--from", archive, "-i", keys.identity, "--user", "restorer", "--password-file", password, "--yes"}

	must(t, exitDenied, args...).says(t, `read "/registry/" --prefix=true`)
	grant("/registry/", "/registry0", clientv3.PermissionType(clientv3.PermRead))
	kinds := []string{"configmaps", "deployments", "replicasets", "serviceaccounts"}
	for _, kind := range kinds {
		must(t, exitDenied, args...).says(t, "nothing was written: try whether key")
		grant("/registry/"+kind+"/shop/", "/registry/"+kind+"/shop0", clientv3.PermissionType(clientv3.PermReadWrite))
	}
	must(t, exitDenied, args...).says(t, "nothing was written: try whether key", "/registry/namespaces/shop")
	if after := holdings(t, root, 0); len(after) != len(before) {
		t.Errorf("%d keys are there, where %d were", len(after), len(before))
	}
	grant("/registry/namespaces/shop", "", clientv3.PermissionType(clientv3.PermReadWrite))
	must(t, exitDone, args...)
	if after := holdings(t, root, 0); len(after) != len(living) {
		t.Errorf("%d keys are there, want %d", len(after), len(living))
	}
}
