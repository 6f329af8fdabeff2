package ferry_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/kubetest"
	values "github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// volume is a PersistentVolume in JSON, with the key that it lies under.
func volume(name, policy, claim, phase string) (key, value string) {
	return "/registry/persistentvolumes/" + name, fmt.Sprintf(`{"kind":"PersistentVolume","apiVersion":"v1","metadata":{"name":%q,"uid":"uid-of-%s"},"spec":{"persistentVolumeReclaimPolicy":%q,"claimRef":{"namespace":"shop","name":%q,"uid":"uid-of-%s"}},"status":{"phase":%q}}`+"\n",
		name, name, policy, claim, claim, phase)
}

// storedVolume is one as an API server stores it.
func storedVolume(t *testing.T, name, policy, claim string) (key, value string) {
	t.Helper()
	var out bytes.Buffer
	err := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme).Encode(&corev1.PersistentVolume{
		TypeMeta:   metav1.TypeMeta{Kind: "PersistentVolume", APIVersion: "v1"},
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: "uid-of-x"},
		Spec: corev1.PersistentVolumeSpec{PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimPolicy(policy),
			ClaimRef: &corev1.ObjectReference{Namespace: "shop", Name: claim, UID: "c"}}}, &out)
	if err != nil {
		t.Fatal(err)
	}
	return "/registry/persistentvolumes/" + name, out.String()
}

func claim(name string) (key, value string) {
	return "/registry/persistentvolumeclaims/shop/" + name, fmt.Sprintf(`{"kind":"PersistentVolumeClaim","apiVersion":"v1","metadata":{"name":%q,"namespace":"shop","uid":"uid-of-%s"},"spec":{}}`, name, name)
}

// cellar is a harbour with volumes, whose policy is that: of a claim that is there, of one
// that is not, released, as an API server stores it, and sealed.
func cellar(t *testing.T, policy string, seal func(key, value string) string) *harbour {
	t.Helper()
	var entries []etcdwalk.Entry
	add := func(key, value string) {
		entries = append(entries, etcdwalk.Entry{Key: []byte(key), Value: []byte(value)})
	}
	add(kubeSystem())
	add(namespace("shop"))
	add(claim("there"))
	add(volume("claimed", "Delete", "there", "Bound"))
	add(volume("alone", policy, "gone", "Bound"))
	add(volume("released", policy, "there", "Released"))
	add(storedVolume(t, "stored", policy, "gone"))
	if seal != nil {
		key, value := volume("sealed", policy, "gone", "Bound")
		add(key, seal(key, value))
		key, value = volume("sealed-too", "Retain", "there", "Bound")
		add(key, seal(key, value))
	}
	return newHarbour(t, entries...)
}

var lostVolumes = []string{"/registry/persistentvolumes/alone", "/registry/persistentvolumes/claimed", "/registry/persistentvolumes/released", "/registry/persistentvolumes/sealed", "/registry/persistentvolumes/stored"}

// TestVolumesWhoseDisksWouldGoAreRetained: those, and no byte of the others; to a second run,
// to the one that reads back, and to the one that looks again, all is as it was written.
func TestVolumesWhoseDisksWouldGoAreRetained(t *testing.T) {
	opener, seal, open := kubetest.Sealing(t)
	h, want := cellar(t, "Delete", seal), cellar(t, "Retain", seal)
	h.del(lostVolumes...)
	r := h.restore(kube.Filter{Include: []string{"pv"}})
	r.Query = r.Query.Opening(opener)
	if planned, err := r.Plan(t.Context()); !errors.Is(err, etcdwalk.ErrRefused) || planned.Counts[replay.Refused] != 4 || len(planned.Retained) > 0 {
		t.Fatalf("without being asked: %v", err)
	}
	r.RetainVolumes = true
	planned, _ := mustRestore(t, r)
	told := slices.DeleteFunc(slices.Clone(lostVolumes), func(key string) bool { return strings.HasSuffix(key, "claimed") })
	if got := texts(planned.Retained); !slices.Equal(got, told) {
		t.Errorf("told are %q", got)
	}
	for _, key := range lostVolumes {
		is, should := h.get(key), want.get(key)
		if strings.HasSuffix(key, "sealed") {
			is, should = open(key, is), open(key, should)
		}
		if is != should {
			t.Errorf("%s is %q", key, is)
		}
	}
	if back, err := r.ReadBack(t.Context(), planned); err != nil || back.Keys != 5 {
		t.Errorf("read back: %+v, %v", back, err)
	}
	if seen, err := r.Watch(t.Context(), planned, time.Millisecond); err != nil || seen.Count > 0 {
		t.Errorf("looked at again: %+v, %v", seen, err)
	}
	before := now(t, h.Cluster)
	planned, done := mustRestore(t, r)
	if len(planned.Retained) > 0 || done.Counts[replay.Unchanged] != 6 || now(t, h.Cluster) != before {
		t.Errorf("again: %v, retained %q", done.Counts, planned.Retained)
	}
}

// TestAVolumeThatCannotBeReadIsNotRetained: nothing is written, and the reason is told. One
// that is there as it was is nobody's concern.
func TestAVolumeThatCannotBeReadIsNotRetained(t *testing.T) {
	_, seal, _ := kubetest.Sealing(t)
	h := cellar(t, "Delete", seal)
	r := h.restore(kube.Filter{Include: []string{"pv"}})
	r.RetainVolumes = true
	if planned, done := mustRestore(t, r); done.Counts[replay.Unchanged] != 6 || len(planned.Retained) > 0 {
		t.Errorf("while all is there: %v", done.Counts)
	}
	h.del(lostVolumes...)
	before := now(t, h.Cluster)
	_, err := r.Plan(t.Context())
	if !errors.Is(err, etcdwalk.ErrRefused) || !errors.Is(err, values.ErrSealed) || !strings.Contains(err.Error(), "persistentvolumes/sealed: give the volume the reclaim policy Retain: sealed at rest by aesgcm key key1") || now(t, h.Cluster) != before {
		t.Errorf("got %v", err)
	}
}

// TestAVolumeThatIsThereKeepsItsPolicy: what would not be written is not retained, and the
// policy on conflicts goes by what would be.
func TestAVolumeThatIsThereKeepsItsPolicy(t *testing.T) {
	const key = "/registry/persistentvolumes/alone"
	_, was := volume("alone", "Delete", "gone", "Bound")
	_, moved := volume("alone", "Delete", "gone", "Available")
	_, other := volume("alone", "Delete", "another", "Bound")
	_, retained := volume("alone", "Retain", "gone", "Bound")
	_, released := volume("alone", "Retain", "gone", "Released")
	for name, c := range map[string]struct {
		there  string
		policy replay.Policy
		fate   replay.Fate
		is     string
		told   int
	}{
		"as it was":             {was, replay.Overwrite, replay.Unchanged, was, 0},
		"its status has moved":  {moved, replay.Overwrite, replay.Unchanged, moved, 0},
		"retained and released": {released, replay.Fail, replay.Unchanged, released, 0},
		"another, and skip":     {other, replay.Skip, replay.Skipped, other, 0},
		"another, to replace":   {other, replay.Overwrite, replay.Replaced, retained, 1},
	} {
		h := cellar(t, "Delete", nil)
		put(t, h.client, key, c.there)
		r := h.restore(kube.Filter{Include: []string{"pv/alone"}})
		r.RetainVolumes, r.Policy = true, c.policy
		planned, done := mustRestore(t, r)
		if done.Counts[c.fate] != 1 || h.get(key) != c.is || len(planned.Retained) != c.told {
			t.Errorf("%s: %v, told %q, it is %s", name, done.Counts, planned.Retained, h.get(key))
		}
	}
}

// TestAClaimThatIsKeptIsNotTheVolumes: a claim that is selected, and stays another's or on its
// way out since the policy says so, keeps no disk.
func TestAClaimThatIsKeptIsNotTheVolumes(t *testing.T) {
	const key = "/registry/persistentvolumes/claimed"
	claimKey, was := claim("there")
	another := strings.Replace(was, "uid-of-there", "another", 1)
	for name, c := range map[string]struct {
		there   string // the claim in the cluster
		policy  replay.Policy
		refused bool
	}{
		"no claim, and skip":        {"", replay.Skip, false},
		"its claim":                 {was, replay.Skip, false},
		"another claim":             {another, replay.Skip, true},
		"its claim is being let go": {beingDeleted(was), replay.Skip, true},
		"another, to replace":       {another, replay.Overwrite, false},
	} {
		h := cellar(t, "Delete", nil)
		h.del(key, claimKey)
		if c.there != "" {
			put(t, h.client, claimKey, c.there)
		}
		r := h.restore(kube.Filter{Include: []string{"pv/claimed", "pvc/there"}, Namespaces: []string{"shop"}})
		r.Policy = c.policy
		planned, err := r.Plan(t.Context())
		if errors.Is(err, etcdwalk.ErrRefused) != c.refused || !c.refused && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if lines := planned.Examples[replay.Refused]; c.refused && (len(lines) != 1 || !strings.Contains(lines[0].Reason, "its claim shop/there (uid uid-of-there) would stay another's, or on its way out")) {
			t.Errorf("%s: %+v", name, lines)
		}
		r.RetainVolumes = true
		if planned, _ = mustRestore(t, r); len(planned.Retained) > 0 != c.refused {
			t.Errorf("%s: retained %q", name, planned.Retained)
		}
	}
}

// TestTheDiskOfARetainedVolumeStays: with the controller at work that deletes such disks.
func TestTheDiskOfARetainedVolumeStays(t *testing.T) {
	h := cellar(t, "Delete", nil)
	h.del("/registry/persistentvolumes/alone", "/registry/persistentvolumes/stored", "/registry/persistentvolumes/released")
	r := h.restore(kube.Filter{Include: []string{"pv/alone"}})
	r.RetainVolumes = true
	mustRestore(t, r)
	others, err := kubetest.New(h.Cluster, h.Target(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := others.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	left := h.get("/registry/persistentvolumes/alone")
	if !strings.Contains(left, "Retain") || !strings.Contains(left, "Released") || others.Acts["volumes"] == 0 {
		t.Errorf("the controller has left %q: %v", left, others.Acts)
	}
}
