package order_test

import (
	"slices"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk/kube/order"
)

// Keys in any order come back in just that, run by run, each once.
func TestRunsKeepTheOrder(t *testing.T) {
	t.Parallel()
	wanted := []string{"/c", "/d", "/a", "/b", "/e", "/dd", "/f"}
	var runs order.Runs
	in := map[string]int{}
	for _, key := range wanted {
		in[key] = runs.Add([]byte(key))
	}
	sorted := slices.Sorted(slices.Values(wanted))
	var got []string
	for _, sel := range runs.Selections(func(key []byte) (int, bool) {
		run, is := in[string(key)]
		return run, is
	}) {
		for _, key := range append(slices.Clone(sorted), "/cc") {
			if sel.Ranges.Contains([]byte(key)) && sel.TakesKey([]byte(key)) {
				got = append(got, key)
			}
		}
	}
	if !slices.Equal(got, wanted) {
		t.Errorf("keys %q come back as %q", wanted, got)
	}
	if in["/f"] != in["/dd"] || in["/dd"] == in["/e"] {
		t.Errorf("the runs are %v", in)
	}
}
