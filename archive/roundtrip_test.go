package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

func TestReaderIsAView(t *testing.T) {
	walktest.Views(t, walktest.Traits{}, func(t *testing.T, entries []etcdwalk.Entry) etcdwalk.View {
		return mustOpen(t, build(t, entries...))
	})
}

func TestReaderIsASource(t *testing.T) {
	walktest.Sources(t, walktest.Traits{}, true, func(t *testing.T, entries []etcdwalk.Entry) (etcdwalk.Source, func(*testing.T, []byte, []byte)) {
		return mustOpen(t, build(t, entries...)), nil
	})
}

func TestWhatGoesInComesOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := drawEntries(t)
		var out bytes.Buffer
		w, err := NewWriter(&out, testHeader(), testClass)
		if err != nil {
			t.Fatal(err)
		}
		stats, err := etcdwalk.Copy(context.Background(), w, listView(entries), walktest.Everything(), nil)
		if err != nil {
			t.Fatal(err)
		}
		manifest, err := w.Close(testEnding(w))
		if err != nil {
			t.Fatal(err)
		}
		r, err := openBytes(out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		var got []etcdwalk.Entry
		verified, err := r.Verify(context.Background(), func(e etcdwalk.Entry) error { got = append(got, e.Clone()); return nil }, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(got, entries, sameEntry) {
			t.Fatalf("the entries differ:\n%s", walktest.Diff(got, entries))
		}
		if verified != stats || etcdwalk.Stats(manifest.Totals) != stats {
			t.Fatalf("verified %+v, manifest %+v, want %+v", verified, manifest.Totals, stats)
		}
		if diff := cmp.Diff(r.Manifest(), manifest, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("the manifests differ (-got +want):\n%s", diff)
		}
	})
}

// drawEntries draws ascending entries, some with a record of their own, odd
// keys, and now and then a value larger than a segment.
func drawEntries(t *rapid.T) []etcdwalk.Entry {
	key := rapid.OneOf(
		rapid.SliceOfN(rapid.Byte(), 1, 12),
		rapid.Map(rapid.StringMatching(`/registry/(pods|events|configmaps)/[a-c]{1,2}/[a-z\n\x00]{0,5}`), func(s string) []byte { return []byte(s) }),
		rapid.Map(rapid.Byte(), func(b byte) []byte { return bytes.Repeat([]byte{'/', b}, 5<<10) }),
	)
	keys := rapid.SliceOfNDistinct(key, 0, 20, func(k []byte) string { return string(k) }).Draw(t, "keys")
	slices.SortFunc(keys, bytes.Compare)
	entries := make([]etcdwalk.Entry, len(keys))
	for i, k := range keys {
		e := etcdwalk.Entry{
			Key: k, Value: rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "value"),
			CreateRevision: rapid.Int64().Draw(t, "create"), ModRevision: rapid.Int64().Draw(t, "mod"), Version: rapid.Int64().Draw(t, "version"),
			Lease: rapid.OneOf(rapid.Just(int64(0)), rapid.Int64()).Draw(t, "lease"),
		}
		if rapid.IntRange(0, 30).Draw(t, "large") == 0 {
			e.Value = bytes.Repeat(append(e.Value, 'x'), 50_000)
		}
		if rapid.Bool().Draw(t, "with a record") {
			e.Record = append(etcdwalk.AppendRecord(nil, e), 0x7a, 1, 'x') // and a field of a later etcd
		}
		entries[i] = e
	}
	return entries
}

func listView(entries []etcdwalk.Entry) etcdwalk.View {
	return walktest.Generated(len(entries), func(i int) etcdwalk.Entry { return entries[i] })
}

func TestRecordsArePassedOnUntouched(t *testing.T) {
	e := etcdwalk.Entry{Key: []byte("k"), Value: []byte("v"), ModRevision: 7}
	e.Record = append(etcdwalk.AppendRecord(nil, e), 0x7a, 1, 'x')
	for got, err := range mustOpen(t, build(t, e)).Walk(t.Context(), walktest.Everything()) {
		if err != nil || !bytes.Equal(got.Record, e.Record) {
			t.Errorf("got record %x and error %v, want record %x", got.Record, err, e.Record)
		}
	}
}

func TestSegmentsHoldOneKindEach(t *testing.T) {
	entries := walktest.Corpus()
	r := mustOpen(t, build(t, entries...))
	i := 0
	for _, s := range r.Manifest().Segments {
		if s.Size > segmentSize && s.Keys > 1 {
			t.Errorf("%s has %d bytes and %d keys", s.Name, s.Size, s.Keys)
		}
		for range s.Keys {
			if kind := testClass(entries[i].Key).Kind; kind != s.Kind {
				t.Errorf("key %.80q of kind %q lies in %s of kind %q", entries[i].Key, kind, s.Name, s.Kind)
			}
			i++
		}
	}
	if i != len(entries) {
		t.Errorf("the segments have %d keys, want %d", i, len(entries))
	}
}

func TestKeysOfManySizesFillSegments(t *testing.T) {
	var entries []etcdwalk.Entry
	for i := range 3000 {
		entries = append(entries, etcdwalk.Entry{Key: fmt.Appendf(nil, "/registry/pods/shop/%05d", i), Value: bytes.Repeat([]byte{byte(i)}, 1500)})
	}
	r := mustOpen(t, build(t, entries...))
	if n := len(r.Manifest().Segments); n < 4 || n > 6 {
		t.Errorf("4.5 MB of one kind make %d segments, want about one for each MiB", n)
	}
	if _, err := r.Verify(t.Context(), nil, nil); err != nil {
		t.Error(err)
	}
}

func TestKindsAndNamespacesAreCounted(t *testing.T) {
	bad := etcdwalk.Entry{Key: []byte("/registry/pods/not\xffutf8/x"), Value: []byte("12")}
	manifest := mustOpen(t, build(t, append(small(), bad)[:6]...)).Manifest()
	want := []KindTotal{{"configmaps", "shop", Totals{3, 3 * (32 + 80)}}, {"events", "shop", Totals{3, 3 * (28 + 80)}}}
	if diff := cmp.Diff(manifest.Kinds, want); diff != "" {
		t.Errorf("the totals differ (-got +want):\n%s", diff)
	}
	manifest = mustOpen(t, build(t, bad)).Manifest()
	want = []KindTotal{{"pods", "not\ufffdutf8", Totals{1, int64(len(bad.Key) + 2)}}}
	if diff := cmp.Diff(manifest.Kinds, want); diff != "" {
		t.Errorf("the totals differ (-got +want):\n%s", diff)
	}
}

// TestEncryptedValuesAreCounted: an archive that counted none is another than one that did
// not count.
func TestEncryptedValuesAreCounted(t *testing.T) {
	of := func(sealed []SealedTotal) (Manifest, error) {
		w, err := NewWriter(io.Discard, testHeader(), testClass)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range small() {
			if err := w.Put(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		end := testEnding(w)
		end.Sealed = sealed
		return w.Close(end)
	}
	for _, sealed := range [][]SealedTotal{nil, {}, {{"configmaps", "k8s:enc:a:v1:b", 2}, {"events", "k8s:enc:a:v1:a", 1}}} {
		manifest, err := of(sealed)
		if err != nil {
			t.Fatal(err)
		}
		text, err := encodeJSON(manifestName, maxJSON, manifest, "")
		if err != nil {
			t.Fatal(err)
		}
		var read Manifest
		if err := decodeJSON(manifestName, text, &read); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(read.Sealed, sealed); diff != "" {
			t.Errorf("the counts differ (-got +want):\n%s", diff)
		}
	}
	if _, err := of([]SealedTotal{{"configmaps", "k8s:enc:a:v1:b", 99}}); !errors.Is(err, etcdwalk.ErrInvariant) {
		t.Errorf("99 encrypted values of 3 keys: got %v", err)
	}
}

func TestHeaderAndLeasesComeBack(t *testing.T) {
	r := mustOpen(t, build(t, small()...))
	want := testHeader()
	want.Format, want.Features, want.Kind = Format{formatMajor, formatMinor}, []string{packedManifest}, "full"
	if diff := cmp.Diff(r.Header(), want); diff != "" {
		t.Errorf("the headers differ (-got +want):\n%s", diff)
	}
	want.Sources[0].Taken = testTime // when the leases were asked for
	if diff := cmp.Diff(r.Info(), want.Sources[0]); diff != "" {
		t.Errorf("the infos differ (-got +want):\n%s", diff)
	}
	leases, err := r.Leases(t.Context(), []int64{7, 0x1ea5e})
	if err != nil {
		t.Fatal(err)
	}
	wantLeases := []etcdwalk.Lease{{ID: 7, State: etcdwalk.LeaseUnknown}, {ID: 0x1ea5e, State: etcdwalk.LeaseLive, Granted: 3600, Remaining: 1800}}
	if diff := cmp.Diff(leases, wantLeases); diff != "" {
		t.Errorf("the leases differ (-got +want):\n%s", diff)
	}
}

func TestArchiveIDsAndNoncesDiffer(t *testing.T) {
	seen := make(map[string]bool)
	for range 3 {
		h := testHeader()
		h.ArchiveID = ""
		w, err := NewWriter(io.Discard, h, nil)
		if err != nil {
			t.Fatal(err)
		}
		m, err := w.Close(Ending{})
		if err != nil {
			t.Fatal(err)
		}
		seen[w.Header().ArchiveID], seen[m.Nonce] = true, true
	}
	if len(seen) != 6 {
		t.Errorf("got %d different ids and nonces, want 6", len(seen))
	}
}

// TestFirstKeyIsWhatAWalkFindsFirst: what the manifest tells without reading is what is there,
// and for most kinds it tells.
func TestFirstKeyIsWhatAWalkFindsFirst(t *testing.T) {
	r := mustOpen(t, build(t, goldenEntries()...))
	told := 0
	for _, ranges := range []etcdwalk.Ranges{
		{{}}, {etcdwalk.Prefix("/registry/")}, {etcdwalk.Prefix("/registry/configmaps/")}, {etcdwalk.Prefix("/registry/configmaps/shop/settings-2")},
		{etcdwalk.Prefix("/registry/events/")}, {etcdwalk.Prefix("/registry/odd/not")}, {etcdwalk.Prefix("/registry/pods/")}, {etcdwalk.Prefix("/registry/secrets/ns-1/")},
		{etcdwalk.Prefix("/registry/events/"), etcdwalk.Prefix("/registry/secrets/")},
	} {
		var want []byte
		for e, err := range r.Walk(t.Context(), etcdwalk.Selection{Ranges: ranges}) {
			if err != nil {
				t.Fatal(err)
			}
			want = bytes.Clone(e.Key)
			break
		}
		got := r.FirstKey(ranges)
		if got != nil {
			told++
		}
		if got != nil && !bytes.Equal(got, want) {
			t.Errorf("%v begins with %q, a walk with %q", ranges, got, want)
		}
		if first, err := etcdwalk.First(t.Context(), r, ranges); err != nil || !bytes.Equal(first, want) {
			t.Errorf("the first in %v is %q, %v, want %q", ranges, first, err, want)
		}
	}
	if told < 4 {
		t.Errorf("it told %d times", told)
	}
}
