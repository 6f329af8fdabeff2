package object_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

func substance(value []byte) string {
	var b bytes.Buffer
	(*object.Opener)(nil).WriteSubstance(context.Background(), &b, nil, value)
	return b.String()
}

// asStored is an object as an API server stores it.
func asStored(t *testing.T, o runtime.Object) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme).Encode(o, &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Both ways to compare substance agree: by the trees, and by the bytes.
func TestSubstanceByTreesAndByBytes(t *testing.T) {
	about := func(kind, group, fields string) (metav1.TypeMeta, metav1.ObjectMeta) {
		return metav1.TypeMeta{Kind: kind, APIVersion: group + "v1"}, metav1.ObjectMeta{
			Name: "web", Namespace: "shop", UID: "u-1", Labels: map[string]string{"a": "1", "b": "2"},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: fields, FieldsV1: metav1.NewFieldsV1(`{"f:` + fields + `":{}}`)}},
		}
	}
	deployment := func(change func(*appsv1.Deployment), fields string) []byte {
		d := &appsv1.Deployment{Status: appsv1.DeploymentStatus{Replicas: 3}}
		d.TypeMeta, d.ObjectMeta = about("Deployment", "apps/", fields)
		change(d)
		return asStored(t, d)
	}
	lease := func(holder string, seconds int32) []byte {
		now := metav1.NewMicroTime(time.Now())
		l := &coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder, RenewTime: &now, LeaseDurationSeconds: &seconds}}
		l.TypeMeta, l.ObjectMeta = about("Lease", "coordination.k8s.io/", "x")
		return asStored(t, l)
	}
	node := func(unschedulable bool, ready corev1.ConditionStatus) []byte {
		n := &corev1.Node{Spec: corev1.NodeSpec{Unschedulable: unschedulable}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: "Ready", Status: ready}}}}
		n.TypeMeta, n.ObjectMeta = about("Node", "", "x")
		return asStored(t, n)
	}
	custom := func(size int, phase, fields string) []byte {
		return fmt.Appendf(nil, `{"apiVersion":"example.com/v1","kind":"Lake","metadata":{"managedFields":[{"manager":%q}],"name":"web","uid":"u-1"},"spec":{"size":%d},"status":{"phase":%q}}`+"\n", fields, size, phase)
	}
	nothing := func(*appsv1.Deployment) {}
	for _, tt := range []struct {
		name string
		a, b []byte
		same bool
	}{
		{"the same", deployment(nothing, "x"), deployment(nothing, "x"), true},
		{"another status", deployment(nothing, "x"), deployment(func(d *appsv1.Deployment) { d.Status.Replicas, d.Status.ReadyReplicas = 1, 1 }, "x"), true},
		{"no status", deployment(nothing, "x"), deployment(func(d *appsv1.Deployment) { d.Status = appsv1.DeploymentStatus{} }, "x"), true},
		{"other managers", deployment(nothing, "x"), deployment(nothing, "y"), true},
		{"no managers", deployment(nothing, "x"), deployment(func(d *appsv1.Deployment) { d.ManagedFields = nil }, "x"), true},
		{"another UID", deployment(nothing, "x"), deployment(func(d *appsv1.Deployment) { d.UID = "u-2" }, "x"), false},
		{"another label", deployment(nothing, "x"), deployment(func(d *appsv1.Deployment) { d.Labels["a"] = "3" }, "x"), false},
		{"another spec", deployment(nothing, "x"), deployment(func(d *appsv1.Deployment) { d.Spec.Paused = true }, "x"), false},
		{"a deletion", deployment(nothing, "x"), deployment(func(d *appsv1.Deployment) { now := metav1.Now(); d.DeletionTimestamp = &now }, "x"), false},
		{"a Lease that was renewed", lease("a", 15), lease("b", 15), true},
		{"another duration", lease("a", 15), lease("a", 30), false},
		{"a Node that is ready now", node(false, "True"), node(false, "False"), true},
		{"a Node that was cordoned", node(false, "True"), node(true, "True"), false},
		{"the status of a custom resource", custom(1, "Ready", "x"), custom(1, "Pending", "y"), true},
		{"a Lease with its kind last", []byte(`{"spec":{"holderIdentity":"a","leaseDurationSeconds":15},"kind":"Lease","apiVersion":"coordination.k8s.io/v1"}`),
			[]byte(`{"spec":{"holderIdentity":"b","leaseDurationSeconds":15},"kind":"Lease","apiVersion":"coordination.k8s.io/v1"}`), true},
		{"a custom resource", custom(1, "Ready", "x"), custom(2, "Ready", "x"), false},
	} {
		a, errA := object.Decode(tt.a)
		b, errB := object.Decode(tt.b)
		if errA != nil || errB != nil {
			t.Fatal(tt.name, errA, errB)
		}
		if got := object.Equal(a, b); got != tt.same {
			t.Errorf("%s: %t by the trees", tt.name, got)
		}
		if got := substance(tt.a) == substance(tt.b); got != tt.same {
			t.Errorf("%s: %t by the bytes", tt.name, got)
		}
	}
}

// No two values of a real cluster have one substance, and none is empty.
func TestSubstanceOfWhatAPIServersWrote(t *testing.T) {
	seen := map[string]string{}
	for _, e := range values(t) {
		got := substance(e.Value)
		if other, is := seen[got]; is || got == "" {
			t.Errorf("%s and %s have one substance", e.Key, other)
		}
		seen[got] = string(e.Key)
	}
	if len(seen) < 50 {
		t.Errorf("only %d values", len(seen))
	}
}

// Who owns a Pod is none of its substance, wherever it says that it is a Pod.
func TestSubstanceOfAPodWithItsKindLast(t *testing.T) {
	const owned, free = `{"metadata":{"uid":"u","ownerReferences":[{"uid":"o"}]},"kind":"Pod","apiVersion":"v1"}`, `{"metadata":{"uid":"u"},"kind":"Pod","apiVersion":"v1"}`
	if substance([]byte(owned)) != substance([]byte(free)) {
		t.Error(substance([]byte(owned)))
	}
}

// What is no object that can be taken apart counts as a whole.
func TestSubstanceOfOtherBytes(t *testing.T) {
	for _, value := range []string{"", "opaque", "k8s\x00", "k8s\x00\xff\xff", "k8s:enc:aescbc:v1:k:x", `{"status":`, `[1]`, "\xd9\xd9\xf7\xa0"} {
		if got := substance([]byte(value)); got != value {
			t.Errorf("%q of %q", got, value)
		}
	}
}

func BenchmarkSubstance(b *testing.B) {
	all, size := values(b), 0
	for _, e := range all {
		size += len(e.Value)
	}
	b.SetBytes(int64(size / len(all)))
	var text bytes.Buffer
	for i := 0; b.Loop(); i++ {
		text.Reset()
		(*object.Opener)(nil).WriteSubstance(b.Context(), &text, nil, all[i%len(all)].Value)
	}
}
