package controlplane_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/kubeferry/kubeferry/scripts/controlplane"
)

// TestARestoredServiceHoldsItsPortsAtOnce: the API server gives the address and the node ports of a
// Service that was restored to no other, from the first moment on; and once this is deleted
// through the API, it does. RUNS times.
func TestARestoredServiceHoldsItsPortsAtOnce(t *testing.T) {
	p := controlplane.Start(t)
	const all = "/api/v1/namespaces/default/services"
	p.Make([2]string{all, `{"apiVersion":"v1","kind":"Service","metadata":{"name":"web"},"spec":{"type":"LoadBalancer","externalTrafficPolicy":"Local","healthCheckNodePort":30999,"clusterIP":"10.96.7.7","ports":[{"port":80,"nodePort":32767}]}}`})
	f := backUp(t, p)
	uid := p.UID(all + "/web")
	others := map[string]string{
		"the address":   `"clusterIP":"10.96.7.7","ports":[{"port":80}]`,
		"the node port": `"type":"NodePort","ports":[{"port":80,"nodePort":32767}]`,
		"the check's":   `"type":"NodePort","ports":[{"port":80,"nodePort":30999}]`,
	}
	create := func(spec string) int {
		status, _ := p.Call("POST", all, fmt.Sprintf(`{"apiVersion":"v1","kind":"Service","metadata":{"name":"other"},"spec":{%s}}`, spec))
		if status == http.StatusCreated {
			p.Delete(all + "/other")
		}
		return status
	}
	held, given := 0, 0
	for range runs() {
		p.Delete(all + "/web")
		for what, spec := range others {
			if status := create(spec); status != http.StatusCreated {
				t.Errorf("%s is not free before: %d", what, status)
			}
		}
		if code, said := f.run("restore", "svc/web", "-n", "default", "--from", f.archive, "-i", f.identity, "--endpoints", f.endpoint, "--yes", "--no-watch"); code != 0 {
			t.Fatalf("ended with %d\n%s", code, said)
		}
		for what, spec := range others {
			if status := create(spec); status != http.StatusUnprocessableEntity {
				given++
				t.Errorf("%s was given to another: %d", what, status)
				continue
			}
			held++
		}
		if is := p.UID(all + "/web"); is != uid {
			t.Errorf("its UID is %s, and was %s", is, uid)
		}
	}
	t.Logf("%d times held at once, %d times given to another", held, given)
}
