package object_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// TestOutsizedQuantitiesAreRefused: whoever can write to etcd can write a quantity that
// apimachinery would compute for days. It is refused before it is parsed, wherever a type
// has quantities; the same text elsewhere is a text.
func TestOutsizedQuantitiesAreRefused(t *testing.T) {
	hostile := []string{
		"1e100", "1234567890123456789e900000000", "-1.5E+2147483647", "1e-2147483648", "9e0000000000000000000000000000000000000000000000000009999",
		strings.Repeat("9", 100_000), "." + strings.Repeat("1", 100_000),
	}
	inJSON := map[string]string{
		"a map":        `{"kind":"ResourceQuota","apiVersion":"v1","metadata":{"name":"a","namespace":"b"},"spec":{"hard":{"cpu":%q}}}`,
		"a name twice": `{"kind":"ResourceQuota","apiVersion":"v1","metadata":{"name":"a","namespace":"b"},"spec":{"hard":{"cpu":%q,"cpu":"1"}}}`,
		"a list":       `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","namespace":"b"},"spec":{"containers":[{"name":"c"},{"name":"d","resources":{"limits":{"cpu":%q}}}]}}`,
		"a pointer":    `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","namespace":"b"},"spec":{"volumes":[{"name":"v","emptyDir":{"sizeLimit":%q}}]}}`,
		"a template":   `{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"a","namespace":"b"},"spec":{"template":{"spec":{"containers":[{"name":"d","resources":{"requests":{"cpu":%q}}}]}}}}`,
	}
	for where, text := range inJSON {
		for _, q := range hostile {
			if _, err := object.Decode(fmt.Appendf(nil, text, q)); !errors.Is(err, object.ErrUndecodable) || strings.Contains(err.Error(), "999") {
				t.Errorf("%s with %.30q: %v", where, q, err)
			}
		}
		for _, q := range []string{"1", "100m", "1e18", "12E6", "0.5", "9223372036854775807", "-128Mi"} {
			if _, err := object.Decode(fmt.Appendf(nil, text, q)); err != nil {
				t.Errorf("%s with %q: %v", where, q, err)
			}
		}
	}
	number := `{"kind":"ResourceQuota","apiVersion":"v1","metadata":{"name":"a","namespace":"b"},"spec":{"hard":{"cpu": 1234567890123456789e900000000}}}`
	if _, err := object.Decode([]byte(number)); !errors.Is(err, object.ErrUndecodable) {
		t.Errorf("a number: %v", err)
	}
	for _, q := range hostile[:5] { // which is what an outsized quantity is in protobuf
		if _, err := object.Decode(quotaInProtobuf(q)); !errors.Is(err, object.ErrUndecodable) {
			t.Errorf("protobuf with %.30q: %v", q, err)
		}
	}
	text := `{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"a","namespace":"b","annotations":{"commit":"12e4567"}},"spec":{"template":{"metadata":{"labels":{"commit":"1e999999"}}}}}`
	if _, err := object.Decode([]byte(text)); err != nil {
		t.Errorf("the beginning of a commit: %v", err)
	}
	for name, quota := range map[string][]byte{
		"the second of two texts": envelope("v1", "ResourceQuota", in(1, word(1, "a")), in(2, in(1, append(word(1, "cpu"), in(2, append(word(1, "1"), word(1, hostile[1])...))...)))),
		"with a suffix":           quotaInProtobuf(strings.Repeat("9", 100_000) + "Mi"),
	} {
		if _, err := object.Decode(quota); !errors.Is(err, object.ErrUndecodable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	named := envelope("v1", "ConfigMap", in(1, word(1, "12e4567")), in(2, append(word(1, "1e999"), word(2, "x")...)))
	if o, err := object.Decode(named); err != nil || o.Meta.Name != "12e4567" {
		t.Errorf("a ConfigMap with such a name and key: %v", err)
	}
	if o, err := object.Decode(quotaInProtobuf("12e6")); err != nil || len(o.NotShown) > 0 {
		t.Errorf("12e6 in protobuf: %v", err)
	}
}

// quotaInProtobuf is a ResourceQuota with this text as a quantity, as a server could never
// have stored it.
func quotaInProtobuf(quantity string) []byte {
	hard := in(1, slices.Concat(word(1, "cpu"), in(2, word(1, quantity))))
	about := in(1, slices.Concat(word(1, "a"), word(3, "b"), word(5, "c")))
	return envelope("v1", "ResourceQuota", about, in(2, hard))
}
