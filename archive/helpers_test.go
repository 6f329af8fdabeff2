package archive

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

var testTime = time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC)

func testHeader() Header {
	return Header{
		ArchiveID: "00112233445566778899aabbccddeeff",
		Cluster:   "prod", LabelTyped: true,
		Selection: Selection{Include: []string{"configmaps"}, Namespaces: []string{"shop"}, Digest: strings.Repeat("5e", 32), Text: "configmaps in 1 namespace"},
		Sources: []etcdwalk.Info{{
			API: etcdwalk.V3, ClusterID: 0xcdf818194e3a8c32, KubeSystemUID: "uid-1", ServerVersion: "3.6.16", Revision: 1000,
			Identities: []etcdwalk.Identity{
				{Prefix: "/registry/", State: etcdwalk.IdentityUID, UID: "uid-1"},
				{Prefix: "/kubernetes.io/", State: etcdwalk.IdentityUnreadable, Encoding: "k8s:enc:aescbc:v1:key1", SHA256: strings.Repeat("0d", 32)},
				{Prefix: "/openshift.io/", State: etcdwalk.IdentityNone},
			},
		}},
		ToolVersion: "0.1.0", Created: testTime, Host: "node-1",
	}
}

// testClass takes /registry/KIND/NAMESPACE/NAME apart.
func testClass(key []byte) etcdwalk.Class {
	parts := strings.SplitN(string(key), "/", 5)
	if len(parts) < 4 || parts[0] != "" || parts[1] != "registry" || parts[2] == "odd" {
		return etcdwalk.Class{}
	}
	return etcdwalk.Class{Kind: parts[2], Namespace: parts[3], Range: etcdwalk.Prefix("/registry/" + parts[2] + "/")}
}

// testEnding knows every lease that w has seen.
func testEnding(w *Writer) Ending {
	end := Ending{
		Outcome: etcdwalk.Outcome{Consistent: true, Restarts: 1}, TakenAt: testTime,
		Outside: &etcdwalk.Outside{Keys: 3, Under: []etcdwalk.OutsideKeys{{Segment: "/calico/", Keys: 3}}},
	}
	for _, id := range w.LeaseIDs() {
		end.Leases = append(end.Leases, etcdwalk.Lease{ID: id, State: etcdwalk.LeaseLive, Granted: 3600, Remaining: 1800})
	}
	return end
}

// build makes an archive of these entries, which must ascend.
func build(t testing.TB, entries ...etcdwalk.Entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, testHeader(), testClass)
	if err != nil {
		t.Fatalf("beginning an archive: %v", err)
	}
	for _, e := range entries {
		if err := w.Put(context.Background(), e); err != nil {
			t.Fatalf("putting key %.80q: %v", e.Key, err)
		}
	}
	if _, err := w.Close(testEnding(w)); err != nil {
		t.Fatalf("closing the archive: %v", err)
	}
	return out.Bytes()
}

func openBytes(data []byte) (*Reader, error) {
	return Open(bytes.NewReader(data), int64(len(data)))
}

func mustOpen(t testing.TB, data []byte) *Reader {
	t.Helper()
	r, err := openBytes(data)
	if err != nil {
		t.Fatalf("opening the archive: %v", err)
	}
	return r
}

// readWhole opens and verifies, as everything does that writes to a target.
func readWhole(data []byte) error {
	r, err := openBytes(data)
	if err == nil {
		_, err = r.Verify(context.Background(), nil, nil)
	}
	return err
}

// small are the entries of the little archives that get damaged.
func small() []etcdwalk.Entry {
	var entries []etcdwalk.Entry
	for i := range 6 {
		entries = append(entries, etcdwalk.Entry{
			Key: fmt.Appendf(nil, "/registry/%s/shop/name-%d", []string{"configmaps", "events"}[i/3], i), Value: bytes.Repeat([]byte{'a', byte(i)}, 40),
			CreateRevision: int64(i + 1), ModRevision: int64(2*i + 1), Version: 1, Lease: int64(i / 3 * 0x1ea5e),
		})
	}
	return append(entries, etcdwalk.Entry{Key: []byte("/zzz"), ModRevision: 3})
}

func walk(t testing.TB, v etcdwalk.View, sel etcdwalk.Selection) []etcdwalk.Entry {
	t.Helper()
	var got []etcdwalk.Entry
	for e, err := range v.Walk(context.Background(), sel) {
		if err != nil {
			t.Fatalf("walking: %v", err)
		}
		got = append(got, e.Clone())
	}
	return got
}
