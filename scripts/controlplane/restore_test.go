package controlplane_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kubeferry/kubeferry/scripts/controlplane"
)

const (
	core                         = "/api/v1/namespaces/shop/"
	apps                         = "/apis/apps/v1/namespaces/shop/"
	farm                         = "/apis/farm.example.com/v1/namespaces/shop/"
	spaces, volumes, definitions = "/api/v1/namespaces", "/api/v1/persistentvolumes", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
)

// settle waits until the garbage collector has worked off what was deleted: 20 objects a second
// and more. It forgets nothing on its list, and would delete what has come back.
func settle(deleted []string) {
	if slices.ContainsFunc(deleted, func(path string) bool { return strings.Contains(path, "machine") || strings.HasPrefix(path, spaces) }) {
		time.Sleep(12 * time.Second)
	}
	time.Sleep(3 * time.Second)
}

// machines is how many of them one set owns.
const machines = 200

func definition(plural, kind string) [2]string {
	return [2]string{definitions, fmt.Sprintf(`{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"%s.farm.example.com"},"spec":{"group":"farm.example.com","scope":"Namespaced",
		"names":{"plural":%q,"kind":%q},"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}]}}`, plural, plural, kind)}
}

// populate makes a namespace with one of each that has a controller.
func populate(p *controlplane.Plane) {
	workload := func(kind, name, more string) string {
		return fmt.Sprintf(`{"apiVersion":"apps/v1","kind":%[1]q,"metadata":{"name":%[2]q,"labels":{"app":%[2]q}},"spec":{"replicas":2,"selector":{"matchLabels":{"app":%[2]q}},%[3]s
			"template":{"metadata":{"labels":{"app":%[2]q}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}`, kind, name, more)
	}
	p.Make(
		[2]string{spaces, `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop"}}`},
		[2]string{core + "serviceaccounts", `{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"robot"}}`},
		[2]string{core + "secrets", `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"robot-token","annotations":{"kubernetes.io/service-account.name":"robot"}},"type":"kubernetes.io/service-account-token"}`},
		[2]string{core + "configmaps", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings"},"data":{"a":"b"}}`},
		[2]string{core + "services", `{"apiVersion":"v1","kind":"Service","metadata":{"name":"web"},"spec":{"type":"NodePort","selector":{"app":"web"},"ports":[{"port":80}]}}`},
		[2]string{volumes, `{"apiVersion":"v1","kind":"PersistentVolume","metadata":{"name":"disk"},"spec":{"capacity":{"storage":"1Gi"},"accessModes":["ReadWriteOnce"],"persistentVolumeReclaimPolicy":"Retain","storageClassName":"none","hostPath":{"path":"/x"}}}`},
		[2]string{core + "persistentvolumeclaims", `{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"data"},"spec":{"accessModes":["ReadWriteOnce"],"storageClassName":"none","volumeName":"disk","resources":{"requests":{"storage":"1Gi"}}}}`},
		[2]string{apps + "deployments", workload("Deployment", "web", "")},
		[2]string{apps + "statefulsets", workload("StatefulSet", "db", `"serviceName":"db",`)},
		definition("machinesets", "MachineSet"), definition("machines", "Machine"),
		[2]string{farm + "machinesets", `{"apiVersion":"farm.example.com/v1","kind":"MachineSet","metadata":{"name":"set"}}`},
	)
	set := p.UID(farm + "machinesets/set")
	for i := range machines {
		p.Make([2]string{farm + "machines", fmt.Sprintf(`{"apiVersion":"farm.example.com/v1","kind":"Machine","metadata":{"name":"m-%03d","ownerReferences":[{"apiVersion":"farm.example.com/v1","kind":"MachineSet","name":"set","uid":%q}]}}`, i, set)})
	}
	p.Until("two pods of each run", func() bool { return len(p.List(core+"pods")) == 4 })
	p.Until("the claim is bound", func() bool {
		_, claim := p.Call("GET", core+"persistentvolumeclaims/data", nil)
		status, _ := claim["status"].(map[string]any)
		return status["phase"] == "Bound"
	})
	p.Until("the token is there", func() bool {
		_, secret := p.Call("GET", core+"secrets/robot-token", nil)
		return secret["data"] != nil
	})
	time.Sleep(3 * time.Second)
}

// A ferry runs the program.
type ferry struct {
	t        *testing.T
	program  string
	identity string
	endpoint string
	archive  string
}

func (f *ferry) run(words ...string) (code int, said string) {
	f.t.Helper()
	c := exec.Command(f.program, words...)
	c.Env = append(os.Environ(), "KUBEFERRY_UNDO_DIR="+filepath.Join(filepath.Dir(f.identity), "undo"))
	out := &bytes.Buffer{}
	c.Stdout, c.Stderr = out, out
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		f.t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), out.String()
}

// runs is how often each scenario is played.
func runs() int {
	if n, err := strconv.Atoi(os.Getenv("RUNS")); err == nil {
		return n
	}
	return 2
}

// backUp makes an archive of what there is.
func backUp(t *testing.T, p *controlplane.Plane) *ferry {
	t.Helper()
	dir := t.TempDir()
	f := &ferry{t: t, program: os.Getenv("KUBEFERRY"), identity: filepath.Join(dir, "id"), endpoint: p.Etcd.Endpoint, archive: filepath.Join(dir, "a.zip.age")}
	code, recipient := f.run("keygen", "--out", f.identity)
	if code != 0 {
		t.Fatal(recipient)
	}
	recipient = recipient[strings.Index(recipient, "age1"):]
	if code, said := f.run("backup", "--to", f.archive, "-r", strings.Fields(recipient)[0], "--endpoints", f.endpoint); code != 0 {
		t.Fatal(said)
	}
	return f
}

// TestRestoresIntoALivingClusterStay: what was lost by a restore, and what stays now
// (KUBERNETES.md 13), RUNS times each, of the rows whose names match ROWS.
func TestRestoresIntoALivingClusterStay(t *testing.T) {
	p := controlplane.Start(t)
	populate(p)
	runs, f := runs(), backUp(t, p)
	rows, err := regexp.Compile(os.Getenv("ROWS"))
	if err != nil {
		t.Fatal(err)
	}
	first := map[string]string{}
	for _, c := range []struct {
		name    string
		deletes []string
		restore string
		keeps   []string // objects, or collections with a slash at the end
		code    int
	}{
		{"dependants before their owner", []string{farm + "machinesets/set"}, "machines machinesets", []string{farm + "machinesets/", farm + "machines/"}, 0},
		{"dependants alone", []string{farm + "machinesets/set"}, "machines", nil, 19},
		{"dependants --with-owners", nil, "machines --with-owners", []string{farm + "machinesets/", farm + "machines/"}, 0},
		{"a token and its account", []string{core + "serviceaccounts/robot"}, "sa/robot secret/robot-token", []string{core + "serviceaccounts/robot", core + "secrets/robot-token"}, 0},
		{"a Deployment and what it owns", []string{apps + "deployments/web"}, "deploy/web --with-owned", []string{apps + "deployments/", apps + "replicasets/"}, 0},
		{"a ReplicaSet --with-owners", []string{apps + "deployments/web"}, "rs -l app=web --with-owners", []string{apps + "deployments/", apps + "replicasets/"}, 0},
		{"a family with its pods", []string{apps + "deployments/web"}, "deploy,rs,po -l app=web --allow derived", []string{apps + "deployments/", apps + "replicasets/", core + "pods/"}, 0},
		{"a StatefulSet and what it owns", []string{apps + "statefulsets/db"}, "sts/db --with-owned", []string{apps + "statefulsets/", apps + "controllerrevisions/"}, 0},
		{"a claim and its volume", []string{core + "persistentvolumeclaims/data", volumes + "/disk"}, "pvc/data --with-owners", []string{core + "persistentvolumeclaims/data", volumes + "/disk"}, 0},
		{"a definition and its resources", []string{definitions + "/machinesets.farm.example.com", definitions + "/machines.farm.example.com"}, "crd machines machinesets -A", []string{farm + "machinesets/", farm + "machines/"}, 0},
		{"coordination leases", nil, "leases -n kube-system", nil, 19},
		{"a namespace", []string{spaces + "/shop"}, "--namespace shop --with-owners", []string{spaces + "/shop", apps + "deployments/", apps + "statefulsets/", core + "services/", core + "configmaps/", core + "secrets/", core + "serviceaccounts/", core + "persistentvolumeclaims/", farm + "machines/"}, 0},
	} {
		if !rows.MatchString(c.name) {
			continue
		}
		stayed, codes := 0, map[int]int{}
		for range runs {
			for path, uid := range uids(p, c.keeps) { // as they were when the archive was made
				if _, known := first[path]; !known && !strings.Contains(path, "/pods/") {
					first[path] = uid
				}
			}
			for _, path := range c.deletes {
				p.Delete(path)
			}
			settle(c.deletes)
			words := append([]string{"restore"}, strings.Fields(c.restore)...)
			if !slices.Contains(words, "-n") && !slices.Contains(words, "-A") && !slices.Contains(words, "--namespace") {
				words = append(words, "-n", "shop")
			}
			words = append(words, "--from", f.archive, "-i", f.identity, "--endpoints", f.endpoint, "--yes", "--watch-for", "10s")
			code, said := f.run(words...)
			codes[code]++
			for tries := 0; tries < 10 && code == 19 && strings.Contains(said, "collecting:"); tries++ { // as it says
				settle(c.deletes)
				code, said = f.run(words...)
				codes[code]++
			}
			time.Sleep(5 * time.Second)
			is, lost := uids(p, c.keeps), 0
			for path, uid := range first {
				if among(path, c.keeps) && is[path] != uid {
					lost++
				}
			}
			if code != c.code || c.code != 19 && lost > 0 {
				t.Errorf("%s: ended with %d, want %d; %d objects were lost\n%s", c.name, code, c.code, lost, said)
				continue
			}
			stayed++
			if c.code == 19 && len(c.deletes) > 0 { // for the next run
				f.run("restore", "machines", "-n", "shop", "--with-owners", "--from", f.archive, "-i", f.identity, "--endpoints", f.endpoint, "--yes")
			}
		}
		t.Logf("%-32s %d of %d as they should be, exit codes %v", c.name, stayed, runs, codes)
	}
}

// among tells whether an object is one of some, or in one of some collections.
func among(path string, keeps []string) bool {
	return slices.ContainsFunc(keeps, func(k string) bool { return k == path || strings.HasSuffix(k, "/") && strings.HasPrefix(path, k) })
}

// uids are the UIDs of objects and of what is in collections.
func uids(p *controlplane.Plane, keeps []string) map[string]string {
	all := map[string]string{}
	for _, path := range keeps {
		if collection, is := strings.CutSuffix(path, "/"); is {
			for _, one := range p.List(collection) {
				all[one] = p.UID(one)
			}
			continue
		}
		all[path] = p.UID(path)
	}
	return all
}
