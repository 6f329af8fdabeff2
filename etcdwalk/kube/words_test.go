package kube_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

func words(s string) []string { return strings.Fields(s) }

// TestOneSelectionOneDigest: however it is typed, what selects the same has one
// digest, and what does not has another.
func TestOneSelectionOneDigest(t *testing.T) {
	digests := map[string]string{}
	for _, c := range []struct {
		text  string
		whole bool
		same  []kube.Filter
	}{
		{"whole", true, []kube.Filter{{}, {Prefixes: words("/openshift.io /registry/ kubernetes.io")}}},
		{"everything under /", false, []kube.Filter{{Prefixes: words("/")}, {Prefixes: words("/registry/ / /openshift.io/x")}}},
		{"everything under / and 1 other prefix", false, []kube.Filter{{Prefixes: words("/ /custom/")}, {Prefixes: words("/custom/x/ / /custom/")}}},
		{"namespaces in 1 namespace", false, []kube.Filter{{Include: words("ns"), Namespaces: words("shop")}}},
		{"namespaces (1 object) in 1 namespace", false, []kube.Filter{{Include: words("ns ns/foo"), Namespaces: words("shop")}}},
		{"everything under /registry/", false, []kube.Filter{
			{Prefixes: words("/registry/")}, {Prefixes: words("registry")}, {Prefixes: words("/registry/configmaps/ /registry")},
		}},
		{"everything under 1 other prefix", false, []kube.Filter{{Prefixes: words("/tenant-a/")}}},
		{"everything under /registry/ and 2 other prefixes", false, []kube.Filter{{Prefixes: words("/registry/ /tenant-b /tenant-a/")}}},
		{"everything but events", false, []kube.Filter{
			{Exclude: words("events")}, {Exclude: words("ev")}, {Exclude: words("Event events.events.k8s.io")}, {Exclude: words("events events/one")},
		}},
		{"everything in 2 namespaces", false, []kube.Filter{{Namespaces: words("a b")}, {Namespaces: words("b,a a")}}},
		{"configmaps, deployments.apps in 1 namespace", false, []kube.Filter{
			{Include: words("deploy cm"), Namespaces: words("shop")}, {Include: words("configmaps,deployments.v1.apps"), Namespaces: words("shop")},
		}},
		{"configmaps (2 objects), secrets", false, []kube.Filter{{Include: words("cm/b secret cm/a")}}},
		{"widgets.example.com", false, []kube.Filter{{Include: words("widgets.example.com")}, {Include: words("Widgets.v1beta1.example.com")}}},
		{"a.io, b.io, c.io and 2 other kinds", false, []kube.Filter{{Include: words("e.io d.io c.io b.io a.io")}}},
		{"a-kind-with-a-name-without-en~", false, []kube.Filter{{Include: words("a-kind-with-a-name-without-end.that-goes-on.example.com")}}},
		{"pods but pods (1 object)", false, []kube.Filter{{Include: words("po"), Exclude: words("po/x")}}},
	} {
		for _, f := range c.same {
			got, err := query(t, f).Selected()
			if err != nil || got.Text != c.text || got.Whole != c.whole || query(t, f).Whole() != c.whole || len(got.Digest) != 64 {
				t.Errorf("%+v: %+v, %v; want %q, whole %t", f, got, err, c.text, c.whole)
			}
			for digest, text := range digests {
				if (digest == got.Digest) != (text == c.text) {
					t.Errorf("%+v (%s) has the digest of %s, or not that of its like", f, c.text, text)
				}
			}
			digests[got.Digest] = c.text
		}
	}
}

// TestTextHasNoNames: a receipt must not tell names of objects or namespaces.
func TestTextHasNoNames(t *testing.T) {
	f := kube.Filter{
		Include: words("cm/hush-object secrets"), Exclude: words("secrets/hush-too"),
		Namespaces: words("hush-namespace"), Prefixes: words("/hush-prefix/"),
	}
	got, err := query(t, f).Selected()
	if err != nil || strings.Contains(got.Text, "hush") {
		t.Errorf("%q, %v", got.Text, err)
	}
	other := f
	other.Namespaces = words("hush-namespaces")
	if same, err := query(t, other).Selected(); err != nil || same.Text != got.Text || same.Digest == got.Digest {
		t.Errorf("%+v, %v: another namespace must have the same text and another digest", same, err)
	}
}

// TestCompileRefusesWhatMakesNoSense: before anything is asked of a view.
func TestCompileRefusesWhatMakesNoSense(t *testing.T) {
	for _, f := range []kube.Filter{{Include: words("cm//x")}, {Exclude: words("/all")}, {Namespaces: words("A")}, {Prefixes: []string{""}}} {
		if _, err := f.Compile(); !errors.Is(err, kube.ErrFilter) {
			t.Errorf("%+v: %v, want %v", f, err, kube.ErrFilter)
		}
	}
}
