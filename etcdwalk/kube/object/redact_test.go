package object_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// TestRedact: nothing of a Secret is left, in last-applied-configuration neither, and
// equal values look equal.
func TestRedact(t *testing.T) {
	const secret = `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a","annotations":{"note":"kept","kubectl.kubernetes.io/last-applied-configuration":"{\"data\":{\"a\":\"aHVudGVyMg==\"}}"}},
		"data":{"a":"aHVudGVyMg==","b":"aHVudGVyMg==","c":"b3RoZXI="},"type":"Opaque"}`
	o, err := object.Decode([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	r := object.NewRedactor()
	tree := r.Redact(o).Tree()
	shown, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	for _, leak := range []string{"aHVu", "hunter2", "b3Ro"} {
		if strings.Contains(string(shown), leak) {
			t.Errorf("it shows %s: %s", leak, shown)
		}
	}
	data := part(tree, "data")
	if data["a"] != data["b"] || data["a"] == data["c"] || len(text(data, "a")) != len(text(data, "c")) || strings.Contains(string(shown), "kept") || !strings.Contains(string(shown), `"note":"hmac:`) {
		t.Errorf("%s", shown)
	}
	if other := part(object.NewRedactor().Redact(o).Tree(), "data"); other["a"] == data["a"] {
		t.Error("two redactors hide a value alike")
	}
	if whole, _ := json.Marshal(o.Tree()); !strings.Contains(string(whole), `"a":"aHVudGVyMg=="`) || !strings.Contains(string(whole), `{\"data\":`) {
		t.Errorf("the object itself has changed: %s", whole)
	}
	config, err := object.Decode([]byte(strings.Replace(secret, `"Secret"`, `"ConfigMap"`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	if shown, _ := json.Marshal(r.Redact(config).Tree()); !strings.Contains(string(shown), "aHVudGVyMg==") {
		t.Errorf("a ConfigMap is hidden: %s", shown)
	}
}

// TestSubstance: what controllers write of their own makes no difference.
func TestSubstance(t *testing.T) {
	decode := func(text string) *object.Object {
		t.Helper()
		o, err := object.Decode([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	const lease = `{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"a","managedFields":[{"manager":"x"}]},"spec":{"holderIdentity":"one","leaseDurationSeconds":15,"renewTime":"2026-01-01T00:00:00.000000Z"}}`
	const widget = `{"apiVersion":"example.io/v1","kind":"W","metadata":{"name":"a"},"spec":{"n":1},"status":{"ready":true}}`
	for _, c := range []struct {
		name, a, b string
		equal      bool
	}{
		{"itself", widget, widget, true},
		{"another status", widget, strings.Replace(widget, "true", "false", 1), true},
		{"no status", widget, strings.Replace(widget, `,"status":{"ready":true}`, "", 1), true},
		{"another spec", widget, strings.Replace(widget, `"n":1`, `"n":2`, 1), false},
		{"another manager", lease, strings.Replace(lease, `"manager":"x"`, `"manager":"y"`, 1), true},
		{"another holder", lease, strings.Replace(lease, "one", "two", 1), true},
		{"another moment", lease, strings.Replace(lease, "00:00:00.0", "00:00:01.0", 1), true},
		{"another duration", lease, strings.Replace(lease, "15", "16", 1), false},
	} {
		if got := object.Equal(decode(c.a), decode(c.b)); got != c.equal {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
