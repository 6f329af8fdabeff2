package cmd

import (
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// What strangers tried with get, each with what it should come to.
func TestGetOfStrangeThings(t *testing.T) {
	t.Parallel()
	server := etcdproc.Start(t, etcdproc.Options{})
	client := server.Client(t)
	for key, value := range map[string]string{
		"/registry/configmaps/a/crlf":    `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"crlf","namespace":"a"},"data":{"win.ini":"[a]\r\nb=\u001b1\r\n"}}`,
		"/registry/configmaps/a/twice":   `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"twice","namespace":"a"}}`,
		"/registry/configmaps/b/twice":   `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"twice","namespace":"b"}}`,
		"/registry/configmaps/s/sealed":  "k8s:enc:kms:v2:vault:x",
		"/registry/events/a/e":           `{"kind":"Event","apiVersion":"v1","metadata":{"name":"e","namespace":"a"},"message":"first\nsecond","involvedObject":{"kind":"Pod","name":"p"}}`,
		"/registry/secrets/d/damaged":    "k8s\x00 nothing",
		"/registry/secrets/d/whole":      `{"kind":"Secret","apiVersion":"v1","metadata":{"name":"whole","namespace":"d"},"type":"Opaque"}`,
		"/registry/secrets/l/a-list":     `{"kind":"List","apiVersion":"v1","metadata":{"name":"a-list","namespace":"l"},"items":[{"kind":"Secret","data":{"p":"Y2FuYXJ5"}}]}`,
		"/registry/secrets/l/odd":        `{"kind":"Secret","apiVersion":"/v1","metadata":{"name":"odd","namespace":"l"},"data":{"p":"Y2FuYXJ5"}}`,
		"/registry/secrets/l/token":      `{"kind":"Secret","apiVersion":"v1","metadata":{"name":"token","namespace":"l","annotations":{"kubernetes.io/service-account.name":"x","kubernetes.io/service-account.uid":"818c"}},"type":"kubernetes.io/service-account-token","data":{"token":"Y2FuYXJ5"}}`,
		"/registry/serviceaccounts/a/sa": `{"kind":"ServiceAccount","apiVersion":"v1","metadata":{"name":"sa","namespace":"a"}}`,
	} {
		_, err := client.Put(t.Context(), key, value)
		check(t, err)
	}
	get := func(code exitCode, words ...string) ran {
		return must(t, code, append([]string{"get", "--endpoints", server.Endpoint}, words...)...)
	}
	is := func(r ran, want string) {
		t.Helper()
		if r.stdout != want {
			t.Errorf("%v shows %q, want %q", r.args, r.stdout, want)
		}
	}

	// Bytes go into a file as they are, and cannot steer a terminal.
	is(get(exitDone, "cm/crlf", "-n", "a", "-o", `jsonpath={.data.win\.ini}`), "[a]\r\nb=\x1b1\r\n")
	is(runOnTerminal(t, "get", "--endpoints", server.Endpoint, "cm/crlf", "-n", "a", "-o", `jsonpath={.data.win\.ini}`), "[a]\\u000d\nb=\\u001b1\\u000d\n")
	if r := get(exitDone, "ev", "-n", "a"); !strings.Contains(r.stdout, "first...") {
		t.Errorf("a message of two lines is shown as\n%s", r.stdout)
	}

	// What was asked for is printed, with -q too, and what cannot be asked is refused.
	is(get(exitDone, "cm/crlf", "-n", "a", "-q", "-o", "name"), "configmap/crlf\n")
	get(exitDone, "cm/crlf", "-n", "a", "-q").says(t, "NAME", "crlf")
	get(exitUsage, "cm", "-n", "a", "--sort-by", ".metadata.nmae").says(t, "none of the objects has .metadata.nmae")
	get(exitUsage, "cm", "-n", "a", "-o", "jsonpath=").says(t, "jsonpath is empty")
	get(exitUsage, "cm", "-n", "a", "--json", "-o", "jsonpath={.a}").says(t, "leave one of them out")
	get(exitUsage, "cm", "crlf", "-n", "a").says(t, `unknown kind "crlf"`, "an object of that name is written cm/crlf")
	if r := get(exitDone, "cm/crlf", "sa/sa", "-n", "a", "--no-headers"); strings.Contains(r.stdout, "\n\n") {
		t.Errorf("lines without heads have one that is empty:\n%s", r.stdout)
	}

	// A name that is in two namespaces is shown in a table, and nowhere as if it were one.
	get(exitDone, "cm/twice").says(t, "NAMESPACE", "twice")
	for _, form := range []string{"yaml", "json", "jsonpath={.data}", "custom-columns=A:.data"} {
		is(get(exitUsage, "cm/twice", "-o", form), "")
		get(exitDone, "cm/twice", "-A", "-o", form)
	}

	// What cannot be read is not known, and damage is no success.
	r := get(exitDone, "cm", "-n", "s", "--show-labels", "-v")
	if strings.Contains(r.stdout, "<none>") || strings.Contains(r.stderr, "older version") {
		t.Errorf("of a sealed value is told\n%s%s", r.stdout, r.stderr)
	}
	get(exitIncomplete, "secrets", "-n", "d").says(t, "whole", "shown by name only", "damaged")
	get(exitIncomplete, "secrets", "-n", "d", "-l", "a=b")

	// What lies among Secrets is one, whatever it says of itself.
	for _, form := range []string{"yaml", "json", "custom-columns=A:.data,B:.items", "jsonpath={.items}"} {
		if r := get(exitDone, "secrets", "-n", "l", "-o", form); strings.Contains(r.stdout+r.stderr, "Y2FuYXJ5") {
			t.Errorf("-o %s shows\n%s", form, r.stdout)
		}
	}
	if r := get(exitDone, "secrets", "-n", "l", "--json"); strings.Contains(r.stdout, "Y2FuYXJ5") {
		t.Errorf("--json shows\n%s", r.stdout)
	}
	get(exitDone, "secrets", "-n", "l").says(t, "TYPE", "DATA", "token")
	if r := get(exitDone, "secret/token", "-n", "l", "-o", "yaml", "--clean"); strings.Contains(r.stdout, "818c") || strings.Contains(r.stdout, "Y2FuYXJ5") {
		t.Errorf("what a controller fills in is left:\n%s", r.stdout)
	}
}
