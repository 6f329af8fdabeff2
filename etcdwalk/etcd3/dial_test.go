package etcd3_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd3"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// wantDialError dials and wants an error of this kind that holds all texts, in
// one line and in less than five seconds.
func wantDialError(t *testing.T, cfg connect.Config, kind error, texts ...string) {
	t.Helper()
	within(t, 5*time.Second, func() {
		c, err := etcd3.Dial(t.Context(), cfg)
		if err == nil {
			c.Close()
			t.Fatal("it connects")
		}
		if kind != nil && !errors.Is(err, kind) {
			t.Errorf("got %v, want %v", err, kind)
		}
		for _, text := range texts {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("got %q, want it to say %q", err, text)
			}
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("got %q, want one line", err)
		}
	})
}

// TestTLS: E19.
func TestTLS(t *testing.T) {
	ca, otherCA := etcdproc.NewCA(t), etcdproc.NewCA(t)
	leaf := ca.Issue(t, "server", nil)
	server := etcdproc.Start(t, etcdproc.Options{TLS: &etcdproc.TLS{Cert: leaf.Cert, Key: leaf.Key, ClientCA: ca.File}})
	good := ca.Issue(t, "client", nil)
	cfg := connect.Config{Endpoints: []string{server.Endpoint}, CACert: ca.File, Cert: good.Cert, Key: good.Key}

	t.Run("a good certificate connects", func(t *testing.T) { pin(t, cfg) })
	t.Run("an endpoint without scheme is TLS if certificates are given", func(t *testing.T) {
		plain := cfg
		plain.Endpoints = []string{strings.TrimPrefix(server.Endpoint, "https://")}
		pin(t, plain)
	})
	t.Run("the server's certificate is of an unknown CA", func(t *testing.T) {
		bad := cfg
		bad.CACert = otherCA.File
		wantDialError(t, bad, etcdwalk.ErrUnavailable, server.Endpoint, "not signed by", otherCA.File)
	})
	t.Run("the server's certificate is of no CA that the system knows", func(t *testing.T) {
		bad := cfg
		bad.CACert = ""
		wantDialError(t, bad, etcdwalk.ErrUnavailable, server.Endpoint, "this system knows")
	})
	t.Run("skipping the verification connects", func(t *testing.T) {
		lax := cfg
		lax.CACert, lax.InsecureSkipTLSVerify = "", true
		pin(t, lax)
	})
	t.Run("the server's certificate is for another host", func(t *testing.T) {
		bad := cfg
		bad.ServerName = "etcd.example.com"
		wantDialError(t, bad, etcdwalk.ErrUnavailable, "another host", "etcd.example.com")
	})
	t.Run("the server's certificate is verified for the name given", func(t *testing.T) {
		named := cfg
		named.ServerName = "localhost"
		pin(t, named)
	})
	t.Run("the client certificate is missing", func(t *testing.T) {
		bad := cfg
		bad.Cert, bad.Key = "", ""
		wantDialError(t, bad, etcdwalk.ErrDenied, server.Endpoint, "wants a client certificate")
	})
	t.Run("the client certificate is expired", func(t *testing.T) {
		old := ca.Issue(t, "old", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
		bad := cfg
		bad.Cert, bad.Key = old.Cert, old.Key
		wantDialError(t, bad, etcdwalk.ErrDenied, server.Endpoint, old.Cert, "expired on")
	})
	t.Run("the client certificate is of another CA", func(t *testing.T) {
		foreign := otherCA.Issue(t, "foreign", nil)
		bad := cfg
		bad.Cert, bad.Key = foreign.Cert, foreign.Key
		wantDialError(t, bad, etcdwalk.ErrDenied, server.Endpoint, "refuses the client certificate", foreign.Cert)
	})
	t.Run("the key does not fit", func(t *testing.T) {
		bad := cfg
		bad.Key = leaf.Key
		wantDialError(t, bad, nil, good.Cert, leaf.Key, "does not match")
	})
	t.Run("https to a plain port", func(t *testing.T) {
		plain := etcdproc.Start(t, etcdproc.Options{})
		bad := cfg
		bad.Endpoints = []string{strings.Replace(plain.Endpoint, "http", "https", 1)}
		wantDialError(t, bad, etcdwalk.ErrUnavailable, "does not speak TLS", "http://")
	})
	t.Run("http to a TLS port", func(t *testing.T) {
		bad := connect.Config{Endpoints: []string{strings.Replace(server.Endpoint, "https", "http", 1)}}
		wantDialError(t, bad, etcdwalk.ErrUnavailable, "speaks TLS", server.Endpoint)
	})
}

// TestServerTLS: E19, the server's side.
func TestServerTLS(t *testing.T) {
	ca := etcdproc.NewCA(t)
	t.Run("the server's certificate is expired", func(t *testing.T) {
		old := ca.Issue(t, "old-server", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
		server := etcdproc.Start(t, etcdproc.Options{TLS: &etcdproc.TLS{Cert: old.Cert, Key: old.Key}})
		wantDialError(t, connect.Config{Endpoints: []string{server.Endpoint}, CACert: ca.File},
			etcdwalk.ErrUnavailable, server.Endpoint, "expired")
	})
	t.Run("the server speaks TLS 1.1 at most", func(t *testing.T) {
		leaf := ca.Issue(t, "ancient", nil)
		pair, err := tls.LoadX509KeyPair(leaf.Cert, leaf.Key)
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewUnstartedServer(http.NotFoundHandler())
		server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.StartTLS()
		t.Cleanup(server.Close)
		wantDialError(t, connect.Config{Endpoints: []string{server.URL}, CACert: ca.File},
			etcdwalk.ErrUnavailable, server.URL, "no TLS version from 1.2 on")
	})
}

// TestNotEtcd: E21, E28.
func TestNotEtcd(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // connects, and answers nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	answering := func(status int, contentType, body string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			if _, err := io.WriteString(w, body); err != nil {
				t.Error(err)
			}
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	for name, tt := range map[string]struct{ endpoint, want string }{
		"nobody listens":       {"http://127.0.0.1:1", "connection refused"},
		"no such host":         {"https://no-such-host.invalid:2379", "no such host"},
		"a black hole":         {"http://" + silent.Addr().String(), "no answer within"},
		"a black hole, TLS":    {"https://" + silent.Addr().String(), "no answer within"},
		"a web server":         {answering(404, "text/plain", "not found"), "HTTP status 404"},
		"a web page":           {answering(200, "text/html", "<html>"), "text/html"},
		"an etcd of version 2": {answering(200, "application/json", `{"etcdserver":"2.3.8","etcdcluster":"2.3.0"}`), "version 2.3.8"},
		"no such socket":       {"unix:///no/such/socket", "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := connect.Config{Endpoints: []string{tt.endpoint}, DialTimeout: 500 * time.Millisecond}
			wantDialError(t, cfg, etcdwalk.ErrUnavailable, tt.endpoint, tt.want)
		})
	}
	t.Run("over IPv6 too", func(t *testing.T) {
		listener, err := net.Listen("tcp", "[::1]:0")
		if err != nil {
			t.Skip("no IPv6 here:", err)
		}
		server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.NotFoundHandler()}}
		server.Start()
		t.Cleanup(server.Close)
		wantDialError(t, connect.Config{Endpoints: []string{server.URL}}, etcdwalk.ErrUnavailable, server.URL, "HTTP status 404")
	})
	t.Run("every endpoint is named with its reason", func(t *testing.T) {
		other := answering(404, "text/plain", "")
		wantDialError(t, connect.Config{Endpoints: []string{"127.0.0.1:1", other}},
			etcdwalk.ErrUnavailable, "127.0.0.1:1: ", "connection refused", other, "HTTP status 404")
	})
	t.Run("one good endpoint is enough", func(t *testing.T) {
		server, client := served(t, etcdproc.V36, generate(300, 1000))
		wantWhole(t, pin(t, connect.Config{Endpoints: []string{"127.0.0.1:1", server.Endpoint}}), client, nil)
	})
	t.Run("a cancelled context ends dialling", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := etcd3.Dial(ctx, connect.Config{Endpoints: []string{"127.0.0.1:1"}}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
	})
}

// TestPaused: E21, a black hole after the connection was made.
func TestPaused(t *testing.T) {
	server, _ := served(t, etcdproc.V36, generate(3000, 2000))
	v := pin(t, connect.Config{Endpoints: []string{server.Endpoint}, CommandTimeout: 300 * time.Millisecond, RetryBudget: time.Second})
	within(t, 5*time.Second, func() {
		_, err := walk(t.Context(), v, func(n int) {
			if n == 10 {
				server.Pause()
			}
		})
		server.Continue()
		if !errors.Is(err, etcdwalk.ErrUnavailable) || !strings.Contains(err.Error(), "no answer within") {
			t.Errorf("got %v, want %v", err, etcdwalk.ErrUnavailable)
		}
	})
}

func TestConfigIsRefused(t *testing.T) {
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk.pem")
	if err := os.WriteFile(junk, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing.pem")
	local := []string{"https://127.0.0.1:1"}
	for name, tt := range map[string]struct {
		cfg  connect.Config
		kind error
		want string
	}{
		"without endpoints":                  {connect.Config{}, nil, "no etcd endpoint"},
		"with plain text to another machine": {connect.Config{Endpoints: []string{"http://192.0.2.1:2379"}}, connect.ErrInsecureTransport, "192.0.2.1"},
		"with no scheme to another machine":  {connect.Config{Endpoints: []string{"etcd.example.com:2379"}}, connect.ErrInsecureTransport, "etcd.example.com"},
		"with one plain endpoint of two":     {connect.Config{Endpoints: []string{"https://127.0.0.1:1", "http://127.0.0.1:2"}}, nil, "do not mix"},
		"with an unknown scheme":             {connect.Config{Endpoints: []string{"ftp://127.0.0.1:1"}}, nil, "unknown scheme"},
		"with an endpoint without a port":    {connect.Config{Endpoints: []string{"127.0.0.1"}}, nil, "host and port"},
		"with a path":                        {connect.Config{Endpoints: []string{"http://127.0.0.1:1/v2"}}, nil, "not of the form"},
		"with a missing CA":                  {connect.Config{Endpoints: local, CACert: missing}, os.ErrNotExist, missing},
		"with a CA that is none":             {connect.Config{Endpoints: local, CACert: junk}, nil, junk},
		"with a missing certificate":         {connect.Config{Endpoints: local, Cert: missing, Key: junk}, os.ErrNotExist, missing},
		"with a missing key":                 {connect.Config{Endpoints: local, Cert: junk, Key: missing}, os.ErrNotExist, missing},
		"with a certificate that is none":    {connect.Config{Endpoints: local, Cert: junk, Key: junk}, nil, junk},
		"with a certificate without a key":   {connect.Config{Endpoints: local, Cert: junk}, nil, "go together"},
		"with a user without a password":     {connect.Config{Endpoints: local, Username: "backup"}, nil, "needs a password"},
	} {
		t.Run(name, func(t *testing.T) {
			wantDialError(t, tt.cfg, tt.kind, tt.want)
			if !errors.Is(tt.kind, connect.ErrInsecureTransport) {
				wantDialError(t, tt.cfg, connect.ErrConfig, tt.want)
			}
		})
	}
	t.Run("and an endpoint with a password is not shown", func(t *testing.T) {
		for _, scheme := range []string{"http", "htps", "", "root:hunter2"} {
			_, err := etcd3.Dial(t.Context(), connect.Config{Endpoints: []string{scheme + "://root:hunter2@127.0.0.1:1"}})
			if err == nil || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("scheme %s: got %v", scheme, err)
			}
		}
	})
	t.Run("and printing a configuration does not show the password", func(t *testing.T) {
		cfg := connect.Config{Username: "backup", Password: func() string { return "hunter2" }}
		if s := fmt.Sprintf("%v %+v %#v", cfg, cfg, cfg); strings.Contains(s, "hunter2") {
			t.Errorf("got %s", s)
		}
	})
}

func TestPlainTextOnRequest(t *testing.T) {
	// Nobody is there, but nothing is refused either.
	wantDialError(t, connect.Config{Endpoints: []string{"http://no-such-host.invalid:2379"}, InsecureTransport: true},
		etcdwalk.ErrUnavailable, "no such host")
}

func TestUnixSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "etcd.sock")
	// etcd takes the part behind the colon for a port.
	etcdproc.Start(t, etcdproc.Options{Flags: []string{"--listen-client-urls=unix://" + socket + ":0"}})
	client := etcdproc.NewClient(t, clientConfig("unix://"+socket+":0"))
	load(t, client, generate(200, 100))
	wantWhole(t, pin(t, connect.Config{Endpoints: []string{"unix://" + socket + ":0"}}), client, nil)
}

// A token that has run out before its first use is fetched anew, and an endpoint that
// speaks gRPC only is no stranger: what it said is told.
func TestTheFirstAnswerOfAnEndpoint(t *testing.T) {
	server, _ := served(t, etcdproc.V36, generate(10, 10))
	dialThrough := func(fault error, times int) (*etcd3.Cluster, *relay, error) {
		r := newRelay(t, server.Endpoint)
		r.asked = func(_ context.Context, method string, n int) error {
			if method == "Status" && n <= times {
				return fault
			}
			return nil
		}
		c, err := etcd3.Dial(t.Context(), connect.Config{Endpoints: []string{r.endpoint}})
		return c, r, err
	}
	c, r, err := dialThrough(rpctypes.ErrGRPCInvalidAuthToken, 1)
	if err != nil || r.count("Status") != 2 {
		t.Fatalf("with a token that has run out: %v, after %d requests", err, r.count("Status"))
	}
	c.Close()
	_, r, err = dialThrough(status.Error(codes.Unavailable, "etcdserver: going down"), 9)
	if !errors.Is(err, etcdwalk.ErrUnavailable) || !strings.Contains(err.Error(), "etcdserver: going down") || r.count("Status") == 0 {
		t.Errorf("with a server that speaks gRPC only: %v", err)
	}
}
