package catalog

import (
	"context"
	"errors"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kubeferry/kubeferry/remote/dir"
	"github.com/kubeferry/kubeferry/remote/remotetest"
)

func TestValidLabel(t *testing.T) {
	for label, ok := range map[string]bool{
		"prod": true, "prod-eu.1": true, "0a1b2c3d": true, "x": true, strings.Repeat("x", 40): true, "a..b": true,
		"": false, strings.Repeat("x", 41): false, "Prod": false, "a_b": false, "a/b": false, "a b": false,
		".hidden": false, "-flag": false, "ü": false, "a\x00": false, "\xff": false, "..": false,
	} {
		err := ValidLabel(label)
		if (err == nil) != ok || (err != nil && !errors.Is(err, ErrLabel)) {
			t.Errorf("%q: got %v, want valid: %v", label, err, ok)
		}
	}
	if got := len(ValidLabel(strings.Repeat("X", 1<<20)).Error()); got > 300 {
		t.Errorf("got an error of %d bytes about a huge label", got)
	}
}

func TestNewName(t *testing.T) {
	when := time.Date(2026, 3, 14, 23, 59, 59, 999, time.FixedZone("CET", 3600))
	for encrypted, want := range map[bool]string{
		true:  `^prod-20260314T225959Z-r42-[a-z0-9]{6}\.zip\.age$`,
		false: `^prod-20260314T225959Z-r42-[a-z0-9]{6}\.zip$`,
	} {
		got := NewName("prod", when, 42, encrypted)
		if !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("got %q, want %s", got, want)
		}
		if got == NewName("prod", when, 42, encrypted) {
			t.Errorf("%q came twice", got)
		}
	}
}

func TestEveryNewNameIsThatOfAnArchiveAndStorable(t *testing.T) {
	store := dir.New(t.TempDir(), dir.Options{})
	rapid.Check(t, func(rt *rapid.T) {
		label := rapid.StringMatching(`[a-z0-9][a-z0-9.-]{0,39}`).Draw(rt, "label")
		if err := ValidLabel(label); err != nil {
			rt.Fatal(err)
		}
		created := time.Unix(rapid.Int64Range(0, 1<<37).Draw(rt, "created"), 0)
		name := NewName(label, created, rapid.Int64Min(0).Draw(rt, "revision"), rapid.Bool().Draw(rt, "encrypted"))
		if !IsArchive(name) || IsArchive(ReceiptName(name)) || len(ReceiptName(name)) > 255 {
			rt.Errorf("%q is no name for an archive", name)
		}
		u, err := store.Create(t.Context(), ReceiptName(name))
		if err != nil {
			rt.Fatal(err)
		}
		if err := u.Abort(); err != nil {
			rt.Fatal(err)
		}
	})
}

// put puts an archive with its receipt into the store, changed by spoil.
func put(t *testing.T, store *remotetest.Memory, name string, spoil func(*Receipt)) {
	t.Helper()
	data := []byte("content of " + name)
	store.Put(name, data)
	r := receiptOf(name, data)
	spoil(&r)
	if err := Publish(t.Context(), store, r); err != nil {
		t.Fatal(err)
	}
}

// show is an item as name and, if it is broken, the reason.
func show(l Listing) []string {
	var lines []string
	for _, item := range l.Items {
		lines = append(lines, strings.TrimSpace(item.Name+" "+item.Broken))
	}
	return lines
}

func TestListShowsTheNewestFirstAndWhatIsBroken(t *testing.T) {
	var store remotetest.Memory
	on := func(day int, revision int64) func(*Receipt) {
		return func(r *Receipt) {
			r.Created, r.Revision = time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC), revision
		}
	}
	put(t, &store, "middle.zip.age", on(2, 1))
	put(t, &store, "oldest.zip", on(1, 9))
	put(t, &store, "newest.zip.age", on(3, 5))
	put(t, &store, "newest-later.zip.age", on(3, 6))
	put(t, &store, "newest-twin.zip.age", on(3, 5))
	put(t, &store, "lost.zip", on(4, 1))
	if err := store.Remove(t.Context(), "lost.zip"); err != nil {
		t.Fatal(err)
	}
	put(t, &store, "short.zip", on(5, 1))
	store.Put("short.zip", []byte("cut"))
	put(t, &store, "real.zip", on(6, 1))
	copied, _ := store.Get(ReceiptName("real.zip"))
	store.Put("copy.zip", []byte("x"))
	store.Put(ReceiptName("copy.zip"), copied)
	store.Put("bad.zip", []byte("x"))
	store.Put(ReceiptName("bad.zip"), []byte("{"))
	store.Put("alone.zip.age", []byte("x"))
	store.Put("alone.zip", []byte("x"))
	for _, foreign := range []string{"notes.txt", "x.receipt.json", ".zip", ".zip.age", "a.zip.age.tmp", "y.tar.receipt.json"} {
		store.Put(foreign, []byte("x"))
	}

	l, err := List(t.Context(), &store)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"real.zip",
		"short.zip the archive has 3 bytes, its receipt says 20",
		"lost.zip the archive is missing",
		"newest-later.zip.age", "newest-twin.zip.age", "newest.zip.age", "middle.zip.age", "oldest.zip",
		"bad.zip bad.zip.receipt.json: no usable receipt: not JSON: jsontext: unexpected EOF after offset 1",
		`copy.zip copy.zip.receipt.json: archive and receipt do not match: it names real.zip`,
	}
	if diff := cmp.Diff(show(l), want); diff != "" {
		t.Errorf("items (-got +want):\n%s", diff)
	}
	var unfinished []string
	for _, f := range l.Unfinished {
		unfinished = append(unfinished, f.Name)
		if f.Modified.IsZero() {
			t.Errorf("%s has no time", f.Name)
		}
	}
	if diff := cmp.Diff(unfinished, []string{"alone.zip", "alone.zip.age"}); diff != "" {
		t.Errorf("unfinished (-got +want):\n%s", diff)
	}
	if i := slices.IndexFunc(l.Items, func(i Item) bool { return i.Name == "bad.zip" }); l.Items[i].Receipt != (Receipt{}) {
		t.Errorf("got a receipt for bad.zip: %+v", l.Items[i].Receipt)
	}
}

func TestListOfAnEmptyStoreIsEmpty(t *testing.T) {
	l, err := List(t.Context(), &remotetest.Memory{})
	if err != nil || len(l.Items)+len(l.Unfinished) != 0 {
		t.Errorf("got %+v, %v", l, err)
	}
}

func TestListFailsIfTheStoreCannotBeListed(t *testing.T) {
	injected := errors.New("injected")
	for _, at := range []string{"", "a.zip", "b.zip.receipt.json"} {
		var store remotetest.Memory
		put(t, &store, "a.zip", func(*Receipt) {})
		put(t, &store, "b.zip", func(*Receipt) {})
		fired := 0
		store.Fault = func(op, name string) error {
			if op != "list" || name != at {
				return nil
			}
			fired++
			return injected
		}
		l, err := List(t.Context(), &store)
		if !errors.Is(err, injected) || fired != 1 || len(l.Items) != 0 {
			t.Errorf("at %q: got %d items, %v after %d faults, want the injected error", at, len(l.Items), err, fired)
		}
	}
}

func TestListReportsAReceiptThatCannotBeRead(t *testing.T) {
	var store remotetest.Memory
	put(t, &store, "a.zip", func(*Receipt) {})
	put(t, &store, "b.zip", func(*Receipt) {})
	fired := 0
	store.Fault = func(op, name string) error {
		if op != "read" || name != "a.zip.receipt.json" {
			return nil
		}
		fired++
		return errors.New("disk on fire")
	}
	l, err := List(t.Context(), &store)
	if err != nil || fired != 1 || len(l.Items) != 2 {
		t.Fatalf("got %+v, %v after %d faults", l, err, fired)
	}
	if good, bad := l.Items[0], l.Items[1]; good.Broken != "" || bad.Name != "a.zip" || !strings.Contains(bad.Broken, "disk on fire") {
		t.Errorf("got %+v", l.Items)
	}
}

func TestListEndsWithItsContext(t *testing.T) {
	var store remotetest.Memory
	put(t, &store, "a.zip", func(*Receipt) {})
	ctx, cancel := context.WithCancel(t.Context())
	fired := 0
	store.Fault = func(op, _ string) error {
		if op == "open" {
			fired++
			cancel()
		}
		return nil
	}
	if _, err := List(ctx, &store); !errors.Is(err, context.Canceled) || fired != 1 {
		t.Errorf("got %v after %d, want context.Canceled", err, fired)
	}
}

// TestAReservedNameIsNoArchive: where names are reserved with an empty file, a run that is
// killed leaves one, which is no archive, and no reason to stop. An archive beside an
// empty receipt may be whole: no removal of what is unfinished takes it.
func TestAReservedNameIsNoArchive(t *testing.T) {
	const whole, empty = "whole.zip.age", "empty.zip.age"
	var store remotetest.Memory
	put(t, &store, "good.zip.age", func(*Receipt) {})
	store.Put(whole, []byte("its receipt was about to come"))
	store.Put(ReceiptName(whole), nil)
	store.Put(empty, nil)
	store.Put(ReceiptName("alone.zip.age"), nil)
	l, err := List(t.Context(), &store)
	if err != nil {
		t.Fatal(err)
	}
	var unfinished []string
	for _, f := range l.Unfinished {
		unfinished = append(unfinished, f.Name)
	}
	if diff := cmp.Diff([][]string{show(l), unfinished}, [][]string{{"good.zip.age"}, {empty, whole}}); diff != "" {
		t.Errorf("archives and unfinished (-got +want):\n%s", diff)
	}
	if item, err := l.Find("latest", Query{}); err != nil || item.Name != "good.zip.age" {
		t.Errorf("latest: got %s, %v", item.Name, err)
	}
	if _, err := Read(t.Context(), &store, whole); !errors.Is(err, ErrReserved) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("read: got %v, want ErrReserved", err)
	}
	if err := RemoveUnfinished(t.Context(), &store, whole); !errors.Is(err, fs.ErrExist) {
		t.Errorf("remove what may be whole: got %v, want fs.ErrExist", err)
	}
	if err := RemoveUnfinished(t.Context(), &store, empty); err != nil {
		t.Errorf("remove what is empty: %v", err)
	}
	if _, there := store.Get(whole); !there {
		t.Error("what may be whole was removed")
	}
}
