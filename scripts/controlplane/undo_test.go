package controlplane_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kubeferry/kubeferry/scripts/controlplane"
)

// TestUndoesStay: a restore is taken back while the controllers look after what it brought,
// RUNS times each.
func TestUndoesStay(t *testing.T) {
	p := controlplane.Start(t)
	populate(p)
	runs, f := runs(), backUp(t, p)
	gone := func(collections ...string) bool {
		for _, one := range collections {
			for _, path := range p.List(one) {
				if strings.Contains(path, "/web") {
					return false
				}
			}
		}
		return true
	}
	for _, c := range []struct {
		name    string
		before  func()
		restore string
		undone  func() bool
	}{
		{"a Deployment and what it owns", func() { p.Delete(apps + "deployments/web") }, "deploy/web --with-owned",
			func() bool { return gone(apps+"deployments", apps+"replicasets", core+"pods") }},
		{"a ConfigMap that was edited", func() {
			p.Call("PATCH", core+"configmaps/settings", `{"data":{"a":"edited"}}`)
		}, "cm/settings --on-conflict=overwrite", func() bool {
			_, settings := p.Call("GET", core+"configmaps/settings", nil)
			data, _ := settings["data"].(map[string]any)
			return data["a"] == "edited"
		}},
		{"a Service", func() { p.Delete(core + "services/web") }, "svc/web",
			func() bool { return gone(core + "services") }},
	} {
		stayed, codes := 0, map[int]int{}
		for range runs {
			c.before()
			settle([]string{apps})
			code, said := f.run(append([]string{"restore", "-n", "shop", "--from", f.archive, "-i", f.identity, "--endpoints", f.endpoint, "--yes"}, strings.Fields(c.restore)...)...)
			if code != 0 || c.undone() {
				t.Fatalf("%s: the restore ended with %d: %s", c.name, code, said)
			}
			code, said = f.run("undo", "-i", f.identity, "--endpoints", f.endpoint, "--yes", "--watch-for", "10s")
			codes[code]++
			for range 15 { // the garbage collector takes what its owners have left
				if c.undone() {
					break
				}
				time.Sleep(time.Second)
			}
			if code != 0 || !c.undone() {
				t.Errorf("%s: ended with %d\n%s", c.name, code, said)
				continue
			}
			stayed++
		}
		t.Logf("%-32s %d of %d taken back, exit codes %v", c.name, stayed, runs, codes)
	}
}

// TestExtrasGo: what came since the backup is deleted with all that belongs to it, while the
// controllers look after it; and comes back, the same, when that is taken back.
func TestExtrasGo(t *testing.T) {
	p := controlplane.Start(t)
	populate(p)
	runs, f := runs(), backUp(t, p)
	late := func() (paths []string) {
		for _, collection := range []string{apps + "deployments", apps + "replicasets", core + "pods"} {
			for _, path := range p.List(collection) {
				if strings.Contains(path, "/late") {
					paths = append(paths, path)
				}
			}
		}
		return paths
	}
	within := func(is func() bool) bool {
		for range 20 { // the garbage collector, and controllers
			if is() {
				return true
			}
			time.Sleep(time.Second)
		}
		return false
	}
	went, back, codes := 0, 0, map[int]int{}
	for range runs {
		p.Make([2]string{apps + "deployments", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"late"},"spec":{"replicas":2,"selector":{"matchLabels":{"app":"late"}},
			"template":{"metadata":{"labels":{"app":"late"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}`})
		settle([]string{apps, core + "pods"})
		uid := p.UID(apps + "deployments/late")
		code, said := f.run("restore", "-n", "shop", "--from", f.archive, "-i", f.identity, "--endpoints", f.endpoint,
			"--on-conflict=overwrite", "--delete-extra", "--yes", "--yes-delete", "--allow", "running-jobs")
		codes[code]++
		if gone := within(func() bool { return len(late()) == 0 }); code != 0 || !gone {
			t.Errorf("ended with %d, and these are left: %v\n%s", code, late(), said)
		} else {
			went++
		}
		code, said = f.run("undo", "-i", f.identity, "--endpoints", f.endpoint, "--yes", "--watch-for", "10s")
		codes[code]++
		if there := within(func() bool { return p.UID(apps+"deployments/late") == uid && len(late()) >= 4 }); code != 0 || !there {
			t.Errorf("undo ended with %d, and there are %v\n%s", code, late(), said)
		} else {
			back++
		}
		p.Delete(apps + "deployments/late")
		within(func() bool { return len(late()) == 0 })
	}
	t.Logf("%d of %d gone, %d back, exit codes %v", went, runs, back, codes)
}
