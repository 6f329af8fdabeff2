package archive

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/klauspost/compress/zstd"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

var testTime = time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC)

func testHeader() Header {
	return Header{
		ArchiveID: "00112233445566778899aabbccddeeff",
		Cluster:   "prod",
		Selection: Selection{Include: []string{"configmaps"}, Namespaces: []string{"shop"}},
		Sources: []etcdwalk.Info{{
			API: etcdwalk.V3, ClusterID: 0xcdf818194e3a8c32, KubeSystemUID: "uid-1", ServerVersion: "3.6.16", Revision: 1000,
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
	end := Ending{Outcome: etcdwalk.Outcome{Consistent: true, Restarts: 1}, TakenAt: testTime}
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

func TestReaderIsAView(t *testing.T) {
	walktest.Views(t, func(t *testing.T, entries []etcdwalk.Entry) etcdwalk.View {
		return mustOpen(t, build(t, entries...))
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
	keys := rapid.SliceOfNDistinct(key, 0, 40, func(k []byte) string { return string(k) }).Draw(t, "keys")
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

// A countingReader counts what is read of an archive.
type countingReader struct {
	*bytes.Reader
	reads, bytes int
	seen         []bool
}

func (r *countingReader) ReadAt(p []byte, offset int64) (int, error) {
	n, err := r.Reader.ReadAt(p, offset)
	r.reads, r.bytes = r.reads+1, r.bytes+n
	for i := range n {
		r.seen[int(offset)+i] = true
	}
	return n, err
}

func counted(t *testing.T, data []byte) (*Reader, *countingReader) {
	t.Helper()
	c := &countingReader{Reader: bytes.NewReader(data), seen: make([]bool, len(data))}
	r, err := Open(c, int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	c.reads, c.bytes = 0, 0
	clear(c.seen)
	return r, c
}

func TestWalkReadsOnlyTheSegmentsItNeeds(t *testing.T) {
	r, c := counted(t, build(t, walktest.Corpus()...))
	for _, test := range []struct {
		prefix string
		want   int
	}{{"/registry/secrets/", 1}, {"/registry/secrets/ns-1/name-0", 1}, {"/registry/secretz", 0}, {"/registry/configmaps/", 1}} {
		c.reads = 0
		walk(t, r, etcdwalk.Selection{Ranges: etcdwalk.Ranges{etcdwalk.Prefix(test.prefix)}})
		if c.reads != test.want {
			t.Errorf("walking %s read %d segments, want %d", test.prefix, c.reads, test.want)
		}
	}
}

func TestVerifyReadsEveryByte(t *testing.T) {
	data := build(t, walktest.Corpus()...)
	r, c := counted(t, data)
	var told []int64
	stats, err := r.Verify(t.Context(), nil, func(bytes int64) { told = append(told, bytes) })
	if err != nil {
		t.Fatal(err)
	}
	if i := slices.Index(c.seen, false); i >= 0 {
		t.Errorf("byte %d was not read", i)
	}
	if !slices.IsSorted(told) || told[len(told)-1] != int64(len(data)) {
		t.Errorf("the progress told was %v, want it to end with %d", told, len(data))
	}
	if want := int64(len(walktest.Corpus())); stats.Keys != want {
		t.Errorf("verified %d keys, want %d", stats.Keys, want)
	}
}

func TestVerifyEndsWithTheErrorOfItsCheck(t *testing.T) {
	stop := errors.New("stop")
	_, err := mustOpen(t, build(t, small()...)).Verify(t.Context(), func(etcdwalk.Entry) error { return stop }, nil)
	if !errors.Is(err, stop) || errors.Is(err, ErrDamaged) {
		t.Errorf("got error %v, want %v", err, stop)
	}
}

func TestVerifyEndsWhenItIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := mustOpen(t, build(t, small()...)).Verify(ctx, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
}

func TestHeaderAndLeasesComeBack(t *testing.T) {
	r := mustOpen(t, build(t, small()...))
	want := testHeader()
	want.Format, want.Features, want.Kind = Format{1, 0}, []string{}, "full"
	if diff := cmp.Diff(r.Header(), want); diff != "" {
		t.Errorf("the headers differ (-got +want):\n%s", diff)
	}
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

// The archive is for everybody: what follows reads it without our Reader.

func readWithLibrary(t *testing.T, data []byte) map[string][]byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	z.RegisterDecompressor(zstd.ZipMethodWinZip, zstd.ZipDecompressor())
	files := make(map[string][]byte)
	for _, f := range z.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if files[f.Name], err = io.ReadAll(in); err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		if perm := f.Mode(); perm != 0o600 {
			t.Errorf("%s would be unpacked with mode %v, want -rw-------", f.Name, perm)
		}
	}
	return files
}

func TestOthersCanReadAnArchive(t *testing.T) {
	want := walktest.Corpus()
	files := readWithLibrary(t, build(t, want...))
	var manifest Manifest
	if err := json.Unmarshal(files[manifestName], &manifest); err != nil {
		t.Fatal(err)
	}
	var got []etcdwalk.Entry
	for _, s := range manifest.Segments {
		var answer etcdserverpb.RangeResponse
		if err := proto.Unmarshal(files[s.Name], &answer); err != nil {
			t.Fatalf("%s: %v", s.Name, err)
		}
		if answer.Header != nil || answer.More || answer.Count != 0 {
			t.Errorf("%s holds more than kvs", s.Name)
		}
		for _, kv := range answer.Kvs {
			got = append(got, etcdwalk.Entry{Key: kv.Key, Value: kv.Value, CreateRevision: kv.CreateRevision,
				ModRevision: kv.ModRevision, Version: kv.Version, Lease: kv.Lease})
		}
	}
	if diff := walktest.Diff(got, want); diff != "" {
		t.Errorf("etcd's own types read something else:\n%s", diff)
	}
}

func TestToolsCanOpenAnArchive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.zip")
	if err := os.WriteFile(path, build(t, walktest.Corpus()...), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tool := range [][]string{
		{"unzip", "-p", path, headerName},
		{"python3", "-c", "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); print(len(z.namelist()), z.read('header.json').decode())", path},
		{"bsdtar", "-xOf", path},
		{"7zz", "t", path},
	} {
		t.Run(tool[0], func(t *testing.T) {
			if _, err := exec.LookPath(tool[0]); err != nil {
				t.Skip(tool[0] + " is not installed")
			}
			out, err := exec.Command(tool[0], tool[1:]...).CombinedOutput()
			if err != nil || (tool[0] != "7zz" && !bytes.Contains(out, []byte("00112233445566778899aabbccddeeff"))) {
				t.Errorf("%v: %v\n%.500s", tool, err, out)
			}
		})
	}
}
