package etcd3_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// TestSuites runs what every driver must pass against real servers.
func TestSuites(t *testing.T) {
	for _, version := range etcdproc.Versions() {
		t.Run("etcd "+version, func(t *testing.T) {
			server := etcdproc.Start(t, etcdproc.Options{Version: version})
			client := server.Client(t)
			cfg := connect.Config{Endpoints: []string{server.Endpoint}}
			open := func(t *testing.T, entries []etcdwalk.Entry) etcdwalk.View {
				wipe(t, client)
				load(t, client, entries)
				return pin(t, cfg)
			}
			t.Run("view", func(t *testing.T) { walktest.Views(t, walktest.Traits{}, open) })
			t.Run("pinned view", func(t *testing.T) {
				walktest.Pinned(t, open, func(t *testing.T, key, value []byte) {
					if _, err := client.Put(t.Context(), string(key), string(value)); err != nil {
						t.Fatal(err)
					}
				})
			})
			t.Run("source", func(t *testing.T) {
				walktest.Sources(t, walktest.Traits{}, true, func(t *testing.T, entries []etcdwalk.Entry) (etcdwalk.Source, func(*testing.T, []byte, []byte)) {
					wipe(t, client)
					load(t, client, entries)
					return dial(t, cfg), func(t *testing.T, key, value []byte) {
						if _, err := client.Put(t.Context(), string(key), string(value)); err != nil {
							t.Fatal(err)
						}
					}
				})
			})
			t.Run("target", func(t *testing.T) {
				walktest.Targets(t, walktest.Traits{}, func(t *testing.T) (etcdwalk.Target, func() []etcdwalk.Entry) {
					wipe(t, client)
					read := func() []etcdwalk.Entry { return contents(t, client, 0) }
					return dial(t, cfg).Target(), read
				})
			})
		})
	}
}

// TestWalkChoosesItsPath looks at the log: streams where the server has them.
func TestWalkChoosesItsPath(t *testing.T) {
	for version, says := range map[string]string{
		etcdproc.V35: "read in pages",
		etcdproc.V36: "read in pages",
		etcdproc.V37: "read as a stream",
	} {
		t.Run("etcd "+version, func(t *testing.T) {
			server := etcdproc.Start(t, etcdproc.Options{Version: version})
			client := server.Client(t)
			load(t, client, generate(3000, 2000))
			if _, err := client.Put(t.Context(), "/registry/pods/again", "a second time"); err != nil {
				t.Fatal(err)
			}
			var journal journal
			v := pin(t, connect.Config{Endpoints: []string{server.Endpoint}, Log: journal.log()})
			wantWhole(t, v, client, nil)
			journal.want(t, says)
			if info := v.Info(); info.API != etcdwalk.V3 || info.ClusterID == 0 || info.Revision < 24 ||
				len(info.ServerVersion) < 3 || info.ServerVersion[:3] != version {
				t.Errorf("got info %+v", info)
			}
		})
	}
}

// TestManyNamespaces walks what neither one page nor one namespace holds, with
// and without places to cut at, and uses each page while the next one comes.
func TestManyNamespaces(t *testing.T) {
	var entries []etcdwalk.Entry
	for i := range 9000 {
		key := fmt.Sprintf("/registry/pods/team-%02d/web-%05d", i%30*i%7, i)
		entries = append(entries, etcdwalk.Entry{Key: []byte(key), Value: bytes.Repeat([]byte{byte(i)}, 800)})
	}
	splits := etcdwalk.Splits{Kinds: [][]byte{[]byte("/registry/pods/"), []byte("/registry/pods0")}}
	for i := range 30 {
		splits.Namespaces = append(splits.Namespaces, fmt.Appendf(nil, "team-%02d/", i))
	}
	for _, version := range etcdproc.Versions() {
		t.Run("etcd "+version, func(t *testing.T) {
			server, client := served(t, version, entries)
			want := contents(t, client, 0)
			for _, splits := range []etcdwalk.Splits{{}, splits} {
				v := pin(t, connect.Config{Endpoints: []string{server.Endpoint}})
				sel := etcdwalk.Selection{Ranges: etcdwalk.Ranges{etcdwalk.Prefix("/registry/")}, Splits: splits}
				if n, err := v.Count(t.Context(), sel); err != nil || n != int64(len(want)) {
					t.Fatalf("counted %d keys, %v, want %d", n, err, len(want))
				}
				var got []etcdwalk.Entry
				for e, err := range v.Walk(t.Context(), sel) {
					if err != nil {
						t.Fatal(err)
					}
					if record, err := etcdwalk.ParseRecord(e.Record); err != nil || !bytes.Equal(record.Value, e.Value) {
						t.Fatalf("key %q: its record is another's, %v", e.Key, err)
					}
					if got = append(got, e.Clone()); len(got)%500 == 0 {
						time.Sleep(5 * time.Millisecond) // so that the next page is there
					}
				}
				if diff := walktest.Diff(got, want); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

// TestLeases: E32.
func TestLeases(t *testing.T) {
	server, client := served(t, etcdproc.V36, generate(1, 1))
	granted := make([]int64, 3)
	for i := range granted {
		lease, err := client.Grant(t.Context(), 500)
		if err != nil {
			t.Fatal(err)
		}
		granted[i] = int64(lease.ID)
	}
	if _, err := client.Revoke(t.Context(), clientv3.LeaseID(granted[0])); err != nil {
		t.Fatal(err)
	}
	r := newRelay(t, server.Endpoint)
	r.asked = func(_ context.Context, method string, n int) error {
		// Servers until 3.7 tell the TTL to every user; a proxy might not.
		if method == "LeaseTimeToLive" && n == 2 {
			return rpctypes.ErrGRPCPermissionDenied
		}
		return nil
	}
	v := pin(t, connect.Config{Endpoints: []string{r.endpoint}})
	var got []etcdwalk.Lease
	for _, id := range granted { // one by one, so that the second is the one denied
		leases, err := v.Leases(t.Context(), []int64{id})
		if err != nil || len(leases) != 1 {
			t.Fatalf("got %v, %v", leases, err)
		}
		got = append(got, leases...)
	}
	r.asked = nil
	if together, err := v.Leases(t.Context(), granted); err != nil || together[0] != got[0] || together[2].ID != granted[2] {
		t.Errorf("asked together: got %v, %v", together, err)
	}
	if got[0] != (etcdwalk.Lease{ID: granted[0], State: etcdwalk.LeaseExpired}) {
		t.Errorf("the revoked lease: got %+v", got[0])
	}
	if got[1] != (etcdwalk.Lease{ID: granted[1], State: etcdwalk.LeaseUnknown}) {
		t.Errorf("the lease that is denied: got %+v", got[1])
	}
	if live := got[2]; live.ID != granted[2] || live.State != etcdwalk.LeaseLive || live.Granted != 500 || live.Remaining < 400 {
		t.Errorf("the live lease: got %+v", live)
	}
}
