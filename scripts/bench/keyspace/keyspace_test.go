package keyspace

import (
	"bytes"
	"compress/flate"
	"io"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

const testKeys = 4000

func newKeyspace(t *testing.T, keys int, seed uint64) *Keyspace {
	t.Helper()
	k, err := New(keys, seed)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func at(t *testing.T, k *Keyspace, index, round int) Object {
	t.Helper()
	o, err := k.At(index, round)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestSameSeedSameObjects(t *testing.T) {
	a, b, other := newKeyspace(t, testKeys, 1), newKeyspace(t, testKeys, 1), newKeyspace(t, testKeys, 2)
	differ := 0
	for i := 0; i < testKeys; i += 7 {
		x, y := at(t, a, i, 0), at(t, b, i, 0)
		if x.Key != y.Key || !bytes.Equal(x.Value, y.Value) || x.Lease != y.Lease {
			t.Fatalf("object %d is not the same twice", i)
		}
		if !bytes.Equal(x.Value, at(t, other, i, 0).Value) {
			differ++
		}
	}
	if differ < testKeys/7*9/10 {
		t.Errorf("another seed changed %d of %d objects", differ, testKeys/7)
	}
	if !slices.Equal(a.Shuffled(0), b.Shuffled(0)) {
		t.Error("the order is not the same twice")
	}
}

func TestRoundsKeepKeysAndChangeValues(t *testing.T) {
	k := newKeyspace(t, testKeys, 1)
	changed := 0
	for i := range testKeys {
		first, second := at(t, k, i, 0), at(t, k, i, 1)
		if first.Key != second.Key || first.Lease != second.Lease {
			t.Fatalf("object %d is %s in one round and %s in the next", i, first.Key, second.Key)
		}
		if !bytes.Equal(first.Value, second.Value) {
			changed++
		}
	}
	if changed < testKeys*8/10 {
		t.Errorf("%d of %d values changed", changed, testKeys)
	}
}

// A kind is what TestSharesAndSizes expects of a resource.
type kind struct{ share, lowest, highest float64 }

func TestSharesAndSizes(t *testing.T) {
	want := map[string]kind{ // bytes on average
		"pods":            {0.25, 6500, 8500},
		"events":          {0.25, 600, 1100},
		"replicasets":     {0.13, 5000, 7500},
		"endpointslices":  {0.05, 1000, 4000},
		"configmaps":      {0.05, 3000, 9000},
		"secrets":         {0.06, 1000, 4000},
		"serviceaccounts": {0.05, 500, 1500},
		"rolebindings":    {0.05, 500, 1500},
	}
	k := newKeyspace(t, 20_000, 1)
	count, size := map[string]float64{}, map[string]float64{}
	custom, large, total := 0.0, 0, 0.0
	for i := range k.Len() {
		o := at(t, k, i, 0)
		total += float64(len(o.Key) + len(o.Value))
		switch {
		case len(o.Value) > 500_000:
			large++
			if len(o.Value) < 850_000 || len(o.Value) > 950_000 {
				t.Errorf("%s has %d bytes", o.Key, len(o.Value))
			}
			continue
		case strings.Contains(o.Resource, "."):
			custom++
		}
		count[o.Resource]++
		size[o.Resource] += float64(len(o.Value))
	}
	for resource, w := range want {
		if got := count[resource] / 20_000; got < w.share-0.001 || got > w.share+0.001 {
			t.Errorf("%.1f %% are %s, want %.1f %%", 100*got, resource, 100*w.share)
		}
		if got := size[resource] / count[resource]; got < w.lowest || got > w.highest {
			t.Errorf("%s have %.0f bytes on average, want %.0f to %.0f", resource, got, w.lowest, w.highest)
		}
	}
	if large != 10 {
		t.Errorf("%d large objects, want 10", large)
	}
	if custom/20_000 < 0.10 || custom/20_000 > 0.12 {
		t.Errorf("%.1f %% are custom resources", custom/200)
	}
	if total < 80e6 || total > 90e6 {
		t.Errorf("20,000 keys have %.0f bytes", total)
	}
}

func TestKeysAreUniqueAndShuffled(t *testing.T) {
	k := newKeyspace(t, 20_000, 1)
	order := k.Shuffled(0)
	seen, inPlace := map[string]bool{}, 0
	for i, index := range order {
		seen[at(t, k, index, 0).Key] = true
		if i == index {
			inPlace++
		}
	}
	if len(seen) != k.Len() {
		t.Errorf("%d different keys of %d", len(seen), k.Len())
	}
	if inPlace > 20 {
		t.Errorf("%d indices stand where they stood", inPlace)
	}
}

func TestNamespacesAreAsUnequalAsInLife(t *testing.T) {
	k := newKeyspace(t, 20_000, 1)
	count, namespaces := map[string]int{}, map[string]bool{}
	for i := range k.Len() {
		parts := strings.Split(at(t, k, i, 0).Key, "/")
		if parts[2] == "namespaces" {
			namespaces[parts[3]] = true
		} else if len(parts) > 4 && !strings.Contains(parts[3], "customresource") {
			count[parts[len(parts)-2]]++
		}
	}
	for name := range count {
		if !namespaces[name] {
			t.Errorf("there is no Namespace object of %q", name)
		}
	}
	if !namespaces["kube-system"] {
		t.Error("there is no kube-system")
	}
	if share := float64(count[OnePercent]) / 20_000; share < 0.008 || share > 0.012 {
		t.Errorf("%s has %.2f %%", OnePercent, 100*share)
	}
	largest := 0
	for _, n := range count {
		largest = max(largest, n)
	}
	if largest < 20_000/10 {
		t.Errorf("the largest namespace has %d keys", largest)
	}
}

func TestEventsShareLeases(t *testing.T) {
	k := newKeyspace(t, testKeys, 1)
	perLease := map[int64]int{}
	for i := range k.Len() {
		o := at(t, k, i, 0)
		if (o.Lease > 0) != (o.Resource == "events") {
			t.Fatalf("%s is under lease %d", o.Key, o.Lease)
		}
		if o.Lease > 0 {
			perLease[o.Lease]++
		}
	}
	if len(perLease) != k.Leases() {
		t.Errorf("%d leases are used of %d", len(perLease), k.Leases())
	}
	for lease, n := range perLease {
		if lease < 1 || lease > int64(k.Leases()) || n > EventsPerLease {
			t.Errorf("lease %d holds %d events", lease, n)
		}
	}
}

func TestPodsAreInTheEnvelopeOfAnAPIServer(t *testing.T) {
	k := newKeyspace(t, testKeys, 1)
	pods := 0
	for i := range k.Len() {
		o := at(t, k, i, 0)
		if o.Resource != "pods" {
			continue
		}
		pods++
		body, ok := bytes.CutPrefix(o.Value, []byte("k8s\x00"))
		if !ok {
			t.Fatalf("%s begins with %q", o.Key, o.Value[:4])
		}
		var envelope runtime.Unknown
		if err := envelope.Unmarshal(body); err != nil {
			t.Fatal(err)
		}
		var pod corev1.Pod
		if err := pod.Unmarshal(envelope.Raw); err != nil {
			t.Fatal(err)
		}
		if want := "/registry/pods/" + pod.Namespace + "/" + pod.Name; o.Key != want || envelope.Kind != "Pod" {
			t.Fatalf("%s holds a %s that belongs under %s", o.Key, envelope.Kind, want)
		}
		if len(pod.ManagedFields) != 2 || len(pod.UID) != 36 || pod.Status.Phase != corev1.PodRunning {
			t.Fatalf("%s lacks managedFields, UID or status: %v", o.Key, pod.ObjectMeta)
		}
	}
	if pods != testKeys/4 {
		t.Errorf("%d pods, want %d", pods, testKeys/4)
	}
}

// The goals about sizes rest on how well the data compresses, and on what the
// order of keys is worth.
func TestCompressesLikeLife(t *testing.T) {
	k := newKeyspace(t, testKeys, 1)
	var all []Object
	for _, i := range k.Shuffled(0) {
		all = append(all, at(t, k, i, 0))
	}
	shuffled, total := deflated(t, all)
	slices.SortFunc(all, func(a, b Object) int { return strings.Compare(a.Key, b.Key) })
	sorted, _ := deflated(t, all)
	if ratio := total / shuffled; ratio < 4.5 || ratio > 8 {
		t.Errorf("deflate makes it %.1f times smaller", ratio)
	}
	if sorted > 0.92*shuffled {
		t.Errorf("deflate makes it %.0f bytes in the order of keys, and %.0f out of it", sorted, shuffled)
	}
}

func deflated(t *testing.T, all []Object) (compressed, total float64) {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, 6)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range all {
		if _, err := io.WriteString(w, o.Key); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(o.Value); err != nil {
			t.Fatal(err)
		}
		total += float64(len(o.Key) + len(o.Value))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return float64(b.Len()), total
}

func TestRefusesTooFewKeys(t *testing.T) {
	if _, err := New(999, 1); err == nil {
		t.Error("999 keys were enough")
	}
	if _, err := newKeyspace(t, 1000, 1).At(1000, 0); err == nil {
		t.Error("there was an object behind the last one")
	}
}
