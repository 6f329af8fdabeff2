// Package s3proc runs a real S3 server, versitygw on a temporary folder, for
// tests, as a process of its own, and a [Proxy] to put in front of it that does
// what servers and networks do on a bad day. Only test files may import it.
//
// The program is the one that ../build.sh makes. Its path is taken from the
// environment (KUBEFERRY_TEST_VERSITYGW), and if it is missing the script is
// run, so that plain `go test` works. A server never outlives its test, and what
// it logged is shown if the test fails.
package s3proc

import (
	"context"
	"crypto/tls"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// The credentials of the user who may do everything.
const (
	RootAccessKey = "TESTROOTACCESSKEY"
	RootSecretKey = "test+root/secret+key"
)

// Options say how a server is to be run. The zero value is plain http in
// us-east-1, without versions and without further users.
type Options struct {
	Region     string
	Versioning bool           // buckets can keep versions, and lock them
	Users      bool           // AddUser works
	TLS        *etcdproc.Leaf // nil: plain text
	Flags      []string       // more flags for versitygw, before its backend
}

// A Server is one versitygw process.
type Server struct {
	Endpoint string // where clients connect to, with its scheme
	DataDir  string // holds a folder for each bucket
	Region   string

	t    testing.TB
	path string
	args []string
	log  string
	cmd  *exec.Cmd
}

// Start runs a server and waits until it answers.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	dir, address := t.TempDir(), etcdproc.FreeAddress(t)
	s := &Server{
		t: t, path: etcdproc.Program(t, "KUBEFERRY_TEST_VERSITYGW"),
		Endpoint: "http://" + address,
		DataDir:  mkdir(t, dir, "data"),
		Region:   o.Region,
		log:      filepath.Join(dir, "versitygw.log"),
	}
	if s.Region == "" {
		s.Region = "us-east-1"
	}
	s.args = []string{
		"--port=" + address, "--access=" + RootAccessKey, "--secret=" + RootSecretKey,
		"--region=" + s.Region, "--health=/healthy", "--keep-alive", "--quiet",
	}
	if o.TLS != nil {
		s.Endpoint = "https://" + address
		s.args = append(s.args, "--cert="+o.TLS.Cert, "--key="+o.TLS.Key)
	}
	if o.Users {
		s.args = append(s.args, "--iam-dir="+mkdir(t, dir, "users"), "--iam-cache-disable")
	}
	s.args = append(append(s.args, o.Flags...), "posix")
	if o.Versioning {
		s.args = append(s.args, "--versioning-dir="+mkdir(t, dir, "versions"))
	}
	s.args = append(s.args, s.DataDir)
	s.run()
	t.Cleanup(s.cleanup)
	s.await()
	return s
}

func mkdir(t testing.TB, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
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
	s.cmd.Env = []string{} // no VGW_* of the caller
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
}

// await waits until the server answers.
func (s *Server) await() {
	s.t.Helper()
	// Whom it answers to is what the tests are about; here it need only answer.
	client := http.Client{Timeout: time.Second, Transport: insecure()}
	defer client.CloseIdleConnections()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		resp, err := client.Get(s.Endpoint + "/healthy")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("versitygw at %s did not become healthy in 30 s", s.Endpoint)
		}
	}
}

func insecure() *http.Transport {
	return &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
}

func (s *Server) cleanup() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
	if !s.t.Failed() {
		return
	}
	log, err := os.ReadFile(s.log)
	if err != nil {
		s.t.Log(err)
	}
	lines := strings.Split(string(log), "\n")
	tail := lines[max(0, len(lines)-10):]
	s.t.Logf("the end of the log of versitygw at %s:\n%s", s.Endpoint, strings.Join(tail, "\n"))
}

// Client returns a client of the user who may do everything, for tests to
// prepare and to check with.
func (s *Server) Client() *minio.Core {
	s.t.Helper()
	address, secure := strings.CutPrefix(s.Endpoint, "https://")
	client, err := minio.NewCore(strings.TrimPrefix(address, "http://"), &minio.Options{
		Creds:     credentials.NewStaticV4(RootAccessKey, RootSecretKey, ""),
		Secure:    secure,
		Region:    s.Region,
		Transport: insecure(),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return client
}

// MakeBucket makes a bucket. A locking one keeps versions, and can lock them.
func (s *Server) MakeBucket(name string, locking bool) {
	s.t.Helper()
	options := minio.MakeBucketOptions{Region: s.Region, ObjectLocking: locking}
	if err := s.Client().MakeBucket(s.t.Context(), name, options); err != nil {
		s.t.Fatal(err)
	}
}

// AddUser makes a user who may do nothing yet, and lets it do to a bucket what
// the policy says: a JSON document of AWS's, in which $USER is the user's access
// key.
func (s *Server) AddUser(accessKey, secretKey, bucket, policy string) {
	s.t.Helper()
	cmd := exec.Command(s.path, "admin", "--access="+RootAccessKey, "--secret="+RootSecretKey,
		"--region="+s.Region, "--endpoint-url="+s.Endpoint, "--allow-insecure",
		"create-user", "--access="+accessKey, "--secret="+secretKey, "--role=user")
	cmd.Env = []string{}
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("making the user %s: %v\n%s", accessKey, err, out)
	}
	policy = strings.ReplaceAll(policy, "$USER", accessKey)
	if err := s.Client().SetBucketPolicy(context.Background(), bucket, policy); err != nil {
		s.t.Fatalf("setting the policy of bucket %s: %v", bucket, err)
	}
}
