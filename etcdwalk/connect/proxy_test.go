package connect

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A proxy answers CONNECT as it is told, and counts.
type proxy struct {
	url    string
	asked  atomic.Int64
	target string
	status int // 0: a tunnel; less than 0: no answer
	auth   string
}

// newProxy serves tunnels to target.
func newProxy(t *testing.T, target string, status int, auth string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	p := &proxy{url: "http://" + listener.Addr().String(), target: target, status: status, auth: auth}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			go p.serve(conn)
		}
	}()
	return p
}

func (p *proxy) serve(conn net.Conn) {
	p.asked.Add(1)
	if p.status < 0 {
		return
	}
	reader := bufio.NewReader(conn)
	request, err := http.ReadRequest(reader)
	if err != nil || request.Method != http.MethodConnect {
		conn.Close()
		return
	}
	if p.auth != "" && request.Header.Get("Proxy-Authorization") != p.auth {
		_, _ = fmt.Fprint(conn, "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
		return
	}
	if p.status != 0 {
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d No\r\n\r\n", p.status)
		return
	}
	up, err := net.Dial("tcp", p.target)
	if err != nil {
		conn.Close()
		return
	}
	// In one write with what the server says first, as it happens on a fast network.
	go func() { _, _ = io.Copy(up, reader) }()
	greeting := make([]byte, 1024)
	n, _ := up.Read(greeting)
	_, _ = conn.Write(append([]byte("HTTP/1.1 200 OK\r\n\r\n"), greeting[:n]...))
	_, _ = io.Copy(conn, up)
}

// greeter is a server that speaks first.
func greeter(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = fmt.Fprint(conn, "hello")
			t.Cleanup(func() { conn.Close() })
		}
	}()
	return listener.Addr().String()
}

func TestDialGoesThroughTheProxy(t *testing.T) {
	target := greeter(t)
	auth := "Basic " + base64.StdEncoding.EncodeToString([]byte("me:secret"))
	for name, c := range map[string]struct {
		proxy   *proxy
		user    string
		noProxy string
		host    string
		want    string // in the error; empty: connects
		asked   int64
	}{
		"a tunnel":             {newProxy(t, target, 0, ""), "", "", "etcd.example:2379", "", 1},
		"with a password":      {newProxy(t, target, 0, auth), "me:secret@", "", "etcd.example:2379", "", 1},
		"without the password": {newProxy(t, target, 0, auth), "", "", "etcd.example:2379", "HTTP status 407", 1},
		"a refusal":            {newProxy(t, target, 403, ""), "", "", "etcd.example:2379", "HTTP status 403", 1},
		"no answer":            {newProxy(t, target, -1, ""), "me:secret@", "", "etcd.example:2379", "it does not answer", 1},
		"this machine":         {newProxy(t, target, 403, ""), "", "", target, "", 0},
		"this machine by name": {newProxy(t, target, 403, ""), "", "", strings.Replace(target, "127.0.0.1", "localhost", 1), "", 0},
		"NO_PROXY":             {newProxy(t, target, 403, ""), "", "etcd.invalid", "etcd.invalid:2379", "lookup", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("HTTPS_PROXY", strings.Replace(c.proxy.url, "//", "//"+c.user, 1))
			t.Setenv("NO_PROXY", c.noProxy)
			cfg := Config{Endpoints: []string{"http://" + c.host}, InsecureTransport: true, DialTimeout: time.Second}.WithDefaults()
			endpoints, err := cfg.Parse()
			if err != nil {
				t.Fatal(err)
			}
			ctx, done := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer done()
			conn, err := cfg.Dial(ctx, endpoints[0])
			if got := c.proxy.asked.Load(); got != c.asked {
				t.Errorf("the proxy was asked %d times, want %d", got, c.asked)
			}
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				hello := make([]byte, 5)
				if _, err := io.ReadFull(conn, hello); err != nil || string(hello) != "hello" {
					t.Errorf("got %q, %v", hello, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v, want it to say %q", err, c.want)
			}
			if c.asked > 0 && !strings.Contains(err.Error(), c.proxy.url+" (HTTPS_PROXY)") {
				t.Errorf("got %v, which does not name the proxy %s", err, c.proxy.url)
			}
		})
	}
}

func TestProxiesThatCannotBeUsed(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "socks5://127.0.0.1:1")
	cfg := Config{Endpoints: []string{"https://etcd.example:2379"}}.WithDefaults()
	endpoints, err := cfg.Parse()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cfg.Dial(t.Context(), endpoints[0]); err == nil || !strings.Contains(err.Error(), "socks5") {
		t.Errorf("got %v", err)
	}
	t.Setenv("HTTPS_PROXY", "http://me:hunter2@%zz")
	if _, err := cfg.Dial(t.Context(), endpoints[0]); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

func TestIPv6Zones(t *testing.T) {
	for _, text := range []string{"http://[fe80::1%eth0]:2379", "https://[fe80::1%25eth0]:2379", "[fe80::1%1]:2379"} {
		if _, err := (Config{Endpoints: []string{text}, InsecureTransport: true}).Parse(); err == nil || !strings.Contains(err.Error(), "IPv6 zone") {
			t.Errorf("%s: got %v", text, err)
		}
	}
	for _, text := range []string{"https://root:s%40cret@10.0.0.1:2379", "https://root:s%40cret@[fe80::1%1]:2379"} {
		if _, err := (Config{Endpoints: []string{text}}).Parse(); err == nil || strings.Contains(err.Error(), "cret") {
			t.Errorf("%s: got %v", text, err)
		}
	}
}
