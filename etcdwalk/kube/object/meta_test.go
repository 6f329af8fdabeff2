package object_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer/cbor/direct"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"

	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

func TestEncodingOf(t *testing.T) {
	for _, c := range []struct {
		value     string
		want      object.Encoding
		encrypted bool
	}{
		{"k8s\x00\n\x00", object.Protobuf, false},
		{"{}", object.JSON, false},
		{"\xd9\xd9\xf7\xa0", object.CBOR, false},
		{"k8s:enc:aescbc:v1:cbc32:\x00\x01", "k8s:enc:aescbc:v1:cbc32", true},
		{"k8s:enc:kms:v2:my-plugin:\n", "k8s:enc:kms:v2:my-plugin", true},
		{"k8s:enc:", "k8s:enc", true},
		{"k8s:enc:aescbc:v1:\xff:", "k8s:enc", true},
		{"k8s:enc:aescbc:v1:" + strings.Repeat("x", 1000) + ":", "k8s:enc", true},
		{"k8s:en", object.Opaque, false},
		{"", object.Opaque, false},
		{"1750", object.Opaque, false},
		{" {}", object.JSON, false},
		{"\r\n\t {}", object.JSON, false},
		{"\u0085{a: b}", object.JSON, false}, // to a kube-apiserver, which then cannot decode it
		{" ", object.Opaque, false},
		{" k8s\x00", object.Opaque, false},
		{yamlObject, object.YAML, false},
		{"--- # a comment\n" + yamlObject, object.YAML, false},
		{"kind: K\napiVersion: v1\n", object.Opaque, false},
		{"apiVersion, kind, metadata, name: all words, no object", object.Opaque, false},
		{"\xd9\xd9", object.Opaque, false},
	} {
		got := object.EncodingOf([]byte(c.value))
		if got != c.want || got.Encrypted() != c.encrypted {
			t.Errorf("%.40q: got %q, encrypted %t; want %q, %t", c.value, got, got.Encrypted(), c.want, c.encrypted)
		}
	}
}

// yamlObject is what kubectl prints with -o yaml.
const yamlObject = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  creationTimestamp: 2026-01-01T00:00:00Z\n  name: a\n  namespace: shop\n  uid: u\ndata:\n  sh: a && *b\n"

// What counts as an object in YAML is what a kube-apiserver can turn into one.
func TestMetaOfYAML(t *testing.T) {
	whole := object.Meta{APIVersion: "v1", Kind: "ConfigMap", Name: "a", Namespace: "shop", UID: "u", Created: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	bare := object.Meta{APIVersion: "v1", Kind: "K", Name: "a"}
	for _, c := range []struct {
		name, value string
		want        object.Meta // zero: no object
	}{
		{"as kubectl prints it", yamlObject, whole},
		{"with a second document, which nobody reads", yamlObject + "---\nx\n", whole},
		{"in one line", `--- {apiVersion: v1, kind: K, metadata: {name: a}}`, bare},
		{"of quoted words", `"apiVersion": "v1"` + "\nkind: 'K'\nmetadata: {name: \"a\"}", bare},
		{"the last of a name that comes twice", "apiVersion: v1\nkind: Other\nkind: K\nmetadata: {name: other}\nmetadata: {name: a}", bare},
		{"a name that is a date", "apiVersion: v1\nkind: K\nmetadata: {name: 2026-01-01}", object.Meta{APIVersion: "v1", Kind: "K", Name: "2026-01-01"}},
		{"a name that is a quoted number", "apiVersion: v1\nkind: K\nmetadata: {name: '5'}", object.Meta{APIVersion: "v1", Kind: "K", Name: "5"}},
		{"being deleted", "apiVersion: v1\nkind: K\nmetadata: {name: a, deletionTimestamp: 2026-01-01T00:00:00Z}", object.Meta{APIVersion: "v1", Kind: "K", Name: "a", Deleting: true}},
		{"not deleted by a null", "apiVersion: v1\nkind: K\nmetadata: {name: a, deletionTimestamp: null}", bare},
		{"a number for a name", "apiVersion: v1\nkind: K\nmetadata: {name: 5}", object.Meta{}},
		{"what YAML 1.1 takes for a boolean", "apiVersion: v1\nkind: K\nmetadata: {name: off}", object.Meta{}},
		{"no apiVersion", "apiversion: v1\nkind: K\nmetadata: {name: apiVersion}", object.Meta{}},
		{"no kind", "apiVersion: v1\nkind: ~\nmetadata: {name: a}", object.Meta{}},
		{"no name", "apiVersion: v1\nkind: K\nmetadata: {namespace: a}", object.Meta{}},
		{"no mapping in metadata", "apiVersion: v1\nkind: K\nmetadata: name", object.Meta{}},
		{"a list", "- apiVersion: v1\n  kind: K\n  metadata: {name: a}", object.Meta{}},
		{"one text", `"apiVersion: v1, kind: K, metadata: {name: a}"`, object.Meta{}},
		{"a key that is a mapping", "apiVersion: v1\nkind: K\nmetadata: {name: a}\n? {a: b}\n: c", object.Meta{}},
		{"an alias", "apiVersion: v1\nkind: &k K\nmetadata: {name: a}\nx: *k", object.Meta{}},
		{"an alias to itself", "apiVersion: v1\nkind: K\nmetadata: &m {name: a, x: *m}", object.Meta{}},
		{"cut off", "apiVersion: v1\nkind: K\nmetadata: {name: a", object.Meta{}},
		{"no UTF-8", "apiVersion: v1\nkind: K\nmetadata: {name: a}\n# \xff", object.Meta{}},
		{"a NUL", "apiVersion: v1\nkind: K\nmetadata: {name: a}\nx: \x00", object.Meta{}},
		{"too long", yamlObject + strings.Repeat("#", 2<<20), object.Meta{}},
		{"deeper than can be parsed", yamlObject + "x: " + strings.Repeat("[", 20_000), object.Meta{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, got, err := object.Read([]byte(c.value))
			if diff := cmp.Diff(got, c.want); diff != "" {
				t.Error(diff)
			}
			isObject := c.want.Name != ""
			if (err == nil) != isObject || (object.EncodingOf([]byte(c.value)) == object.YAML) != isObject {
				t.Errorf("%v, encoding %s", err, object.EncodingOf([]byte(c.value)))
			}
		})
	}
}

// A bomb of aliases costs what its text costs.
func TestYAMLBombsDoNotGoOff(t *testing.T) {
	bomb := yamlObject + "x: &x " + strings.Repeat("x", 500_000) + "\ny: [" + strings.Repeat("*x,", 100_000) + "]\n"
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if got := object.EncodingOf([]byte(bomb)); got != object.Opaque {
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
		if got := testing.AllocsPerRun(10, func() { object.EncodingOf(value) }); got != 0 {
			t.Errorf("%.20q: %v allocations", value, got)
		}
	}
}

func TestMetaOfJSON(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        object.Meta
	}{
		{"in any order", `{"spec":{"metadata":{"name":"no"}},"metadata":{"uid":"u","namespace":"shop","name":"a","labels":{"name":"no"}},"kind":"K","apiVersion":"g/v1"}` + "\n",
			object.Meta{APIVersion: "g/v1", Kind: "K", Name: "a", Namespace: "shop", UID: "u", Labels: map[string]string{"name": "no"}}},
		{"minding the case", `{"metaData":{"name":"no"},"Kind":"no","metadata":{"name":"a","Name":"no","uId":"no"}}`, object.Meta{Name: "a"}},
		{"being deleted", `{"metadata":{"name":"a","deletionTimestamp":"2026-01-01T00:00:00Z"}}`, object.Meta{Name: "a", Deleting: true}},
		{"not deleted by a null", `{"metadata":{"name":"a","deletionTimestamp":null}}`, object.Meta{Name: "a"}},
		{"without metadata", `{}`, object.Meta{}},
		{"behind white space", "\n\t " + `{"metadata":{"name":"a"}}`, object.Meta{Name: "a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, got, err := object.Read([]byte(c.value))
			if diff := cmp.Diff(got, c.want); err != nil || diff != "" {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

// encoded is a tree in YAML, and in CBOR as it is stored.
func encoded(t *testing.T, tree map[string]any) (inYAML, inCBOR []byte) {
	t.Helper()
	inYAML, err := yaml.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	inCBOR, err = direct.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	return inYAML, append([]byte("\xd9\xd9\xf7"), inCBOR...)
}

// The same object is read alike in each encoding.
func TestReadInEachEncoding(t *testing.T) {
	const owned = `{"apiVersion":"apps/v1","kind":"ReplicaSet","spec":{"metadata":{"labels":{"no":"no"}}},"metadata":{
		"name":"web-1","namespace":"shop","uid":"u","generation":3,"creationTimestamp":"2026-01-02T03:04:05Z","deletionTimestamp":"2026-01-02T03:04:06Z",
		"labels":{"app":"web","tier":""},"annotations":{"a":"b"},"finalizers":["a.io/x","foregroundDeletion"],
		"ownerReferences":[{"apiVersion":"apps/v1","kind":"Deployment","name":"web","uid":"o1","controller":true,"blockOwnerDeletion":true},{"apiVersion":"v1","kind":"Node","name":"n","uid":"o2"}]}}`
	want := object.Meta{
		APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web-1", Namespace: "shop", UID: "u",
		Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Deleting: true,
		Labels: map[string]string{"app": "web", "tier": ""}, Finalizers: []string{"a.io/x", "foregroundDeletion"},
		Owners: []object.Owner{{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", UID: "o1", Controller: true}, {APIVersion: "v1", Kind: "Node", Name: "n", UID: "o2"}},
	}
	var tree map[string]any
	var rs appsv1.ReplicaSet
	for _, to := range []any{&tree, &rs} {
		if err := json.Unmarshal([]byte(owned), to); err != nil {
			t.Fatal(err)
		}
	}
	inYAML, inCBOR := encoded(t, tree)
	var inProtobuf bytes.Buffer
	if err := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme).Encode(&rs, &inProtobuf); err != nil {
		t.Fatal(err)
	}
	for encoding, value := range map[object.Encoding][]byte{
		object.JSON: []byte(owned), object.YAML: inYAML, object.CBOR: inCBOR, object.Protobuf: inProtobuf.Bytes(),
	} {
		as, got, err := object.Read(value)
		if diff := cmp.Diff(got, want); err != nil || as != encoding || diff != "" {
			t.Errorf("%s, read as %s: %v\n%s", encoding, as, err, diff)
		}
	}
}

// Metadata of another type than its own is nothing, as a kube-apiserver drops it in a
// custom resource, and the rest is read.
func TestMalformedMetadataIsDropped(t *testing.T) {
	const odd = `{"apiVersion":"g/v1","kind":"K","metadata":{"name":"a","labels":{"a":1},"finalizers":"x","ownerReferences":[{"uid":1}],"creationTimestamp":{"a":[]}}}`
	var tree map[string]any
	if err := json.Unmarshal([]byte(odd), &tree); err != nil {
		t.Fatal(err)
	}
	inYAML, inCBOR := encoded(t, tree)
	want := object.Meta{APIVersion: "g/v1", Kind: "K", Name: "a"}
	for _, value := range [][]byte{[]byte(odd), inYAML, inCBOR} {
		as, got, err := object.Read(value)
		if diff := cmp.Diff(got, want); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", as, err, diff)
		}
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
			_, _, err := object.Read([]byte(value))
			if !errors.Is(err, object.ErrUnreadable) {
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
		encoding, meta, err := object.Read(value)
		if err != nil && (!errors.Is(err, object.ErrUnreadable) || !cmp.Equal(meta, object.Meta{})) {
			t.Errorf("%+v, %v", meta, err)
		}
		if err == nil && (encoding == object.Opaque || encoding.Encrypted()) || encoding != object.EncodingOf(value) {
			t.Errorf("metadata of a value that is %s", encoding)
		}
		if encoding == object.YAML && (err != nil || meta.APIVersion == "" || meta.Kind == "" || meta.Name == "") {
			t.Errorf("YAML: %+v, %v", meta, err)
		}
		// encoding/json, which reads more slowly, must see no less and no more in it.
		valid := json.Valid(value)
		shaped := err == nil || strings.Contains(err.Error(), "of a wrong type")
		if encoding == object.JSON && (err == nil && !valid || valid && !shaped) {
			t.Errorf("valid JSON: %v, but got %v", valid, err)
		}
	})
}
