// Package etcdproc runs real etcd servers for tests, as processes of their own:
// several versions, clusters, TLS, authentication, kill -9 and SIGSTOP. Only
// test files may import it.
//
// The programs are those that ../build.sh makes. Their paths are taken from the
// environment (KUBEFERRY_TEST_ETCD_35 and so on), and if one is missing the
// script is run, so that plain `go test` works. A server never outlives its
// test, and what it logged is shown if the test fails.
package etcdproc

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// The versions that there are.
const (
	V35 = "3.5"
	V36 = "3.6"
	V37 = "3.7"
)

// Versions lists all versions, oldest first.
func Versions() []string { return []string{V35, V36, V37} }

// Options say how a server is to be run. The zero value is a plain 3.6.
type Options struct {
	Version string
	Flags   []string // more flags for etcd
	TLS     *TLS     // nil: plain text
	// Snapshot is a database file for the server to begin with, as etcdctl
	// snapshot save makes it; empty: nothing. Only for a cluster of one.
	Snapshot string
	// Template gives a cluster of one the cluster id that every other such has, as
	// clusters have that are made from one image: etcd's id is a hash of peer URLs.
	Template bool
}

// TLS is what a server needs to speak TLS: PEM files.
type TLS struct {
	Cert, Key string
	ClientCA  string // not empty: clients must show a certificate of this CA
}

// A Server is one etcd process.
type Server struct {
	Endpoint string // where clients connect to, with its scheme
	DataDir  string

	t       testing.TB
	path    string
	name    string
	peer    string // where other members reach it
	args    []string
	metrics string
	log     string
	cmd     *exec.Cmd
}

// Start runs a cluster of one and waits until it serves.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	return StartCluster(t, 1, o)[0]
}

// StartCluster runs a cluster of n members and waits until all serve.
func StartCluster(t testing.TB, n int, o Options) []*Server {
	t.Helper()
	path := binary(t, o.Version)
	servers := make([]*Server, n)
	peers := make([]string, n)
	for i := range servers {
		peer := "http://" + FreeAddress(t)
		servers[i] = newServer(t, path, i, peer, o)
		if o.Template { // the later flag counts
			peer = "http://localhost:2380" // etcd's default
			servers[i].args = append(servers[i].args, "--initial-advertise-peer-urls="+peer)
		}
		peers[i] = fmt.Sprintf("m%d=%s", i, peer)
	}
	for _, s := range servers {
		s.args = append(s.args, "--initial-cluster="+strings.Join(peers, ","))
		if o.Snapshot != "" {
			s.restore(o.Snapshot)
		}
		s.run()
	}
	t.Cleanup(func() {
		for _, s := range servers {
			s.cleanup()
		}
	})
	for _, s := range servers {
		s.await()
	}
	return servers
}

// newServer prepares member i, all but the list of its peers.
func newServer(t testing.TB, path string, i int, peer string, o Options) *Server {
	t.Helper()
	dir := t.TempDir()
	s := &Server{
		t: t, path: path, name: fmt.Sprintf("m%d", i), peer: peer,
		Endpoint: "http://" + FreeAddress(t),
		DataDir:  filepath.Join(dir, "data"),
		metrics:  "http://" + FreeAddress(t),
		log:      filepath.Join(dir, "etcd.log"),
	}
	if o.TLS != nil {
		s.Endpoint = "https" + strings.TrimPrefix(s.Endpoint, "http")
		s.args = append(s.args, "--cert-file="+o.TLS.Cert, "--key-file="+o.TLS.Key)
		if o.TLS.ClientCA != "" {
			s.args = append(s.args, "--client-cert-auth", "--trusted-ca-file="+o.TLS.ClientCA)
		}
	}
	s.args = append(s.args,
		"--name="+s.name,
		"--data-dir="+s.DataDir,
		"--listen-client-urls="+s.Endpoint, "--advertise-client-urls="+s.Endpoint,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer,
		"--listen-metrics-urls="+s.metrics,
		"--heartbeat-interval=20", "--election-timeout=200",
		// A killed process loses nothing that the kernel has; only a power
		// failure would, and no test makes one.
		"--unsafe-no-fsync",
		"--log-level=warn",
	)
	s.args = append(s.args, o.Flags...)
	return s
}

// restore makes the data folder from a database file.
func (s *Server) restore(snapshot string) {
	s.t.Helper()
	cmd := exec.Command(Program(s.t, "KUBEFERRY_TEST_ETCDUTL_36"), "snapshot", "restore", snapshot, "--data-dir="+s.DataDir)
	cmd.Env = []string{}
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("restoring %s: %v\n%s", snapshot, err, out)
	}
}

// run starts the process.
func (s *Server) run() {
	s.t.Helper()
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	s.cmd = exec.Command(s.path, s.args...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.Env = []string{} // no ETCD_* of the caller
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
}

// await waits until the server has a leader and answers.
func (s *Server) await() {
	s.t.Helper()
	client := http.Client{Timeout: time.Second}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		resp, err := client.Get(s.metrics + "/health")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("etcd at %s did not become healthy in 30 s", s.Endpoint)
		}
	}
}

// Kill ends the process with SIGKILL and waits for its end.
func (s *Server) Kill() {
	s.t.Helper()
	if s.cmd == nil {
		s.t.Fatal("the server is not running")
	}
	s.cmd.Process.Kill()
	s.cmd.Wait()
	s.cmd = nil
}

// Restart starts a killed server again, with its data, and waits until it
// serves.
func (s *Server) Restart() {
	s.t.Helper()
	s.run()
	s.await()
}

// Pause stops the process with SIGSTOP: connections stay, nothing answers.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Continue ends a Pause.
func (s *Server) Continue() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Server) cleanup() {
	if s.cmd != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
	}
	if !s.t.Failed() {
		return
	}
	log, err := os.ReadFile(s.log)
	if err != nil {
		s.t.Log(err)
	}
	var lines []string
	for line := range strings.Lines(string(log)) {
		if !strings.Contains(line, "etcdhttp/health") { // await's own questions
			lines = append(lines, line[:min(len(line), 400)])
		}
	}
	tail := lines[max(0, len(lines)-10):]
	s.t.Logf("the end of the log of etcd at %s:\n%s", s.Endpoint, strings.Join(tail, "\n"))
}

// Client returns etcd's own client for a server without TLS, for tests to
// prepare and to check with.
func (s *Server) Client(t testing.TB) *clientv3.Client {
	t.Helper()
	return NewClient(t, clientv3.Config{Endpoints: []string{s.Endpoint}})
}

// NewClient returns etcd's own client, silent, closed at the end of the test.
func NewClient(t testing.TB, c clientv3.Config) *clientv3.Client {
	t.Helper()
	c.Logger = zap.NewNop()
	c.MaxCallSendMsgSize = 64 << 20 // it is the server that limits
	c.DialTimeout = 10 * time.Second
	client, err := clientv3.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// Endpoints lists where clients connect to.
func Endpoints(servers []*Server) []string {
	var all []string
	for _, s := range servers {
		all = append(all, s.Endpoint)
	}
	return all
}

// FreeAddress is a loopback address that nobody listens on. Its port is below
// those that the kernel gives to connections (Linux: from 32768 on), which would
// take it before the server does.
func FreeAddress(t testing.TB) string {
	t.Helper()
	for range 100 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(12_000+rand.IntN(20_000)))
		if _, taken := addresses.LoadOrStore(address, true); taken {
			continue
		}
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// addresses are those that were given away: tests run side by side, and a
// server takes its address only after a while.
var addresses sync.Map

// binary is the path of the etcd of this version.
func binary(t testing.TB, version string) string {
	t.Helper()
	if version == "" {
		version = V36
	}
	return Program(t, "KUBEFERRY_TEST_ETCD_"+strings.ReplaceAll(version, ".", ""))
}

// Program is the path of the program that the environment variable names, and
// that build.sh builds if the variable is not set.
func Program(t testing.TB, variable string) string {
	t.Helper()
	if path := os.Getenv(variable); path != "" {
		return path
	}
	programs, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	path, ok := programs[variable]
	if !ok {
		t.Fatalf("build.sh builds no %s", variable)
	}
	return path
}

// buildOnce runs build.sh, once per test process, and returns what it prints.
var buildOnce = sync.OnceValues(func() (map[string]string, error) {
	_, here, _, _ := runtime.Caller(0)
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(filepath.Dir(here), "..", "build.sh"))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("build the test servers: %w\n%s", err, stderr.Bytes())
	}
	programs := map[string]string{}
	for line := range strings.Lines(stdout.String()) {
		if name, path, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			programs[name] = path
		}
	}
	return programs, nil
})
