package object_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

const bitmapKey = "/registry/ranges/servicenodeports"

// jsonPorts is a RangeAllocation in JSON that holds ports of 30000-32767.
func jsonPorts(ports ...int) string {
	bits := new(big.Int)
	for _, port := range ports {
		bits.SetBit(bits, port-30000, 1)
	}
	return fmt.Sprintf("{\"kind\":\"RangeAllocation\",\"apiVersion\":\"v1\",\"metadata\":{},\"range\":\"30000-32767\",\"data\":%q}\n", base64.StdEncoding.EncodeToString(bits.Bytes()))
}

// TestThePortsOfAnAPIServer: the bitmaps that API servers wrote are those of their Services.
func TestThePortsOfAnAPIServer(t *testing.T) {
	for _, fixture := range []string{"registry-1.36", "registry-1.36-encrypted"} {
		services, taken := 0, map[int]bool{}
		var value []byte
		for _, e := range entriesOf(t, fixture) {
			if string(e.Key) == bitmapKey {
				value = e.Value
			}
			if !strings.HasPrefix(string(e.Key), "/registry/services/specs/") {
				continue
			}
			o, err := object.Decode(e.Value)
			if err != nil {
				t.Fatal(err)
			}
			services++
			spec, _ := o.Tree()["spec"].(map[string]any)
			list, _ := spec["ports"].([]any)
			for _, p := range list {
				port, _ := p.(map[string]any)
				if number, ok := port["nodePort"].(int64); ok {
					taken[int(number)] = true
				}
			}
		}
		var plain *object.Opener
		got, err := object.Taken(value)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(taken, got); diff != "" {
			t.Errorf("%s: ports taken (-want +got):\n%s", fixture, diff)
		}
		first, last, err := plain.NodePorts(t.Context(), []byte(bitmapKey), value)
		if services < 15 || len(taken) != 5 || first != 30_000 || last != 32_767 || err != nil {
			t.Errorf("%s: %d Services have %d ports of %d-%d, %v", fixture, services, len(taken), first, last, err)
		}
	}
}

// stored is a RangeAllocation as Kubernetes' own serializer writes it.
func stored(t testing.TB, portRange string, ports ...int) []byte {
	t.Helper()
	bits := new(big.Int)
	for _, port := range ports {
		bits.SetBit(bits, port-30_000, 1)
	}
	var out bytes.Buffer
	err := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme).Encode(&corev1.RangeAllocation{
		TypeMeta: metav1.TypeMeta{Kind: "RangeAllocation", APIVersion: "v1"}, Range: portRange, Data: bits.Bytes()}, &out)
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestAPortIsTakenAsAnAPIServerTakesIt: whatever is taken, and is to be taken, the bytes are
// those that Kubernetes' own code makes of a big.Int; in JSON it is that number.
func TestAPortIsTakenAsAnAPIServerTakesIt(t *testing.T) {
	const all = "30000-32767"
	if !bytes.Equal(stored(t, all, 30100, 30101, 30102, 30103, 32724), entriesByKey(t)[bitmapKey]) {
		t.Error("the fixture's bitmap is not what the serializer makes of its ports")
	}
	var none *object.Opener
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var before, more []int
		for range random.IntN(5) {
			before = append(before, 30_000+random.IntN(2768))
		}
		for range random.IntN(4) {
			more = append(more, 30_000+random.IntN(2768))
		}
		both := slices.Concat(before, more)
		for was, want := range map[string]string{
			string(stored(t, all, before...)): string(stored(t, all, both...)),
			jsonPorts(before...):              jsonPorts(both...),
		} {
			if got, err := none.TakePorts(t.Context(), []byte(bitmapKey), []byte(was), more...); err != nil || string(got) != want {
				t.Fatalf("%v and %v: %q, %v, want %q", before, more, got, err, want)
			}
		}
	}
	for _, port := range []int{-1, 0, 29_999, 32_768, 1 << 40} {
		if _, err := none.TakePorts(t.Context(), []byte(bitmapKey), stored(t, all), 30_000, port); err == nil {
			t.Errorf("port %d was taken", port)
		}
	}
}

// entriesByKey are the values of the fixture.
func entriesByKey(t testing.TB) map[string][]byte {
	t.Helper()
	values := map[string][]byte{}
	for _, e := range entriesOf(t, "registry-1.36") {
		values[string(e.Key)] = e.Value
	}
	return values
}

func TestWhatIsNoBitmapIsNotEdited(t *testing.T) {
	good := string(stored(t, "30000-32767", 30_100))
	for name, value := range map[string]string{
		"empty": "", "sealed": "k8s:enc:aescbc:v1:key1:xxx", "CBOR": "\xd9\xd9\xf7\xa0", "cut off": good[:len(good)-40], "another kind": strings.Replace(good, "RangeAllocation", "RangeAllocatiox", 1),
		"a range that is none":  string(stored(t, "30000+2768")),
		"a range backwards":     string(stored(t, "32767-30000")),
		"a range of no ports":   string(stored(t, "30000-99999")),
		"a range with zeros":    string(stored(t, "030000-32767")),
		"ports beyond it":       string(stored(t, "30000-30099", 30_100)),
		"JSON of something":     `{"kind":"RangeAllocation","apiVersion":"v1","range":30000}`,
		"JSON of another kind":  `{"kind":"ConfigMap","apiVersion":"v1","range":"30000-32767"}`,
		"JSON with range twice": `{"kind":"RangeAllocation","apiVersion":"v1","range":"30000-32767","range":"1-2"}`,
	} {
		var none *object.Opener
		if first, last, err := none.NodePorts(t.Context(), []byte(bitmapKey), []byte(value)); err == nil {
			t.Errorf("%s: %d-%d", name, first, last)
		}
		if _, err := none.TakePorts(t.Context(), []byte(bitmapKey), []byte(value)); err == nil {
			t.Errorf("%s: it was edited", name)
		}
	}
}

// TestASealedValueIsEdited: by the keys of the fixture, and so that these open it.
func TestASealedValueIsEdited(t *testing.T) {
	opener, edited := openerOf(t, sealedConfig), map[string]int{}
	change := func(plain []byte) ([]byte, error) { return append(bytes.Clone(plain), " "...), nil }
	for _, e := range entriesOf(t, sealedFixture) {
		encoding := object.EncodingOf(e.Value)
		plain, err := opener.Open(t.Context(), e.Key, e.Value)
		if err != nil {
			t.Fatal(err)
		}
		made, err := opener.Edit(t.Context(), e.Key, e.Value, change)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := opener.Open(t.Context(), e.Key, made); err != nil || string(again) != string(plain)+" " || object.EncodingOf(made) != encoding && encoding.Encrypted() {
			t.Fatalf("%s: %v", e.Key, err)
		}
		same, err := opener.Edit(t.Context(), e.Key, e.Value, func(plain []byte) ([]byte, error) { return bytes.Clone(plain), nil })
		if err != nil || !bytes.Equal(same, e.Value) {
			t.Fatalf("%s was changed by nothing: %v", e.Key, err)
		}
		if encoding.Encrypted() {
			edited[encoding.Seal()]++
			var none *object.Opener
			if _, err := none.Edit(t.Context(), e.Key, e.Value, change); !errors.Is(err, object.ErrSealed) {
				t.Fatalf("%s, without keys: %v", e.Key, err)
			}
		}
	}
	if len(edited) != 3 {
		t.Errorf("edited %v", edited)
	}
}

// FuzzPorts: a bitmap comes from a cluster, and from an archive.
func FuzzPorts(f *testing.F) {
	f.Add(stored(f, "30000-32767", 30_000, 32_767), 30_100)
	f.Add(stored(f, "30000-32767"), 32_767)
	f.Add([]byte(jsonPorts(30_007)), 30_009)
	f.Add([]byte(`{"kind":"RangeAllocation","apiVersion":"v1","range":"1-65535","data":null}`), 65_535)
	f.Add(valueOf(f, bitmapKey, "k8s\x00"), 30_100)
	f.Fuzz(func(t *testing.T, value []byte, port int) {
		var none *object.Opener
		first, last, err := none.NodePorts(t.Context(), []byte(bitmapKey), value)
		if err != nil {
			return
		}
		taken, err := object.Taken(value)
		if err != nil {
			t.Fatal(err)
		}
		made, err := none.TakePorts(t.Context(), []byte(bitmapKey), value, port)
		if (err == nil) != (port >= first && port <= last) {
			t.Fatalf("port %d of %d-%d: %v", port, first, last, err)
		}
		if err != nil {
			return
		}
		again, err := object.Taken(made)
		if err != nil || len(made) > len(value)+16_000 {
			t.Fatalf("%q became %q: %v", value, made, err)
		}
		taken[port] = true
		if diff := cmp.Diff(taken, again); diff != "" {
			t.Fatalf("%q and port %d (-want +got):\n%s", value, port, diff)
		}
		if one, other, err := none.NodePorts(t.Context(), []byte(bitmapKey), made); err != nil || one != first || other != last {
			t.Errorf("%q became %q, of %d-%d: %v", value, made, one, other, err)
		}
		if same, err := none.TakePorts(t.Context(), []byte(bitmapKey), made, port); err != nil || !bytes.Equal(same, made) {
			t.Errorf("%q and port %d again: %q, %v", made, port, same, err)
		}
	})
}
