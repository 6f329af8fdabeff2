package cmd

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// A spoiler is an endpoint beside a good one. What it has spoiled is counted.
type spoiler struct {
	endpoint string
	reason   string // that the warning about it tells
	fired    func() int64
	later    bool // it serves at first
}

// A stage is a cluster of one, and what its endpoints need.
type stage struct {
	*etcdproc.Server

	version string
	flags   []string
}

// newStage starts a server over plain text.
func newStage(t *testing.T, version string) stage {
	t.Helper()
	return stage{etcdproc.Start(t, etcdproc.Options{Version: version}), version, nil}
}

// dead is a port where nobody answers. The kernel refuses, which nobody can count.
func dead(t *testing.T, _ stage) spoiler {
	t.Helper()
	return spoiler{"http://" + etcdproc.FreeAddress(t), "connection refused", func() int64 { return 1 }, false}
}

// hole takes connections and says nothing.
func hole(t *testing.T, _ stage) spoiler {
	t.Helper()
	var taken atomic.Int64
	url := listen(t, func(conn net.Conn) {
		taken.Add(1)
		t.Cleanup(func() { conn.Close() })
	})
	return spoiler{url, "no answer within", taken.Load, false}
}

// listen hands on each connection that is made to the URL that it returns.
func listen(t *testing.T, take func(conn net.Conn)) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			take(conn)
		}
	}()
	return "http://" + listener.Addr().String()
}

// balancer is one without a backend: it answers by itself, over HTTP/2 too.
func balancer(code int) func(t *testing.T, _ stage) spoiler {
	return func(t *testing.T, _ stage) spoiler {
		t.Helper()
		var answered atomic.Int64
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			answered.Add(1)
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(code)
			_, _ = io.WriteString(w, "<html>")
		}))
		server.Config.Protocols = new(http.Protocols)
		server.Config.Protocols.SetHTTP1(true)
		server.Config.Protocols.SetUnencryptedHTTP2(true)
		server.Start()
		t.Cleanup(server.Close)
		reason := fmt.Sprintf("HTTP status %d", code)
		if code == http.StatusOK {
			reason = "text/html"
		}
		return spoiler{server.URL, reason, answered.Load, false}
	}
}

// learner is a member of the good one's cluster that does not vote.
func learner(t *testing.T, s stage) spoiler {
	t.Helper()
	server := etcdproc.StartLearner(t, s.Server, etcdproc.Options{Version: s.version})
	return spoiler{server.Endpoint, "it is a learner", func() int64 { return 1 }, false}
}

// silentAfter passes on what the good one says until it has said so many bytes, and
// from then on swallows everything, on every connection.
func silentAfter(t *testing.T, s stage) spoiler {
	t.Helper()
	var swallowed, said atomic.Int64
	url := listen(t, func(conn net.Conn) {
		up, err := net.Dial("tcp", strings.TrimPrefix(s.Endpoint, "http://"))
		if err != nil {
			conn.Close()
			return
		}
		t.Cleanup(func() { conn.Close(); up.Close() })
		pass := func(to, from net.Conn, counted bool) {
			buffer := make([]byte, 4096)
			for {
				n, err := from.Read(buffer)
				if err != nil {
					return
				}
				if said.Load() > 600 { // more than greetings and one answer
					swallowed.Add(1)
					continue
				}
				if counted {
					said.Add(int64(n))
				}
				if _, err := to.Write(buffer[:n]); err != nil {
					return
				}
			}
		}
		go pass(up, conn, false)
		go pass(conn, up, true)
	})
	return spoiler{url, "no answer within", swallowed.Load, true}
}

// strangeCertificate is a server whose certificate another CA has signed. Beside it
// the good one speaks TLS, too.
func strangeCertificate(t *testing.T, version string) (stage, spoiler) {
	t.Helper()
	ca, other := etcdproc.NewCA(t), etcdproc.NewCA(t)
	leaf, strange := ca.Issue(t, "server", nil), other.Issue(t, "server", nil)
	good := etcdproc.Start(t, etcdproc.Options{Version: version, TLS: &etcdproc.TLS{Cert: leaf.Cert, Key: leaf.Key}})
	pair, err := tls.LoadX509KeyPair(strange.Cert, strange.Key)
	check(t, err)
	var greeted atomic.Int64
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		greeted.Add(1)
		return &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}}, nil
	}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return stage{good, version, []string{"--cacert", ca.File}}, spoiler{server.URL, "not signed by", greeted.Load, false}
}

// E26: one bad endpoint does not spoil a good one, whichever comes first, and is
// named with its reason.
func TestABadEndpointBesideAGoodOne(t *testing.T) {
	keys, source := newPair(t), etcdproc.Start(t, etcdproc.Options{})
	namespace(t, source, withUID("11111111-2222-3333-4444-555555555555"))
	fill(t, source.Client(t), 400, func(i int) (string, string) { return configMap(i, 2000) })
	archive := keys.backUp(t, source.Endpoint, t.TempDir())
	bad := map[string]func(*testing.T, stage) spoiler{
		"learner": learner, "dead": dead, "black hole": hole, "silent after the first answer": silentAfter,
		"balancer 200": balancer(200), "balancer 401": balancer(401), "balancer 403": balancer(403), "balancer 404": balancer(404), "balancer 503": balancer(503),
		"strange certificate": nil,
	}
	for _, version := range etcdproc.Versions() {
		for name, make := range bad {
			t.Run(version+" "+name, func(t *testing.T) {
				t.Parallel()
				for _, first := range []bool{true, false} {
					var s stage
					var b spoiler
					if make == nil {
						s, b = strangeCertificate(t, version)
					} else {
						s = newStage(t, version)
						b = make(t, s)
					}
					s.meet(t, keys, archive, b, first)
				}
			})
		}
	}
}

// meet restores and backs up through two endpoints, of which one is bad.
func (s stage) meet(t *testing.T, keys pair, archive string, b spoiler, first bool) {
	t.Helper()
	endpoints := []string{s.Endpoint, b.endpoint}
	if first {
		slices.Reverse(endpoints)
	}
	through := append([]string{"--endpoints", strings.Join(endpoints, ","), "--command-timeout=1s"}, s.flags...)
	folder := t.TempDir()
	for _, command := range [][]string{
		{"restore", "--from", archive, "-i", keys.identity, "--scenario=new", "--max-in-flight=4", "--yes"},
		{"backup", "--to", filepath.Join(folder, "again.zip.age"), "-r", keys.recipient},
	} {
		begun := time.Now()
		r := must(t, exitDone, append(command, through...)...)
		if took := time.Since(begun); took > 6*time.Second {
			t.Errorf("bad first %t: %s took %s", first, command[0], took)
		}
		if strings.Contains(r.stderr, s.Endpoint+" is left out") {
			t.Errorf("bad first %t: %s: the good one is blamed\n%s", first, command[0], r.stderr)
		}
		// Who falls silent later is not noticed by who never asks him again.
		warned := strings.Count(r.stderr, "warning: endpoint "+b.endpoint+" is left out: ") == 1 && strings.Contains(r.stderr, b.reason)
		if !warned && (first || !b.later) {
			t.Errorf("bad first %t: %s does not warn of %s once, with %q\n%s", first, command[0], b.endpoint, b.reason, r.stderr)
		}
	}
	if b.fired() == 0 && (first || !b.later) {
		t.Error("nothing was spoiled")
	}
	same := must(t, exitDone, append([]string{"restore", "--from", filepath.Join(folder, "again.zip.age"), "-i", keys.identity, "--dry-run", "--endpoints", s.Endpoint}, s.flags...)...)
	same.says(t, "Plan:   404 unchanged;")
}

// E28: endpoints of two clusters are refused, whichever comes first, and nothing is
// read or written.
func TestEndpointsOfTwoClusters(t *testing.T) {
	for _, version := range etcdproc.Versions() {
		one, other := newStage(t, version), newStage(t, version)
		namespace(t, one.Server, withUID("11111111-2222-3333-4444-555555555555"))
		keys, before := newPair(t), holdings(t, other.Client(t), 0)
		archive := keys.backUp(t, one.Endpoint, t.TempDir())
		for _, endpoints := range []string{one.Endpoint + "," + other.Endpoint, other.Endpoint + "," + one.Endpoint} {
			for _, command := range [][]string{
				{"backup", "--to", filepath.Join(t.TempDir(), "a.zip.age"), "-r", keys.recipient},
				{"restore", "--from", archive, "-i", keys.identity, "--scenario=new", "--yes"},
			} {
				must(t, exitConfig, append(command, "--endpoints", endpoints)...).says(t, "of two clusters", one.Endpoint+" is of", other.Endpoint+" is of")
			}
		}
		if after := holdings(t, other.Client(t), 0); len(after) != len(before) {
			t.Errorf("%d keys are there, where %d were", len(after), len(before))
		}
	}
}
