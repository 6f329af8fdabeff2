package cmd

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/catalog"
	"github.com/kubeferry/kubeferry/remote/dir"
	"github.com/kubeferry/kubeferry/remote/remotetest"
)

// What the commands that look show, as it stands in testdata/tables.golden.
func TestTablesAreGolden(t *testing.T) {
	now := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	place := t.TempDir()
	store := dir.New(place, dir.Options{})
	for i := range 4 {
		stock(t, store, i, now.Add(-time.Duration(i)*30*time.Hour))
	}
	unfinished := filepath.Join(place, "prod-unfinished.zip.age")
	check(t, os.WriteFile(unfinished, []byte("no receipt"), 0o600))
	check(t, os.Chtimes(unfinished, now, now.Add(-time.Hour)))
	archive := filepath.Join(t.TempDir(), "sample.zip")
	check(t, os.WriteFile(archive, []byte(sample), 0o600))

	var b strings.Builder
	for _, c := range []struct {
		fits bool // into 80 columns
		code exitCode
		line string
	}{
		{true, exitDone, "list PLACE"},
		{false, exitDone, "list PLACE --all"},
		{false, exitDone, "list PLACE -o wide"},
		{false, exitDone, "check PLACE --max-age 2d"},
		{false, exitCheck, "check PLACE --min-count 9"},
		{false, exitDone, "prune PLACE --keep-last 2 --dry-run"},
		{false, exitGuard, "prune PLACE --keep-last 1 --max-delete-percent 10 --dry-run"},
		{true, exitDone, "describe SAMPLE"},
		{false, exitDone, "describe SAMPLE --details"},
	} {
		words := strings.Fields(strings.NewReplacer("PLACE", place, "SAMPLE", archive).Replace(c.line))
		out := runAt(t, now, words...).ends(t, c.code).stdout
		fmt.Fprintf(&b, "$ kubeferry %s\n%s\n", c.line, out)
		for line := range strings.Lines(out) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); c.fits && n > 80 {
				t.Errorf("%s has a line of %d columns: %s", c.line, n, line)
			}
		}
	}
	wantGolden(t, "testdata/tables.golden", b.String())
}

// The pages of the help that belong to no command, as they stand in
// testdata/topics.golden; those of commands are in REFERENCE.md.
func TestTopicsAreGolden(t *testing.T) {
	var b strings.Builder
	for _, name := range topicNames() {
		fmt.Fprintf(&b, "$ kubeferry help %s\n%s\n", name, must(t, exitDone, "help", name).stdout)
	}
	wantGolden(t, "testdata/topics.golden", b.String())
}

// wantGolden holds what commands say against a file; -update writes it.
func wantGolden(t *testing.T, golden, got string) {
	t.Helper()
	if *update {
		check(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	if diff := cmp.Diff(string(readFile(t, golden)), got); diff != "" {
		t.Errorf("%s (-file +commands):\n%s", golden, diff)
	}
}

// stock publishes an archive that is none, with a receipt that says what is shown.
func stock(t *testing.T, store remote.Store, i int, created time.Time) {
	t.Helper()
	name, data := catalog.NewName("prod", created, int64(i), true), []byte(strings.Repeat("x", 1000*(i+1)))
	name = regexp.MustCompile(`-[^-]*\.zip\.age$`).ReplaceAllString(name, "-abcdef.zip.age") // its end is made at random
	remotetest.Publish(t, store, name, data)
	check(t, catalog.Publish(t.Context(), store, catalog.NewReceipt(catalog.Receipt{
		ArchiveID: hex.EncodeToString([]byte(fmt.Sprintf("id %d of an archive", i)))[:32],
		Name:      name, Created: created, KubeSystemUID: "uid", Cluster: "prod", Whole: true, ToolVersion: "test",
		Keys: int64(1106 * i), Kinds: 62, Revision: int64(1848 * i), CorruptSource: i == 1, RetainUntil: created.Add(40 * time.Hour * time.Duration(i%2)),
	}, remote.DigestOf(data))))
}
