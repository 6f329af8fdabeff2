// Package controlplane runs a real kube-apiserver with its controllers, for tests that
// restore into a cluster that lives. Kubernetes has no programs that can be built here:
// whoever has them names them.
//
//	KUBE_APISERVER=… KUBE_CONTROLLER_MANAGER=… make test-controlplane
//
// There is no kubelet and no scheduler. What controllers notice of them, a stand-in does: a
// pod that is pending gets a node and becomes ready, one that is being deleted is removed.
package controlplane

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// A Plane is a running control plane.
type Plane struct {
	t      *testing.T
	Etcd   *etcdproc.Server
	url    string
	client *http.Client
}

const token = "harness"

// Start starts a control plane, which ends with the test. Without the programs the test is
// skipped.
func Start(t *testing.T) *Plane {
	t.Helper()
	server, manager := os.Getenv("KUBE_APISERVER"), os.Getenv("KUBE_CONTROLLER_MANAGER")
	if server == "" || manager == "" {
		t.Skip("KUBE_APISERVER and KUBE_CONTROLLER_MANAGER name no programs")
	}
	dir := t.TempDir()
	port := freePort(t)
	p := &Plane{t: t, Etcd: etcdproc.Start(t, etcdproc.Options{Version: etcdproc.V36}), url: fmt.Sprintf("https://127.0.0.1:%d", port),
		client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}}
	key := filepath.Join(dir, "sa.key")
	p.write(filepath.Join(dir, "tokens.csv"), token+`,admin,admin,"system:masters"`+"\n")
	p.write(key, accountKey(t))
	p.write(filepath.Join(dir, "kubeconfig"), fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: c
clusters: [{name: c, cluster: {server: %q, insecure-skip-tls-verify: true}}]
users: [{name: u, user: {token: %s}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
`, p.url, token))
	p.run(server, "--etcd-servers", p.Etcd.Endpoint, "--cert-dir", dir, "--bind-address", "127.0.0.1", "--advertise-address", "192.0.2.1",
		"--secure-port", fmt.Sprint(port), "--token-auth-file", filepath.Join(dir, "tokens.csv"), "--service-account-issuer", "https://kubernetes.default.svc",
		"--service-account-key-file", key, "--service-account-signing-key-file", key, "--service-cluster-ip-range", "10.96.0.0/16", "--authorization-mode", "RBAC")
	p.Until("the API server is ready", func() bool { status, _ := p.Call("GET", "/readyz", nil); return status == http.StatusOK })
	p.run(manager, "--kubeconfig", filepath.Join(dir, "kubeconfig"), "--bind-address", "127.0.0.1", "--secure-port", fmt.Sprint(freePort(t)), "--leader-elect=true",
		"--root-ca-file", filepath.Join(dir, "apiserver.crt"), "--service-account-private-key-file", key,
		"--controllers", "*,-node-lifecycle-controller,-pod-garbage-collector-controller,-taint-eviction-controller")
	p.Until("the controllers work", func() bool {
		status, _ := p.Call("GET", "/api/v1/namespaces/default/serviceaccounts/default", nil)
		return status == http.StatusOK
	})
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	go p.standIn(ctx)
	return p
}

func (p *Plane) write(path, text string) {
	p.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func accountKey(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	address, _ := l.Addr().(*net.TCPAddr)
	return address.Port
}

// run runs a program until the test ends; what it said is shown if the test fails.
func (p *Plane) run(program string, args ...string) {
	p.t.Helper()
	said := &bytes.Buffer{}
	c := exec.Command(program, args...)
	c.Stdout, c.Stderr = said, said
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
		if p.t.Failed() {
			text := said.String()
			p.t.Logf("the end of what %s said:\n%s", filepath.Base(program), text[max(0, len(text)-1500):])
		}
	})
}

// Until waits for a condition, a minute at most.
func (p *Plane) Until(what string, is func() bool) {
	p.t.Helper()
	for begun := time.Now(); !is(); time.Sleep(100 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			p.t.Fatalf("waited for a minute, and it did not come to pass that %s", what)
		}
	}
}

// Call makes a request to the API server.
func (p *Plane) Call(method, path string, body any) (int, map[string]any) {
	var in io.Reader
	kind := "application/json"
	if text, ok := body.(string); ok {
		in = strings.NewReader(text)
	}
	if method == http.MethodPatch {
		kind = "application/merge-patch+json"
	}
	request, err := http.NewRequest(method, p.url+path, in)
	if err != nil {
		return 0, nil
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", kind)
	answer, err := p.client.Do(request)
	if err != nil {
		return 0, nil
	}
	defer answer.Body.Close()
	var tree map[string]any
	_ = json.NewDecoder(answer.Body).Decode(&tree)
	return answer.StatusCode, tree
}

// Make creates objects: each the path of its collection and the object.
func (p *Plane) Make(objects ...[2]string) {
	p.t.Helper()
	for _, o := range objects {
		p.Until(fmt.Sprintf("%s takes %s", o[0], o[1]), func() bool {
			status, _ := p.Call("POST", o[0], o[1])
			return status == http.StatusCreated || status == http.StatusConflict
		})
	}
}

// UID is that of an object; empty if it is not there.
func (p *Plane) UID(path string) string {
	status, tree := p.Call("GET", path, nil)
	if status != http.StatusOK {
		return ""
	}
	about, _ := tree["metadata"].(map[string]any)
	uid, _ := about["uid"].(string)
	return uid
}

// List are the paths of the objects in a collection. That of a definition which has come
// back answers 429 for a while.
func (p *Plane) List(collection string) (paths []string) {
	p.t.Helper()
	var tree map[string]any
	p.Until(collection+" can be listed", func() bool {
		status := 0
		status, tree = p.Call("GET", collection, nil)
		return status == http.StatusOK || status == http.StatusNotFound
	})
	items, _ := tree["items"].([]any)
	for _, item := range items {
		object, _ := item.(map[string]any)
		about, _ := object["metadata"].(map[string]any)
		paths = append(paths, fmt.Sprintf("%s/%s", collection, about["name"]))
	}
	return paths
}

// Delete deletes an object, finalizers and all, and waits until it is gone.
func (p *Plane) Delete(path string) {
	p.t.Helper()
	uid := p.UID(path)
	p.Call("DELETE", path, nil)
	p.Until(path+" is gone", func() bool {
		if is := p.UID(path); is == "" || is != uid {
			return true
		}
		p.Call("PATCH", path, `{"metadata":{"finalizers":null}}`)
		return false
	})
}

// standIn does what controllers notice of a scheduler and of kubelets.
func (p *Plane) standIn(ctx context.Context) {
	for ctx.Err() == nil {
		_, tree := p.Call("GET", "/api/v1/pods", nil)
		items, _ := tree["items"].([]any)
		for i, item := range items {
			pod, _ := item.(map[string]any)
			about, _ := pod["metadata"].(map[string]any)
			path := fmt.Sprintf("/api/v1/namespaces/%s/pods/%s", about["namespace"], about["name"])
			status, _ := pod["status"].(map[string]any)
			switch {
			case about["deletionTimestamp"] != nil && about["finalizers"] == nil:
				p.Call("DELETE", path, `{"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":0}`)
			case about["deletionTimestamp"] == nil && status["phase"] == "Pending":
				p.Call("POST", path+"/binding", fmt.Sprintf(`{"apiVersion":"v1","kind":"Binding","metadata":{"name":%q},"target":{"kind":"Node","name":"node-%d"}}`, about["name"], i%3))
				p.Call("PATCH", path+"/status", `{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}`)
			}
		}
		time.Sleep(400 * time.Millisecond)
	}
}
