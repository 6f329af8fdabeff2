package kube_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// The kinds of the fixture come in the order in which they must be written.
func TestRanksOrderTheFixture(t *testing.T) {
	view, keys := fixtureView(t)
	l := newLayout(t)
	sel := walktest.Everything()
	var kinds []string // of each rank, one of each
	total := 0
	for _, rank := range l.Ranks(sel) {
		seen := map[string]bool{}
		var inRank []string
		for _, key := range keysOf(t, view, rank) {
			total++
			if kind := l.Classify([]byte(key)).Kind; !seen[kind] {
				seen[kind] = true
				inRank = append(inRank, kind)
			}
		}
		slices.Sort(inRank)
		if len(inRank) > 8 {
			inRank = []string{"all other kinds"}
		}
		kinds = append(kinds, strings.Join(inRank, " "))
	}
	want := []string{
		"namespaces",
		"customresourcedefinitions.apiextensions.k8s.io",
		"gadgets.shop.example.io machines.machines.example.io machinesets.a.example.io machinesets.machines.example.io " +
			"regions.infra.example.io volumesnapshots.snapshot.storage.k8s.io widgets.shop.example.io",
		"cronjobs.batch",
		"daemonsets.apps deployments.apps statefulsets.apps",
		"jobs.batch",
		"replicasets.apps",
		"all other kinds",
		"pods",
	}
	if diff := cmp.Diff(kinds, want); diff != "" {
		t.Errorf("ranks (-got +want):\n%s", diff)
	}
	if total != len(keys) {
		t.Errorf("%d keys in the ranks, %d in the view", total, len(keys))
	}
}

func TestRanksLeaveOutWhatIsEmpty(t *testing.T) {
	l := newLayout(t)
	sel, err := query(t, kube.Filter{Include: []string{"pods", "ns"}}).Resolve(t.Context(), noView{t})
	if err != nil {
		t.Fatal(err)
	}
	if got := l.Ranks(sel); len(got) != 2 || string(got[0].Ranges[1].Start) != "/openshift.io/namespaces/" {
		t.Errorf("got %d ranks: %v", len(got), got)
	}
}

// Each key that a selection takes is in exactly one rank, and no other key is
// in any, under whatever prefixes and with whatever selection.
func TestRanksAreAPartition(t *testing.T) {
	pieces := []string{
		"/", "/registry/", "/kubernetes.io/", "/tenant/", "a", "configmaps", "namespaces", "pods", "jobs", "shop", "services/specs", "services/",
		"g.example.io/", "g.example.io/things/", "/registry/g.example.io/things/", "apiextensions.k8s.io/customresourcedefinitions/", "apiregistration.k8s.io/apiservices/", "replicasets", ".", "\xff", "\x00",
	}
	key := rapid.Custom(func(t *rapid.T) []byte {
		return []byte(strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 6).Draw(t, "pieces"), ""))
	})
	custom := 0
	rapid.Check(t, func(t *rapid.T) {
		prefixes := rapid.SampledFrom([][]string{nil, {"/"}, {"/tenant/"}, {"/tenant/a", "/registry/", "/tenant"}, {"/registry/pods"}}).Draw(t, "prefixes")
		l, err := kube.NewLayout(prefixes...)
		if err != nil {
			t.Fatal(err)
		}
		var ranges []etcdwalk.Range
		for _, start := range rapid.SliceOfN(key, 1, 4).Draw(t, "starts") {
			ranges = append(ranges, etcdwalk.Prefix(string(start)))
		}
		sel := etcdwalk.Selection{Ranges: etcdwalk.Union(ranges...)}
		if rapid.Bool().Draw(t, "matching") {
			sel.Match = func(key []byte) bool { return len(key)%2 == 0 }
		}
		ranks := l.Ranks(sel)
		for range 20 {
			e := etcdwalk.Entry{Key: append(slices.Clone(rapid.SampledFrom(ranges).Draw(t, "below").Start), key.Draw(t, "key")...)}
			want := 0
			if sel.Ranges.Contains(e.Key) && sel.Takes(e) {
				want = 1
			}
			got := 0
			for _, rank := range ranks {
				if rank.Ranges.Contains(e.Key) && rank.Takes(e) {
					got++
				}
			}
			if got != want {
				t.Fatalf("key %q is in %d ranks, want %d", e.Key, got, want)
			}
			if strings.Contains(l.Classify(e.Key).Kind, ".g.example.io") {
				custom++
			}
		}
	})
	if custom == 0 {
		t.Error("no custom resource was ever drawn")
	}
}
