package kube_test

import (
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

func TestEncodingOf(t *testing.T) {
	for _, c := range []struct {
		value     string
		want      kube.Encoding
		encrypted bool
	}{
		{"k8s\x00\n\x00", kube.Protobuf, false},
		{"{}", kube.JSON, false},
		{"\xd9\xd9\xf7\xa0", kube.CBOR, false},
		{"k8s:enc:aescbc:v1:cbc32:\x00\x01", "k8s:enc:aescbc:v1:cbc32", true},
		{"k8s:enc:kms:v2:my-plugin:\n", "k8s:enc:kms:v2:my-plugin", true},
		{"k8s:enc:", "k8s:enc", true},
		{"k8s:enc:aescbc:v1:\xff:", "k8s:enc", true},
		{"k8s:enc:aescbc:v1:" + strings.Repeat("x", 1000) + ":", "k8s:enc", true},
		{"k8s:en", kube.Opaque, false},
		{"", kube.Opaque, false},
		{"1750", kube.Opaque, false},
		{" {}", kube.JSON, false},
		{"\r\n\t {}", kube.JSON, false},
		{"\u0085{a: b}", kube.JSON, false}, // to a kube-apiserver, which then cannot decode it
		{" ", kube.Opaque, false},
		{" k8s\x00", kube.Opaque, false},
		{yamlObject, kube.YAML, false},
		{"--- # a comment\n" + yamlObject, kube.YAML, false},
		{"kind: K\napiVersion: v1\n", kube.Opaque, false},
		{"apiVersion, kind, metadata, name: all words, no object", kube.Opaque, false},
		{"\xd9\xd9", kube.Opaque, false},
	} {
		got := kube.EncodingOf([]byte(c.value))
		if got != c.want || got.Encrypted() != c.encrypted {
			t.Errorf("%.40q: got %q, encrypted %t; want %q, %t", c.value, got, got.Encrypted(), c.want, c.encrypted)
		}
	}
}

// Each kind's real value names the object that its key names.
func TestMetaOfRealValues(t *testing.T) {
	l := newLayout(t)
	kinds := map[string]string{}
	for _, fixture := range []string{"registry-1.36-encrypted.keys.tsv", "registry-1.36.keys.tsv"} {
		for _, line := range truths(t, fixture) {
			if line.form != "enc" {
				kinds[line.key] = line.kind
			}
		}
	}
	read, sealed := 0, 0
	for _, e := range values(t) {
		meta, err := kube.MetaOf(e.Value)
		if kube.EncodingOf(e.Value).Encrypted() || string(e.Key) == "compact_rev_key" {
			sealed++
			if !errors.Is(err, kube.ErrUnreadable) || meta != (kube.Meta{}) {
				t.Errorf("%s: got %+v, %v", e.Key, meta, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", e.Key, err)
			continue
		}
		read++
		if got, want := meta.APIVersion+"/"+meta.Kind, kinds[string(e.Key)]; got != want {
			t.Errorf("%s: got %s, want %s", e.Key, got, want)
		}
		object, ok := l.Parse(e.Key)
		if ok && (meta.Name != object.Name || meta.Namespace != object.Namespace || meta.UID == "") {
			t.Errorf("%s: metadata %+v", e.Key, meta)
		}
		if want := string(e.Key) == "/registry/namespaces/empty-ns"; meta.Deleting != want {
			t.Errorf("%s: deleting %t, want %t", e.Key, meta.Deleting, want)
		}
		if err := l.CheckValue(e.Key, e.Value); err != nil {
			t.Error(err)
		}
	}
	if read < 65 || sealed < 8 {
		t.Errorf("read %d values and found %d sealed", read, sealed)
	}
}

// yamlObject is what kubectl prints with -o yaml.
const yamlObject = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  creationTimestamp: 2026-01-01T00:00:00Z\n  name: a\n  namespace: shop\n  uid: u\ndata:\n  sh: a && *b\n"

// What counts as an object in YAML is what a kube-apiserver can turn into one.
func TestMetaOfYAML(t *testing.T) {
	object := kube.Meta{APIVersion: "v1", Kind: "ConfigMap", Name: "a", Namespace: "shop", UID: "u"}
	bare := kube.Meta{APIVersion: "v1", Kind: "K", Name: "a"}
	for _, c := range []struct {
		name, value string
		want        kube.Meta // zero: no object
	}{
		{"as kubectl prints it", yamlObject, object},
		{"with a second document, which nobody reads", yamlObject + "---\nx\n", object},
		{"in one line", `--- {apiVersion: v1, kind: K, metadata: {name: a}}`, bare},
		{"of quoted words", `"apiVersion": "v1"` + "\nkind: 'K'\nmetadata: {name: \"a\"}", bare},
		{"the last of a name that comes twice", "apiVersion: v1\nkind: Other\nkind: K\nmetadata: {name: other}\nmetadata: {name: a}", bare},
		{"a name that is a date", "apiVersion: v1\nkind: K\nmetadata: {name: 2026-01-01}", kube.Meta{APIVersion: "v1", Kind: "K", Name: "2026-01-01"}},
		{"a name that is a quoted number", "apiVersion: v1\nkind: K\nmetadata: {name: '5'}", kube.Meta{APIVersion: "v1", Kind: "K", Name: "5"}},
		{"being deleted", "apiVersion: v1\nkind: K\nmetadata: {name: a, deletionTimestamp: 2026-01-01T00:00:00Z}", kube.Meta{APIVersion: "v1", Kind: "K", Name: "a", Deleting: true}},
		{"not deleted by a null", "apiVersion: v1\nkind: K\nmetadata: {name: a, deletionTimestamp: null}", bare},
		{"a number for a name", "apiVersion: v1\nkind: K\nmetadata: {name: 5}", kube.Meta{}},
		{"what YAML 1.1 takes for a boolean", "apiVersion: v1\nkind: K\nmetadata: {name: off}", kube.Meta{}},
		{"no apiVersion", "apiversion: v1\nkind: K\nmetadata: {name: apiVersion}", kube.Meta{}},
		{"no kind", "apiVersion: v1\nkind: ~\nmetadata: {name: a}", kube.Meta{}},
		{"no name", "apiVersion: v1\nkind: K\nmetadata: {namespace: a}", kube.Meta{}},
		{"no mapping in metadata", "apiVersion: v1\nkind: K\nmetadata: name", kube.Meta{}},
		{"a list", "- apiVersion: v1\n  kind: K\n  metadata: {name: a}", kube.Meta{}},
		{"one text", `"apiVersion: v1, kind: K, metadata: {name: a}"`, kube.Meta{}},
		{"a key that is a mapping", "apiVersion: v1\nkind: K\nmetadata: {name: a}\n? {a: b}\n: c", kube.Meta{}},
		{"an alias", "apiVersion: v1\nkind: &k K\nmetadata: {name: a}\nx: *k", kube.Meta{}},
		{"an alias to itself", "apiVersion: v1\nkind: K\nmetadata: &m {name: a, x: *m}", kube.Meta{}},
		{"cut off", "apiVersion: v1\nkind: K\nmetadata: {name: a", kube.Meta{}},
		{"no UTF-8", "apiVersion: v1\nkind: K\nmetadata: {name: a}\n# \xff", kube.Meta{}},
		{"a NUL", "apiVersion: v1\nkind: K\nmetadata: {name: a}\nx: \x00", kube.Meta{}},
		{"too long", yamlObject + strings.Repeat("#", 2<<20), kube.Meta{}},
		{"deeper than can be parsed", yamlObject + "x: " + strings.Repeat("[", 20_000), kube.Meta{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := kube.MetaOf([]byte(c.value))
			if diff := cmp.Diff(got, c.want); diff != "" {
				t.Error(diff)
			}
			isObject := c.want != kube.Meta{}
			if (err == nil) != isObject || (kube.EncodingOf([]byte(c.value)) == kube.YAML) != isObject {
				t.Errorf("%v, encoding %s", err, kube.EncodingOf([]byte(c.value)))
			}
		})
	}
}

// A bomb of aliases costs what its text costs.
func TestYAMLBombsDoNotGoOff(t *testing.T) {
	bomb := yamlObject + "x: &x " + strings.Repeat("x", 500_000) + "\ny: [" + strings.Repeat("*x,", 100_000) + "]\n"
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if got := kube.EncodingOf([]byte(bomb)); got != kube.Opaque {
		t.Errorf("it is %s", got)
	}
	runtime.ReadMemStats(&after)
	allocated := after.TotalAlloc - before.TotalAlloc
	if allocated == 0 || allocated > 256<<20 {
		t.Errorf("%d bytes allocated for %d", allocated, len(bomb))
	}
}

// Telling the encoding of values of all other forms allocates nothing.
func TestEncodingsAreTold(t *testing.T) {
	text := []byte(strings.Repeat("just some text, as API v2 has it: ", 1000))
	for _, value := range [][]byte{[]byte("k8s\x00x"), []byte(" {}"), []byte("1750"), text} {
		if got := testing.AllocsPerRun(10, func() { kube.EncodingOf(value) }); got != 0 {
			t.Errorf("%.20q: %v allocations", value, got)
		}
	}
}

func TestMetaOfJSON(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        kube.Meta
	}{
		{"in any order", `{"spec":{"metadata":{"name":"no"}},"metadata":{"uid":"u","namespace":"shop","name":"a","labels":{"name":"no"}},"kind":"K","apiVersion":"g/v1"}` + "\n",
			kube.Meta{APIVersion: "g/v1", Kind: "K", Name: "a", Namespace: "shop", UID: "u"}},
		{"minding the case", `{"metaData":{"name":"no"},"Kind":"no","metadata":{"name":"a","Name":"no","uId":"no"}}`, kube.Meta{Name: "a"}},
		{"being deleted", `{"metadata":{"name":"a","deletionTimestamp":"2026-01-01T00:00:00Z"}}`, kube.Meta{Name: "a", Deleting: true}},
		{"not deleted by a null", `{"metadata":{"name":"a","deletionTimestamp":null}}`, kube.Meta{Name: "a"}},
		{"without metadata", `{}`, kube.Meta{}},
		{"behind white space", "\n\t " + `{"metadata":{"name":"a"}}`, kube.Meta{Name: "a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := kube.MetaOf([]byte(c.value))
			if diff := cmp.Diff(got, c.want); err != nil || diff != "" {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

// Damage is told, and nothing of the value is repeated in the error.
func TestMetaOfRefusesDamage(t *testing.T) {
	secret := valueOf(t, "/registry/secrets/ci/secret-1", "k8s\x00")
	damaged := map[string]string{
		"cut in the envelope": string(secret[:len(secret)/2]),
		"cut at its end":      string(secret[:len(secret)-1]),
		"no protobuf":         "k8s\x00hunter2",
		"metadata twice":      "k8s\x00\x12\x08\x0a\x02\x0a\x00\x0a\x02\x0a\x00",
		"metadata a number":   "k8s\x00\x12\x02\x08\x01",
		"gzip in an envelope": "k8s\x00\x1a\x04gzip",
		"JSON cut":            `{"metadata":{"name":"hunter2"`,
		"JSON with a tail":    `{"metadata":{}} hunter2`,
		"JSON, wrong type":    `{"metadata":{"name":{"a":"hunter2"}}}`,
		"JSON, metadata list": `{"metadata":["hunter2"]}`,
		"JSON, bad syntax":    `{"metadata":hunter2}`,
		"YAML, bad syntax":    "apiVersion: v1\nkind: K\nmetadata: {name: hunter2",
		"JSON behind NEL":     "\u0085{hunter2: {}}",
		"CBOR":                "\xd9\xd9\xf7hunter2",
		"opaque":              "hunter2",
	}
	for name, value := range damaged {
		t.Run(name, func(t *testing.T) {
			_, err := kube.MetaOf([]byte(value))
			if !errors.Is(err, kube.ErrUnreadable) {
				t.Fatalf("got %v", err)
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), `'h'`) {
				t.Errorf("the error repeats the value: %v", err)
			}
		})
	}
}

func FuzzMetaOf(f *testing.F) {
	for _, e := range values(f) {
		f.Add(e.Value)
	}
	for _, seed := range []string{"{", "{}", "k8s\x00", "k8s:enc:a:b:c:d", "\xd9\xd9\xf7", `{"metadata":{"name":1}}`, `{"kind":null,"kind":"\ud800","a":[1e5,-0.1,true]}`, "{\"\xff\":{}}",
		" {}", yamlObject, "apiVersion: v1\nkind: K\nmetadata: &m {name: a, x: *m}", "? kind\n: K\n<<: {apiVersion: v1}\nmetadata: !!map\n  name: |\n    a\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		meta, err := kube.MetaOf(value)
		encoding := kube.EncodingOf(value)
		if err != nil && (!errors.Is(err, kube.ErrUnreadable) || meta != (kube.Meta{})) {
			t.Errorf("%+v, %v", meta, err)
		}
		if err == nil && encoding != kube.Protobuf && encoding != kube.JSON && encoding != kube.YAML {
			t.Errorf("metadata of a value that is %s", encoding)
		}
		if encoding == kube.YAML && (err != nil || meta.APIVersion == "" || meta.Kind == "" || meta.Name == "") {
			t.Errorf("YAML: %+v, %v", meta, err)
		}
		// encoding/json, which reads more slowly, must see no less and no more in it.
		valid := json.Valid(value)
		shaped := err == nil || strings.Contains(err.Error(), "of a wrong type")
		if encoding == kube.JSON && (err == nil && !valid || valid && !shaped) {
			t.Errorf("valid JSON: %v, but got %v", valid, err)
		}
	})
}
