package embedded_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/kubeferry/kubeferry/etcdwalk/embedded"
)

func TestServerKeepsWhatItIsGiven(t *testing.T) {
	client := connect(t, start(t))
	ctx := deadline(t)
	large := strings.Repeat("v", 4<<20) // above etcd's own limit for a request

	lease, err := client.Grant(ctx, 600)
	if err != nil {
		t.Fatalf("granting a lease: %v", err)
	}
	put, err := client.Put(ctx, "/registry/configmaps/default/large", large, clientv3.WithLease(lease.ID))
	if err != nil {
		t.Fatalf("putting a large value: %v", err)
	}
	got, err := client.Get(ctx, "/registry/configmaps/default/large")
	if err != nil {
		t.Fatalf("reading it back: %v", err)
	}
	if len(got.Kvs) != 1 || string(got.Kvs[0].Value) != large {
		t.Fatalf("got %d keys, want the one that was put, with its value", len(got.Kvs))
	}
	if got, want := got.Kvs[0].Lease, int64(lease.ID); got != want {
		t.Errorf("got lease %x, want %x", got, want)
	}
	if got, want := got.Kvs[0].ModRevision, put.Header.Revision; got != want {
		t.Errorf("got revision %d, want %d", got, want)
	}
}

func TestServerStartsEmptyAndListensOnLoopback(t *testing.T) {
	server := start(t)
	got, err := connect(t, server).Get(deadline(t), "", clientv3.WithFromKey(), clientv3.WithCountOnly())
	if err != nil {
		t.Fatalf("counting the keys: %v", err)
	}
	if got.Count != 0 {
		t.Errorf("got %d keys, want none", got.Count)
	}
	host, port, err := net.SplitHostPort(address(t, server))
	if err != nil {
		t.Fatal(err)
	}
	if host != "127.0.0.1" || port == "0" {
		t.Errorf("got %s, want a port of 127.0.0.1", server.Endpoint())
	}
}

func TestTwoServersAreTwoClusters(t *testing.T) {
	first, second := clusterID(t, start(t)), clusterID(t, start(t))
	if first == second {
		t.Errorf("both have the cluster id %x", first)
	}
}

func clusterID(t *testing.T, server *embedded.Server) uint64 {
	t.Helper()
	got, err := connect(t, server).MemberList(deadline(t))
	if err != nil {
		t.Fatalf("asking for the cluster id: %v", err)
	}
	return got.Header.ClusterId
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	server := start(t)
	client := connect(t, server)
	if _, err := client.Put(deadline(t), "k", "v"); err != nil {
		t.Fatalf("putting a key: %v", err)
	}
	if err := client.Close(); err != nil {
		t.Fatalf("closing the client: %v", err)
	}
	for range 2 {
		if err := server.Close(); err != nil {
			t.Errorf("closing the server: %v", err)
		}
	}
	goleak.VerifyNone(t, before)
	port, err := net.Listen("tcp", address(t, server))
	if err != nil {
		t.Fatalf("the port is still taken: %v", err)
	}
	if err := port.Close(); err != nil {
		t.Error(err)
	}
}

// A watch that nobody ends must not keep Close waiting for ever.
func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	server := start(t)
	client := connect(t, server)
	watch := client.Watch(deadline(t), "k", clientv3.WithCreatedNotify())
	if answer := <-watch; answer.Err() != nil {
		t.Fatalf("beginning to watch: %v", answer.Err())
	}
	if err := server.Close(); err != nil {
		t.Errorf("closing the server: %v", err)
	}
}

func TestDataIsForTheOwnerOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "on", "the", "way")
	server, err := embedded.Start(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	files := 0
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s, want it closed to others", path, info.Mode())
		}
		if !d.IsDir() {
			files++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files == 0 {
		t.Error("the server wrote no file, so this test looked at nothing")
	}
}

func TestStartRefusesAFolderThatWasUsed(t *testing.T) {
	dir := t.TempDir()
	first, err := embedded.Start(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeServer(t, first) })
	second, err := embedded.Start(t.Context(), dir)
	if !errors.Is(err, fs.ErrExist) {
		t.Errorf("got error %v, want fs.ErrExist", err)
	}
	if second != nil {
		closeServer(t, second)
	}
}

func TestStartSaysWhichFolderItCannotMake(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a-file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := embedded.Start(t.Context(), filepath.Join(file, "below"))
	if err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("got error %v, want one that names %s", err, file)
	}
}

func TestStartGivesUpWithItsContext(t *testing.T) {
	before := goleak.IgnoreCurrent()
	reason := errors.New("the caller has had enough")
	for name, wait := range map[string]time.Duration{"before it begins": 0, "while etcd starts": time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			if wait == 0 {
				cancel(reason)
			} else {
				time.AfterFunc(wait, func() { cancel(reason) })
			}
			server, err := embedded.Start(ctx, t.TempDir())
			if !errors.Is(err, reason) {
				t.Errorf("got error %v, want %v", err, reason)
			}
			if server != nil {
				closeServer(t, server)
			}
		})
	}
	goleak.VerifyNone(t, before)
}

// start runs a server until the test ends.
func start(t *testing.T) *embedded.Server {
	t.Helper()
	server, err := embedded.Start(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeServer(t, server) })
	return server
}

func closeServer(t *testing.T, server *embedded.Server) {
	t.Helper()
	if err := server.Close(); err != nil {
		t.Errorf("closing the server: %v", err)
	}
}

func connect(t *testing.T, server *embedded.Server) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{server.Endpoint()}, Logger: zap.NewNop(), MaxCallSendMsgSize: 8 << 20})
	if err != nil {
		t.Fatalf("making a client: %v", err)
	}
	t.Cleanup(func() { _ = client.Close() }) // some tests have closed it
	return client
}

func address(t *testing.T, server *embedded.Server) string {
	t.Helper()
	address, ok := strings.CutPrefix(server.Endpoint(), "http://")
	if !ok {
		t.Fatalf("got endpoint %q, want plain http", server.Endpoint())
	}
	return address
}

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}
