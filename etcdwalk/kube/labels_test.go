package kube_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
	"github.com/kubeferry/kubeferry/scripts/fixtures/database"
)

// labelled are the labels of a fixture's objects as the API server showed them, by
// kind, namespace and name.
func labelled(t *testing.T, fixture string) map[string]map[string]string {
	t.Helper()
	objects, err := database.Objects(filepath.Join("..", "..", "testdata", "fixtures", fixture+".objects.jsonl.zst"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string]string{}
	for _, text := range objects {
		var o struct {
			Kind     string
			Metadata struct {
				Namespace, Name string
				Labels          map[string]string
			}
		}
		if err := json.Unmarshal(text, &o); err != nil {
			t.Fatal(err)
		}
		m := o.Metadata
		all[o.Kind+" "+m.Namespace+"/"+m.Name] = m.Labels
	}
	return all
}

// A requirement is one of a selector, and whether labels meet it: the grammar of kubectl,
// told once more.
type requirement struct {
	text string
	met  func(labels map[string]string) bool
}

func requirements(keys, values []string) *rapid.Generator[requirement] {
	return rapid.Custom(func(t *rapid.T) requirement {
		key := rapid.SampledFrom(keys).Draw(t, "key")
		some := rapid.SliceOfN(rapid.SampledFrom(values), 1, 3).Draw(t, "values")
		has := func(l map[string]string) bool { _, ok := l[key]; return ok }
		in := func(l map[string]string) bool { return has(l) && slices.Contains(some, l[key]) }
		return rapid.SampledFrom([]requirement{
			{key + "=" + some[0], func(l map[string]string) bool { return has(l) && l[key] == some[0] }},
			{key + " == " + some[0], func(l map[string]string) bool { return has(l) && l[key] == some[0] }},
			{key + "!=" + some[0], func(l map[string]string) bool { return !has(l) || l[key] != some[0] }},
			{key + " in (" + strings.Join(some, ", ") + ")", in},
			{key + " notin (" + strings.Join(some, ",") + ")", func(l map[string]string) bool { return !in(l) }},
			{key, has},
			{"!" + key, func(l map[string]string) bool { return !has(l) }},
		}).Draw(t, "requirement")
	})
}

// TestLabelsAgainstTheTruth: what 200 selectors take is what the labels say that the
// API server showed.
func TestLabelsAgainstTheTruth(t *testing.T) {
	const fixture = "registry-1.36-encrypted"
	db, err := database.Read(filepath.Join("..", "..", "testdata", "fixtures", fixture+".db.zst"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join("..", "..", "testdata", "fixtures", fixture+".config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	opener, err := object.ParseEncryption(config)
	if err != nil {
		t.Fatal(err)
	}
	view, truth := walktest.NewView(db.Entries...), labelled(t, fixture)
	keys, values := map[string]bool{"nobody": true}, map[string]bool{"nothing": true}
	for _, labels := range truth {
		for key, value := range labels {
			if keys[key] = true; value != "" {
				values[value] = true
			}
		}
	}
	draw := requirements(sortedKeys(keys), sortedKeys(values))
	tried, taken := 0, 0
	check := func(t *rapid.T) {
		all := rapid.SliceOfN(draw, 1, 3).Draw(t, "selector")
		var words []string
		for _, r := range all {
			words = append(words, r.text)
		}
		q, err := kube.Filter{Labels: strings.Join(words, ",")}.Compile()
		if err != nil {
			t.Fatal(err)
		}
		sel, err := q.Opening(opener).Resolve(t.Context(), view)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for e, err := range view.Walk(t.Context(), sel) {
			if err != nil {
				t.Fatal(err)
			}
			plain, err := opener.Open(t.Context(), e.Key, e.Value)
			if err != nil {
				t.Fatal(err)
			}
			_, m, err := object.Read(plain)
			if name := m.Kind + " " + m.Namespace + "/" + m.Name; err == nil && hasTruth(truth, name) {
				got[name] = true
			}
		}
		if err := sel.Err(); err != nil {
			t.Fatal(err)
		}
		want := map[string]bool{}
		for name, labels := range truth {
			met := true
			for _, r := range all {
				met = met && r.met(labels)
			}
			// Component statuses are stored nowhere, and some events are shown twice.
			if met && !strings.HasPrefix(name, "ComponentStatus ") {
				want[name] = true
			}
		}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Fatalf("-l %q takes (-got +want):\n%s", strings.Join(words, ","), diff)
		}
		tried++
		taken += len(got)
	}
	for tried < 200 {
		rapid.Check(t, check)
	}
	if taken < tried*10 {
		t.Errorf("%d selectors took %d objects, which shows little", tried, taken)
	}
}

func hasTruth(truth map[string]map[string]string, name string) bool { _, ok := truth[name]; return ok }

func sortedKeys(set map[string]bool) []string {
	var all []string
	for key := range set {
		all = append(all, key)
	}
	slices.Sort(all)
	return all
}

type nowhere struct{}

func (nowhere) Put(context.Context, etcdwalk.Entry) error { return nil }

// TestLabelsOfSealedValues: a value that cannot be read is an error that says how many
// there are, and never passed over.
func TestLabelsOfSealedValues(t *testing.T) {
	entry := func(name, value string) etcdwalk.Entry {
		return etcdwalk.Entry{Key: []byte("/registry/configmaps/shop/" + name), Value: []byte(value)}
	}
	labelledOne := entry("a", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"shop","labels":{"app":"web"}}}`)
	for _, c := range []struct {
		name    string
		entries []etcdwalk.Entry
		class   error
		want    string
	}{
		{"all can be read", nil, nil, ""},
		{"sealed", []etcdwalk.Entry{entry("b", "k8s:enc:aescbc:v1:k:x"), entry("c", "k8s:enc:aescbc:v1:k:y"), entry("d", "k8s:enc:secretbox:v1:s:y")}, object.ErrSealed, "2 values sealed at rest by aescbc key k, 1 value sealed at rest by secretbox key s"},
		{"by a KMS", []etcdwalk.Entry{entry("b", "k8s:enc:kms:v2:vault:x")}, kube.ErrFilter, "1 value sealed at rest by kms v2 plugin vault"},
		{"damaged", []etcdwalk.Entry{entry("b", "k8s\x00\xff")}, kube.ErrValue, "1 value without readable metadata"},
	} {
		t.Run(c.name, func(t *testing.T) {
			view := walktest.NewView(append(c.entries, labelledOne)...)
			q := query(t, kube.Filter{Labels: "app=web"})
			sel, err := q.Resolve(t.Context(), view)
			if err != nil {
				t.Fatal(err)
			}
			_, err = etcdwalk.Copy(t.Context(), nowhere{}, view, sel, nil)
			if !errors.Is(err, c.class) || c.class == nil && err != nil || !strings.Contains(fmt.Sprint(err), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}
