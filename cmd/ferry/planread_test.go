package ferry_test

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// noise makes entries of n objects of each kind in each of 100 namespaces, with
// data that hardly compresses, and of the namespaces.
func noise(n int, kinds ...string) []etcdwalk.Entry {
	random := rand.NewChaCha8([32]byte{1})
	data := make([]byte, 1500)
	var entries []etcdwalk.Entry
	add := func(key, value string) {
		entries = append(entries, etcdwalk.Entry{Key: []byte(key), Value: []byte(value), ModRevision: int64(len(entries) + 2), Version: 1})
	}
	add(kubeSystem())
	for ns := range 100 {
		add(fmt.Sprintf("/registry/namespaces/ns-%02d", ns), fmt.Sprintf(`{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"ns-%02d"}}`, ns))
		for _, kind := range kinds {
			for i := range n {
				random.Read(data) // which never fails
				add(fmt.Sprintf("/registry/%s/ns-%02d/object-%03d", kind, ns, i),
					fmt.Sprintf(`{"metadata":{"name":"object-%03d","namespace":"ns-%02d"},"data":{"noise":%q}}`, i, ns, hex.EncodeToString(data)))
			}
		}
	}
	return entries
}

// A plan reads what is selected of an archive, and little more.
func TestPlanReadsTheSegmentsThatItNeeds(t *testing.T) {
	a, receipt := archived(t, walktest.NewView(noise(40, "configmaps", "secrets", "example.com/widgets")...))
	if opened := a.BytesRead(); opened == 0 || opened > receipt.Size/10 {
		t.Errorf("opening read %d bytes of %d", opened, receipt.Size)
	}
	if _, err := a.Verify(t.Context(), nil, nil); err != nil {
		t.Fatal(err)
	}
	if read := a.BytesRead(); read < receipt.Size {
		t.Errorf("verifying read %d bytes of %d", read, receipt.Size)
	}
	target := walktest.NewTarget()
	for name, test := range map[string]struct {
		filter kube.Filter
		most   int64
	}{
		"one namespace": {kube.Filter{Namespaces: []string{"ns-42"}}, receipt.Size/20 + 3<<20},
		"one object":    {kube.Filter{Namespaces: []string{"ns-42"}, Include: []string{"cm/object-007"}}, receipt.Size/20 + 1<<20},
		"everything":    {kube.Filter{}, receipt.Size * 11 / 10},
	} {
		t.Run(name, func(t *testing.T) {
			before := a.BytesRead()
			r := ferry.Restore{Source: a, Query: query(t, test.filter), Cluster: target.View(), Target: target, Scenario: kube.ScenarioNew}
			planned, err := r.Plan(t.Context())
			if err != nil || planned.Counts[replay.Created] == 0 {
				t.Fatalf("planning: %v", err)
			}
			read := a.BytesRead() - before
			t.Logf("%d keys: %d bytes of %d were read", planned.Counts.Total(), read, receipt.Size)
			if read > test.most || read == 0 {
				t.Errorf("the plan read %d bytes of %d, want %d at most", read, receipt.Size, test.most)
			}
		})
	}
}
