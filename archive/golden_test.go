package archive

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

var update = flag.Bool("update", false, "write the golden archive of the present format, if it is not there")

const goldenFolder = "../testdata/archives"

// goldenEntries are what the golden archive of format 1.0 holds. They must
// never change: every later version has to read them out of that file.
func goldenEntries() []etcdwalk.Entry {
	var entries []etcdwalk.Entry
	add := func(key, value string, lease int64) {
		n := int64(len(entries))
		entries = append(entries, etcdwalk.Entry{Key: []byte(key), Value: []byte(value), CreateRevision: n + 2, ModRevision: 2*n + 3, Version: n%3 + 1, Lease: lease})
	}
	add("\x00", "low", 0)
	for i := range 40 {
		add(fmt.Sprintf("/registry/configmaps/shop/settings-%02d", i), fmt.Sprintf("k8s\x00 settings %d", i*i), 0)
	}
	add("/registry/events/shop/web.1", "k8s\x00 event", 0x1ea5e)
	add("/registry/odd/line\nbreak", "", 0)
	add("/registry/odd/not\xffutf8", "\x00\xff", 0)
	for i := range 3 {
		add(fmt.Sprintf("/registry/secrets/ns-%d/token", i), string(bytes.Repeat([]byte{byte(i), 's'}, 300)), 0)
	}
	add("\xff", "high", 0)
	return entries
}

func TestGoldenArchivesStayReadable(t *testing.T) {
	path := filepath.Join(goldenFolder, fmt.Sprintf("v%d.%d.zip", formatMajor, formatMinor))
	if _, err := os.Stat(path); os.IsNotExist(err) && *update {
		if err := os.MkdirAll(goldenFolder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, build(t, goldenEntries()...), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	archives, err := filepath.Glob(filepath.Join(goldenFolder, "v*.zip"))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(archives, path) {
		t.Fatalf("there is no golden archive of the present format (%s): make one with -update", path)
	}
	for _, path := range archives {
		t.Run(filepath.Base(path), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			r := mustOpen(t, data)
			if _, err := r.Verify(t.Context(), nil, nil); err != nil {
				t.Fatal(err)
			}
			if got, want := walk(t, r, walktest.Everything()), goldenEntries(); !slices.EqualFunc(got, want, sameEntry) {
				t.Errorf("it holds other entries:\n%s", walktest.Diff(got, want))
			}
			if id := r.Header().ArchiveID; id != testHeader().ArchiveID {
				t.Errorf("got archive id %s, want %s", id, testHeader().ArchiveID)
			}
			if leases, err := r.Leases(t.Context(), []int64{0x1ea5e}); err != nil || leases[0].Remaining != 1800 {
				t.Errorf("got leases %+v and error %v, want one that had 1800 seconds left", leases, err)
			}
		})
	}
}
