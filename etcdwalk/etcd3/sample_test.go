package etcd3

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// What a walk has learned from one kind makes the next one cheap, whatever the
// sizes of the namespaces are.
func TestSampleTellsOfTheNextKind(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var namespaces, skewed []string
	for i := range 100 {
		namespaces = append(namespaces, fmt.Sprintf("team-%03d", i))
		for range max(1, 2000/(i+1)) {
			skewed = append(skewed, namespaces[i])
		}
	}
	kind := func(dir string) *ledger {
		l := &ledger{}
		for range 50_000 {
			l.keys = append(l.keys, fmt.Appendf(nil, "%s%s/app-%d-%08x", dir, skewed[random.IntN(len(skewed))], random.IntN(40), random.Uint32()))
		}
		slices.SortFunc(l.keys, bytes.Compare)
		l.keys = slices.CompactFunc(l.keys, bytes.Equal)
		return l
	}
	const limit = 140
	learned := newSample(namesOf(namespaces))
	cost := func(dir string) (visits, requests float64) {
		l := kind(dir)
		whole := cell{Range: etcdwalk.Prefix(dir), keys: int64(len(l.keys))}
		if read := l.read(whole, learned, limit); !slices.EqualFunc(read, l.keys, bytes.Equal) {
			t.Fatalf("%d keys came, want %d in order", len(read), len(l.keys))
		}
		return float64(l.visited) / float64(whole.keys), float64(l.requests) / float64(whole.keys/limit+1)
	}
	visits, requests := cost("/registry/pods/")
	t.Logf("the first kind: %.2f visits for each key, %.2f requests for each page", visits, requests)
	visits, requests = cost("/registry/replicasets/")
	t.Logf("the second kind: %.2f visits for each key, %.2f requests for each page", visits, requests)
	if visits > 2 || requests > 1.5 {
		t.Errorf("the second kind took %.2f visits for each key and %.2f requests for each page, want at most 2 and 1.5", visits, requests)
	}
}

func TestSampleStaysSmall(t *testing.T) {
	s := newSample(nil)
	for kind := range 40 {
		dir := fmt.Appendf(nil, "/registry/kind-%02d/", kind)
		var entries []etcdwalk.Entry
		for i := range 50_000 {
			entries = append(entries, etcdwalk.Entry{Key: fmt.Appendf(nil, "%s%d", dir, i)})
		}
		s.see(dir, entries)
		s.settle()
	}
	if n := len(s.names); n > mostSampled || n < mostSampled/4 || !slices.IsSortedFunc(s.names, bytes.Compare) {
		t.Errorf("%d names of 2,000,000 keys are kept, want up to %d in order", n, mostSampled)
	}
}
