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
