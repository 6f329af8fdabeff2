package etcd3_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd3"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// guarded starts a server with authentication, whose user "backup" may read
// the pods, and returns a client for root.
func guarded(t *testing.T, version string, entries []etcdwalk.Entry, flags ...string) (*etcdproc.Server, *clientv3.Client) {
	t.Helper()
	server, client := served(t, version, entries, append(flags, "--bcrypt-cost=4")...)
	ctx := t.Context()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	pods := etcdwalk.Prefix("/registry/pods/")
	must(client.UserAdd(ctx, "root", "toor"))
	must(client.UserGrantRole(ctx, "root", "root"))
	must(client.RoleAdd(ctx, "reader"))
	must(client.RoleGrantPermission(ctx, "reader", string(pods.Start), string(pods.End), clientv3.PermissionType(clientv3.PermRead)))
	must(client.UserAdd(ctx, "backup", "secret-of-backup"))
	must(client.UserGrantRole(ctx, "backup", "reader"))
	must(client.AuthEnable(ctx))
	return server, etcdproc.NewClient(t, clientv3.Config{Endpoints: []string{server.Endpoint}, Username: "root", Password: "toor"})
}

func asBackup(endpoint string) connect.Config {
	return connect.Config{Endpoints: []string{endpoint}, Username: "backup", Password: func() string { return "secret-of-backup" }}
}

// TestCredentials: E15.
func TestCredentials(t *testing.T) {
	server, _ := guarded(t, etcdproc.V36, generate(1, 1))
	for name, tt := range map[string]struct{ user, password, want string }{
		"a wrong password": {"backup", "wrong-secret", "refuses user"},
		"an unknown user":  {"nobody", "wrong-secret", "refuses user"},
		"no user":          {"", "", "wants a user"},
	} {
		t.Run(name+" is refused at once", func(t *testing.T) {
			r := newRelay(t, server.Endpoint)
			cfg := connect.Config{Endpoints: []string{r.endpoint}, Username: tt.user, Password: func() string { return tt.password }}
			c, err := etcd3.Dial(t.Context(), cfg)
			if err == nil { // 3.5 answers the first question to anybody
				t.Cleanup(c.Close)
				_, err = c.Pin(t.Context(), everything)
			}
			if !errors.Is(err, etcdwalk.ErrDenied) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %v", err, etcdwalk.ErrDenied)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error %q shows the password", err)
			}
			if n := r.count("Authenticate"); n > 1 || (tt.user != "" && n != 1) {
				t.Errorf("asked %d times for a token", n)
			}
		})
	}
}

// TestRightsOnPart: E16, R12.
func TestRightsOnPart(t *testing.T) {
	for _, version := range etcdproc.Versions() {
		t.Run(version, func(t *testing.T) {
			server, root := guarded(t, version, generate(300, 100))
			c := dial(t, asBackup(server.Endpoint))
			pods := etcdwalk.Prefix("/registry/pods/")

			t.Run("the range that is granted can be walked", func(t *testing.T) {
				v, err := c.Pin(t.Context(), etcdwalk.Ranges{pods})
				if err != nil {
					t.Fatal(err)
				}
				n := 0
				for _, err := range v.Walk(t.Context(), etcdwalk.Selection{Ranges: etcdwalk.Ranges{pods}}) {
					if err != nil {
						t.Fatal(err)
					}
					n++
				}
				if n != 300 {
					t.Errorf("%d keys, want 300", n)
				}
			})
			t.Run("a wider range is refused with the grant that is missing", func(t *testing.T) {
				_, err := c.Pin(t.Context(), etcdwalk.Ranges{etcdwalk.Prefix("/registry/")})
				if !errors.Is(err, etcdwalk.ErrDenied) || !strings.Contains(err.Error(), `role grant-permission ROLE read "/registry/" --prefix=true`) {
					t.Errorf("got %v", err)
				}
			})
			t.Run("a write without the right to it is denied and not made", func(t *testing.T) {
				before, err := root.Get(t.Context(), "k")
				if err != nil {
					t.Fatal(err)
				}
				for _, key := range []string{"k", "/registry/pods/new"} {
					got := c.Target().Apply(t.Context(), []etcdwalk.Write{{Key: []byte(key)}})[0]
					if got.State != etcdwalk.WriteFailed || !errors.Is(got.Err, etcdwalk.ErrDenied) || !strings.Contains(got.Err.Error(), key) {
						t.Errorf("writing %s: got %+v", key, got)
					}
				}
				after, err := root.Get(t.Context(), "k")
				if err != nil || after.Header.Revision != before.Header.Revision {
					t.Errorf("the revision went from %d to %d, %v", before.Header.Revision, after.Header.Revision, err)
				}
			})
		})
	}
}

// TestTokenExpires: E17.
func TestTokenExpires(t *testing.T) {
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"private": {Type: "EC PRIVATE KEY", Bytes: private}, "public": {Type: "PUBLIC KEY", Bytes: public}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, flags := range map[string][]string{
		"a simple token": {"--auth-token=simple", "--auth-token-ttl=1"},
		"a JWT":          {"--auth-token=jwt,pub-key=" + dir + "/public,priv-key=" + dir + "/private,sign-method=ES256,ttl=1s"},
	} {
		t.Run(name+" that expires on the way is renewed", func(t *testing.T) {
			t.Parallel()
			server, _ := guarded(t, etcdproc.V36, generate(4000, 2000), flags...)
			r := newRelay(t, server.Endpoint)
			c := dial(t, asBackup(r.endpoint))
			pods := etcdwalk.Ranges{etcdwalk.Prefix("/registry/pods/")}
			v, err := c.Pin(t.Context(), pods)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, err := range v.Walk(t.Context(), etcdwalk.Selection{Ranges: pods}) {
				if err != nil {
					t.Fatal(err)
				}
				if n++; n == 500 || n == 2500 {
					time.Sleep(2500 * time.Millisecond)
				}
			}
			if n != 4000 {
				t.Errorf("%d keys, want 4000", n)
			}
			if renewed := r.count("Authenticate") - 1; renewed < 2 {
				t.Errorf("the token was renewed %d times, want at least 2", renewed)
			}
		})
	}
}
