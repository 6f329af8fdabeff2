package object_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// in puts a message into a field, and with into a message that has more fields.
func in(number protowire.Number, message []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), message)
}

func word(number protowire.Number, s string) []byte { return in(number, []byte(s)) }

// stored wraps a message as an API server does.
func envelope(apiVersion, kind string, parts ...[]byte) []byte {
	raw := bytes.Join(parts, nil)
	return append([]byte("k8s\x00"), bytes.Join([][]byte{in(1, append(word(1, apiVersion), word(2, kind)...)), in(2, raw)}, nil)...)
}

// TestFieldsThatNoTypeKnowsAreNamed: a typed decode drops them without a word.
func TestFieldsThatNoTypeKnowsAreNamed(t *testing.T) {
	name := in(1, word(1, "a"))
	number := protowire.AppendVarint(protowire.AppendTag(nil, 900, protowire.VarintType), 1)
	for _, c := range []struct {
		name  string
		value []byte
		want  []string
	}{
		{"nothing unknown", envelope("v1", "ConfigMap", name, in(2, append(word(1, "k"), word(2, "v")...))), nil},
		{"a map in another order", envelope("v1", "ConfigMap", name, in(2, append(word(1, "z"), word(2, "1")...)), in(2, append(word(1, "a"), word(2, "2")...))), nil},
		{"a message at the top", envelope("v1", "ConfigMap", name, in(900, []byte("x"))), []string{"(field 900)"}},
		{"in the metadata", envelope("v1", "ConfigMap", in(1, append(word(1, "a"), word(900, "x")...))), []string{"metadata.(field 900)"}},
		{"a number in a pod's spec", envelope("v1", "Pod", name, in(2, number)), []string{"spec.(field 900)"}},
		{"in one of two containers", envelope("v1", "Pod", name, in(2, bytes.Join([][]byte{in(2, word(1, "one")), in(2, append(word(1, "two"), number...))}, nil))), []string{"spec.containers.(field 900)"}},
		{"in a volume, whose source is inlined", envelope("v1", "Pod", name, in(2, in(1, append(word(1, "v"), in(2, in(900, nil))...)))), []string{"spec.volumes.(field 900)"}},
		{"in JSON", []byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","odd":1},"spec":{"containers":[{"name":"x","image":"i"},{"name":"y","image":"i","odd":{}}]},"Spec":{}}`),
			[]string{"Spec", "metadata.odd", "spec.containers[1].odd"}},
		{"in YAML", []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nodd: 1\n"), []string{"odd"}},
		{"in CBOR", []byte("\xd9\xd9\xf7\xa4\x4aapiVersion\x42v1\x44kind\x49ConfigMap\x48metadata\xa1\x44name\x41a\x43odd\x01"), []string{"odd"}},
		{"in a custom resource, which has no type", []byte(`{"apiVersion":"example.io/v1","kind":"W","metadata":{"name":"a","odd":1},"odd":12345678901234567}`), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := object.Decode(c.value)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(got.NotShown, c.want); diff != "" || got.Meta.Name != "a" {
				t.Errorf("not shown (-got +want):\n%s\n%+v", diff, got.Meta)
			}
			if len(c.want) > 0 && object.Equal(got, got) {
				t.Error("what is not shown in full equals itself")
			}
		})
	}
}

// FuzzDecode: whatever a value is, it is decoded or refused.
func FuzzDecode(f *testing.F) {
	for _, v := range values(f) {
		f.Add(v.Value)
	}
	f.Add(envelope("v1", "Pod", in(2, in(2, nil))))
	f.Add([]byte("\xd9\xd9\xf7\xbf\xff"))
	f.Add([]byte(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"},"data":{"a":"%"}}`))
	f.Add([]byte(`{"a":` + strings.Repeat("[", 9_000)))
	f.Add(quotaInProtobuf("1234567890123456789e900000000"))
	f.Add([]byte(`{"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"a"},"spec":{"hard":{"cpu":"1e2147483647"}}}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		got, err := object.Decode(value)
		if (err == nil) != (got != nil && got.Tree() != nil) {
			t.Errorf("%+v, %v", got, err)
		}
		if err == nil {
			object.NewRedactor().Redact(got)
			got.Substance()
			object.TableOf(got.Meta).Row(got, time.Time{}, true)
			if _, err := got.Clean().ToYAML(); err != nil {
				t.Errorf("it is decoded and cannot be shown: %v", err)
			}
			same(t, "a value", got, &object.Printer{})
		}
	})
}

// TestManagedFieldsThatAreNoJSON: such an object is shown without them, whoever asks, and
// equals no other.
func TestManagedFieldsThatAreNoJSON(t *testing.T) {
	fields := in(17, append(word(1, "a"), in(7, word(1, `{"f:a`))...))
	value := envelope("v1", "ConfigMap", in(1, append(word(1, "a"), fields...)), in(2, append(word(1, "k"), word(2, "v")...)))
	for name, show := range map[string]func(o *object.Object) (string, error){
		"JSON": func(o *object.Object) (string, error) {
			text, err := (&object.Printer{}).AppendJSON(nil, o, "", "")
			return string(text), err
		},
		"YAML": func(o *object.Object) (string, error) { text, err := o.ToYAML(); return string(text), err },
		"the substance, compared": func(o *object.Object) (string, error) {
			if object.Equal(o, o) {
				t.Error("it equals itself")
			}
			return fmt.Sprint(o.Tree()), nil
		},
	} {
		o, err := object.Decode(value)
		if err != nil {
			t.Fatal(err)
		}
		shown, err := show(o)
		if err != nil || !strings.Contains(shown, "k") || strings.Contains(shown, "f:a") {
			t.Errorf("%s: %q, %v", name, shown, err)
		}
		if diff := cmp.Diff(o.NotShown, []string{"metadata.managedFields"}); diff != "" {
			t.Errorf("%s: not shown (-got +want):\n%s", name, diff)
		}
	}
}
