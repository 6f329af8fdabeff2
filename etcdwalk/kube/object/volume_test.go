package object_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

const volumeKey = "/registry/persistentvolumes/pv"

// jsonVolume is a volume of that policy, with members that no type knows and odd spaces.
func jsonVolume(policy string) string {
	return `{"kind":"PersistentVolume","apiVersion":"v1","metadata":{"name":"pv","uid":"u"},"spec":{"persistentVolumeReclaimPolicy":` + policy +
		`,"claimRef":{ "namespace":"shop", "name":"Delete" },"new":{"persistentVolumeReclaimPolicy":"Delete"}},"status":{"phase":"Released"}}` + "\n"
}

// storedVolume is one as Kubernetes' own serializer writes it.
func storedVolume(t testing.TB, policy corev1.PersistentVolumeReclaimPolicy) []byte {
	t.Helper()
	var out bytes.Buffer
	err := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme).Encode(&corev1.PersistentVolume{
		TypeMeta:   metav1.TypeMeta{Kind: "PersistentVolume", APIVersion: "v1"},
		ObjectMeta: metav1.ObjectMeta{Name: "pv", UID: "u", Annotations: map[string]string{"policy": "Delete"}},
		Spec: corev1.PersistentVolumeSpec{PersistentVolumeReclaimPolicy: policy, StorageClassName: "Delete",
			ClaimRef: &corev1.ObjectReference{Namespace: "shop", Name: "data", UID: "c"}},
		Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeReleased}}, &out)
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestAVolumeIsRetained: by the edit and by nothing else, in each form that it is stored in,
// sealed as it was.
func TestAVolumeIsRetained(t *testing.T) {
	var none *object.Opener
	for was, want := range map[string]string{
		string(storedVolume(t, "Delete")): string(storedVolume(t, "Retain")),
		jsonVolume(`"Delete"`):            jsonVolume(`"Retain"`),
		jsonVolume(`"\u0044elete"`):       jsonVolume(`"Retain"`),
	} {
		if got, err := none.RetainVolume(t.Context(), []byte(volumeKey), []byte(was)); err != nil || string(got) != want {
			t.Errorf("%q became %q, %v, want %q", was, got, err, want)
		}
	}
	volumes := 0
	for _, e := range entriesOf(t, "registry-1.36") { // those of an API server have policy Retain
		if strings.HasPrefix(string(e.Key), "/registry/persistentvolumes/") {
			volumes++
			deleted := bytes.Replace(e.Value, []byte("\x2a\x06Retain"), []byte("\x2a\x06Delete"), 1)
			if got, err := none.RetainVolume(t.Context(), e.Key, deleted); err != nil || !bytes.Equal(got, e.Value) || bytes.Equal(deleted, e.Value) {
				t.Errorf("%s: %q, %v", e.Key, got, err)
			}
		}
	}
	if volumes != 6 {
		t.Errorf("%d volumes", volumes)
	}
}

// TestASealedVolumeIsSealedAgain: by the key that had sealed it, or not at all.
func TestASealedVolumeIsSealedAgain(t *testing.T) {
	opener := openerOf(t, sealedConfig)
	for _, e := range entriesOf(t, sealedFixture) {
		if object.EncodingOf(e.Value).Seal() == "" {
			continue
		}
		sealed, err := opener.Edit(t.Context(), e.Key, e.Value, func([]byte) ([]byte, error) { return storedVolume(t, "Delete"), nil })
		if err != nil {
			t.Fatal(err)
		}
		made, err := opener.RetainVolume(t.Context(), e.Key, sealed)
		if err != nil || object.EncodingOf(made) != object.EncodingOf(e.Value) {
			t.Fatalf("%s: %v", object.EncodingOf(made), err)
		}
		if plain, err := opener.Open(t.Context(), e.Key, made); err != nil || !bytes.Equal(plain, storedVolume(t, "Retain")) {
			t.Fatalf("%q, %v", plain, err)
		}
		var none *object.Opener
		if _, err := none.RetainVolume(t.Context(), e.Key, sealed); !errors.Is(err, object.ErrSealed) {
			t.Fatal(err)
		}
		return
	}
	t.Error("no value is sealed")
}

func TestWhatIsNoVolumeToRetainIsNotEdited(t *testing.T) {
	good := string(storedVolume(t, "Delete"))
	for name, value := range map[string]string{
		"empty": "", "sealed": "k8s:enc:aescbc:v1:key1:xxx", "CBOR": "\xd9\xd9\xf7\xa0", "cut off": good[:len(good)-20],
		"policy Retain":         string(storedVolume(t, "Retain")),
		"policy Recycle":        string(storedVolume(t, "Recycle")),
		"no policy":             strings.Replace(jsonVolume(`"Delete"`), "persistentVolume", "volume", 1),
		"a policy that is none": jsonVolume(`6`),
		"Retain in JSON":        jsonVolume(`"Retain"`),
		"another kind":          strings.Replace(good, "PersistentVolume", "PersistentVolumx", 1),
		"another group":         strings.Replace(jsonVolume(`"Delete"`), `"v1"`, `"example.io/v1"`, 1),
		"the policy twice":      strings.Replace(jsonVolume(`"Delete"`), `"spec":{`, `"spec":{"persistentVolumeReclaimPolicy":"Delete",`, 1),
		"two specs":             strings.Replace(jsonVolume(`"Delete"`), `"spec":{`, `"spec":{"persistentVolumeReclaimPolicy":"Delete"},"spec":{`, 1),
	} {
		var none *object.Opener
		if made, err := none.RetainVolume(t.Context(), []byte(volumeKey), []byte(value)); err == nil {
			t.Errorf("%s: it was edited: %q", name, made)
		}
	}
}

// FuzzRetainVolume: a volume comes from an archive. What is edited is what it was, but for
// its policy, which was Delete.
func FuzzRetainVolume(f *testing.F) {
	f.Add(storedVolume(f, "Delete"))
	f.Add(storedVolume(f, "Retain"))
	f.Add([]byte(jsonVolume(`"Delete"`)))
	f.Add([]byte(jsonVolume(`"Retain"`)))
	f.Fuzz(func(t *testing.T, value []byte) {
		var none *object.Opener
		made, err := none.RetainVolume(t.Context(), []byte(volumeKey), value)
		if err != nil {
			return
		}
		if again, err := none.RetainVolume(t.Context(), []byte(volumeKey), made); err == nil {
			t.Fatalf("%q became %q, and then %q", value, made, again)
		}
		was, errWas := object.Decode(value)
		is, errIs := object.Decode(made)
		if (errWas == nil) != (errIs == nil) {
			t.Fatalf("%q became %q: %v, %v", value, made, errWas, errIs)
		}
		if errWas != nil {
			return
		}
		spec, _ := was.Tree()["spec"].(map[string]any)
		if spec["persistentVolumeReclaimPolicy"] != "Delete" {
			t.Errorf("it was %v", spec)
		}
		spec["persistentVolumeReclaimPolicy"] = "Retain"
		if diff := cmp.Diff(was.Tree(), is.Tree()); diff != "" {
			t.Errorf("%q (-was +is):\n%s", value, diff)
		}
	})
}
