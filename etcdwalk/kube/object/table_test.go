package object_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// TestCells: what kubectl's columns say of objects that the fixtures do not have
// (kubernetes 1.36: pkg/printers/internalversion/printers.go).
func TestCells(t *testing.T) {
	const ended, failed = `{"state":{"terminated":{"exitCode":0,"reason":"Completed"}}}`, `{"state":{"terminated":{"exitCode":1,"reason":"Error"}}}`
	const running = `{"ready":true,"state":{"running":{}}}`
	pod := func(status string) string {
		return `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"},"spec":{"containers":[{"name":"c"},{"name":"d"}]},"status":` + status + `}`
	}
	service := func(status string) string {
		return `{"kind":"Service","apiVersion":"v1","metadata":{"name":"a"},"spec":{"type":"LoadBalancer"},"status":{"loadBalancer":{"ingress":` + status + `}}}`
	}
	ingress := func(rules string) string {
		return `{"kind":"Ingress","apiVersion":"networking.k8s.io/v1","metadata":{"name":"a"},"spec":{"rules":` + rules + `}}`
	}
	for _, c := range []struct {
		value, head, want string
		wide              bool
	}{
		{pod(`{"phase":"Failed","containerStatuses":[` + ended + `,` + failed + `]}`), "STATUS", "Error", false},
		{pod(`{"phase":"Failed","containerStatuses":[` + failed + `,` + ended + `]}`), "STATUS", "Error", false},
		{pod(`{"phase":"Succeeded","containerStatuses":[` + ended + `,` + ended + `]}`), "STATUS", "Completed", false},
		{pod(`{"phase":"Running","containerStatuses":[` + ended + `,` + running + `]}`), "STATUS", "NotReady", false},
		{pod(`{"phase":"Running","conditions":[{"type":"Ready","status":"True"}],"containerStatuses":[` + ended + `,` + running + `]}`), "STATUS", "Running", false},
		{service(`[{"hostname":"b.example.com"},{"hostname":"a.example.com"},{"hostname":"b.example.com"}]`), "EXTERNAL-IP", "a.example.com...", false},
		{service(`[{"hostname":"b.example.com"},{"hostname":"a.example.com"},{"hostname":"b.example.com"}]`), "EXTERNAL-IP", "a.example.com,b.example.com", true},
		{service(`[]`), "EXTERNAL-IP", "<pending>", false},
		{ingress(`[{"host":"a"},{"host":"b"},{"host":"c"},{},{"host":"d"}]`), "HOSTS", "a,b,c + 2 more...", false},
		{ingress(`[{},{"host":"b"}]`), "HOSTS", "b", false},
		{ingress(`[{}]`), "HOSTS", "*", false},
		{`{"kind":"Node","apiVersion":"v1","metadata":{"name":"a"},"status":{"nodeInfo":{"kernelVersion":"6.1","architecture":"amd64"}}}`, "KERNEL-VERSION", "6.1 (amd64)", true},
	} {
		o, err := object.Decode([]byte(c.value))
		if err != nil {
			t.Fatal(err)
		}
		table := object.TableOf(o.Meta)
		at := slices.Index(table.Heads(c.wide), c.head)
		if at < 0 {
			t.Fatalf("%s has no column %s", o.Meta.Kind, c.head)
		}
		if got := table.Row(o, time.Time{}, c.wide)[at]; got != c.want {
			t.Errorf("%s of %s: %q, want %q", c.head, c.value, got, c.want)
		}
	}
}

// TestCellsOfCustomResources: a column shows the first value that its path finds, if that is
// of its type (apiextensions-apiserver: pkg/registry/customresource/tableconvertor).
func TestCellsOfCustomResources(t *testing.T) {
	definition, err := object.Decode([]byte(`{"kind":"CustomResourceDefinition","apiVersion":"apiextensions.k8s.io/v1","metadata":{"name":"w.example.io"},"spec":{"versions":[{"name":"v1","additionalPrinterColumns":[
		{"name":"I","type":"integer","jsonPath":".i"},{"name":"IS","type":"integer","jsonPath":".s"},{"name":"IF","type":"integer","jsonPath":".f"},{"name":"N","type":"number","jsonPath":".f"},
		{"name":"S","type":"string","jsonPath":".s"},{"name":"L","type":"string","jsonPath":".list[*]"},{"name":"B","type":"boolean","jsonPath":".b"},{"name":"BS","type":"boolean","jsonPath":".s"},
		{"name":"D","type":"date","jsonPath":".d"},{"name":"DX","type":"date","jsonPath":".s"},{"name":"O","type":"string","jsonPath":".o"},{"name":"NONE","type":"string","jsonPath":".none"},{"name":"SI","type":"string","jsonPath":".i"}]}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	o, err := object.Decode([]byte(`{"kind":"W","apiVersion":"example.io/v1","metadata":{"name":"a"},"i":7,"s":"hello","f":1.5,"list":["x","y"],"b":true,"d":"2026-01-01T00:00:00Z","o":{"k":"v"}}`))
	if err != nil {
		t.Fatal(err)
	}
	row := object.CustomTable(definition, o.Meta).Row(o, time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC), false)
	want := `a|7||1|1.5|hello|x|true||2d|<invalid>|{"k":"v"}||7`
	if got := strings.Join(row, "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
