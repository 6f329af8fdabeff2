package cmd

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

func TestSampleIsASoundArchive(t *testing.T) {
	got, err := openSample(t).Verify(t.Context(), nil, nil)
	if err != nil {
		t.Fatalf("verifying the sample; if the format has changed, run make fixtures: %v", err)
	}
	if got.Keys < 300 || got.Keys > 500 {
		t.Errorf("got %d keys, want some hundred", got.Keys)
	}
	if size := len(sample); size > 400<<10 {
		t.Errorf("the sample has %d bytes, and every binary carries them; want at most 400 KiB", size)
	}
}

// Every object is as the kube-apiserver wrote it: size, revision and lease are
// those of the list that was made beside the database.
func TestSampleHoldsWhatTheAPIServerWrote(t *testing.T) {
	truth := readTruth(t)
	leases := map[int64]bool{}
	for e, err := range openSample(t).Walk(t.Context(), walktest.Everything()) {
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprintf("%d\t%d\t%x", len(e.Value), e.ModRevision, e.Lease)
		if want := truth[string(e.Key)]; got != want {
			t.Errorf("%s: got size, revision, lease %q, want %q", e.Key, got, want)
		}
		if e.Lease != 0 {
			leases[e.Lease] = true
		}
	}
	if len(leases) == 0 {
		t.Error("no key has a lease: the demo could not show what becomes of them")
	}
	for id := range leases {
		lease, err := openSample(t).Leases(t.Context(), []int64{id})
		if err != nil {
			t.Fatal(err)
		}
		if lease[0].State != etcdwalk.LeaseLive || lease[0].Remaining < 600 {
			t.Errorf("got lease %+v, want one that outlives the demo", lease[0])
		}
	}
}

func TestSampleShowsWhatANewcomerKnows(t *testing.T) {
	var keys []string
	for e, err := range openSample(t).Walk(t.Context(), walktest.Everything()) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, string(e.Key))
	}
	for _, prefix := range []string{
		"/registry/namespaces/shop-frontend", "/registry/deployments/shop-frontend/", "/registry/replicasets/shop-frontend/",
		"/registry/pods/shop-frontend/", "/registry/services/specs/shop-frontend/", "/registry/configmaps/shop-frontend/",
		"/registry/secrets/shop-frontend/", "/registry/roles/shop-frontend/", "/registry/events/shop-frontend/",
		"/registry/apiextensions.k8s.io/customresourcedefinitions/", "/registry/shop.example.io/widgets/shop-frontend/",
		"/registry/clusterroles/", "/registry/persistentvolumes/",
	} {
		if !hasPrefix(keys, prefix) {
			t.Errorf("no key begins with %s", prefix)
		}
	}
	for _, prefix := range []string{"/registry/masterleases/", "/registry/peerserverleases/", "/registry/clusterroles/system:", "compact_rev_key"} {
		if hasPrefix(keys, prefix) {
			t.Errorf("a key begins with %s, want none", prefix)
		}
	}
}

func openSample(t *testing.T) *archive.Reader {
	t.Helper()
	reader, err := archive.Open(strings.NewReader(sample), int64(len(sample)))
	if err != nil {
		t.Fatalf("opening the sample; if the format has changed, run make fixtures: %v", err)
	}
	return reader
}

// readTruth reads what each key must be: bytes of the value, mod revision,
// lease.
func readTruth(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../testdata/fixtures/registry-1.36.keys.tsv")
	if err != nil {
		t.Fatal(err)
	}
	truth := map[string]string{}
	for line := range strings.Lines(string(text)) {
		columns := strings.Split(line, "\t")
		truth[columns[0]] = strings.Join(columns[1:4], "\t")
	}
	return truth
}

func hasPrefix(keys []string, prefix string) bool {
	for _, key := range keys {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}
