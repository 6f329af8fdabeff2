package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kubeferry/kubeferry/etcdwalk/replay/journal"
)

func temporary(t testing.TB) *journal.File {
	t.Helper()
	f, err := journal.Temporary(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func key() []byte { return []byte("key") }

func write(t testing.TB, f *journal.File, lines ...journal.Line) {
	t.Helper()
	if err := f.Begin([]byte(`{"a":1}`), key()); err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		if err := f.Add(l); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.End(); err != nil {
		t.Fatal(err)
	}
}

func read(f *journal.File) (lines []journal.Line, err error) {
	for l, err := range f.Lines() {
		if err != nil {
			return lines, err
		}
		lines = append(lines, l)
	}
	return lines, nil
}

func TestLinesComeBackAsTheyWere(t *testing.T) {
	digest := rapid.Custom(func(t *rapid.T) (d journal.Digest) {
		if rapid.Bool().Draw(t, "some") {
			copy(d[:], rapid.SliceOfN(rapid.Byte(), len(d), len(d)).Draw(t, "digest"))
		}
		return d
	})
	line := rapid.Custom(func(t *rapid.T) journal.Line {
		return journal.Line{
			Key:      rapid.SliceOfN(rapid.Byte(), 1, 60).Draw(t, "key"),
			Fate:     rapid.SampledFrom([]string{"created", "replaced", "not reached"}).Draw(t, "fate"),
			Reason:   rapid.OneOf(rapid.Just(""), rapid.SampledFrom([]string{"one", "two", `with "quotes", a	tab and =`}), rapid.String()).Draw(t, "reason"),
			Revision: rapid.Int64Min(0).Draw(t, "revision"),
			Seen:     digest.Draw(t, "seen"), Wanted: digest.Draw(t, "wanted"),
		}
	})
	f := temporary(t)
	rapid.Check(t, func(rt *rapid.T) {
		want := rapid.SliceOf(line).Draw(rt, "lines")
		write(t, f, want...)
		for range 2 { // as often as one likes
			got, err := read(f)
			if err != nil {
				rt.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" && len(want)+len(got) > 0 {
				rt.Error(diff)
			}
		}
	})
}

func TestManyReasons(t *testing.T) {
	f := temporary(t)
	var want []journal.Line
	for i := range 3000 {
		want = append(want, journal.Line{Key: []byte("/a"), Fate: "refused", Reason: fmt.Sprint("reason ", i%1500)})
	}
	write(t, f, want...)
	got, err := read(f)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

// object is a line as most are.
func object(i int) journal.Line {
	return journal.Line{
		Key: fmt.Appendf(nil, "/registry/configmaps/namespace-%04d/settings-of-service-%05d", i%100, i), Fate: "replaced", Revision: 123_456_789,
		Seen: journal.Digest{byte(i), 1}, Wanted: journal.Digest{2, byte(i)}, Reason: "it is another",
	}
}

func TestALineIsShort(t *testing.T) {
	f := temporary(t)
	const n = 1000
	var lines []journal.Line
	for i := range n {
		lines = append(lines, object(i))
	}
	write(t, f, lines...)
	var text bytes.Buffer
	if err := f.CopyTo(&text); err != nil || text.Len() > n*160 {
		t.Errorf("%d bytes for %d keys: %v", text.Len(), n, err)
	}
}

// TestATemporaryFileHasNoName: nobody else can open it, and it does not stay.
func TestATemporaryFileHasNoName(t *testing.T) {
	folder := t.TempDir()
	f, err := journal.Temporary(folder)
	if err != nil {
		t.Fatal(err)
	}
	write(t, f, object(1))
	if there, err := os.ReadDir(folder); err != nil || len(there) != 0 {
		t.Error(there, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if _, err := journal.Temporary(filepath.Join(folder, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// whole is a file of a plan as text.
func whole(t testing.TB) []byte {
	t.Helper()
	f := temporary(t)
	write(t, f, object(1), journal.Line{Key: []byte("/registry/secrets/a/b"), Fate: "created", Wanted: journal.Digest{3}}, object(2))
	var text bytes.Buffer
	if err := f.CopyTo(&text); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

// opened reads a file of this text.
func opened(t testing.TB, text []byte) ([]journal.Line, error) {
	t.Helper()
	f, err := journal.Copy(t.TempDir(), "named.plan", bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	f.Unseal(key())
	lines, err := read(f)
	return lines, errors.Join(err, f.Close())
}

func TestAFileThatWasCutIsDamaged(t *testing.T) {
	text := whole(t)
	for n := range len(text) {
		if _, err := opened(t, text[:n]); !errors.Is(err, journal.ErrDamaged) {
			t.Errorf("cut after %d bytes: %v", n, err)
		}
	}
}

func TestAFileThatWasEditedIsDamaged(t *testing.T) {
	text := string(whole(t))
	for _, edit := range [][2]string{
		{"kubeferry plan 1", "kubeferry plan 2"},
		{`{"a":1}`, `{"a":2}`},
		{"created", "replaced"}, // all that follows has the form that it should have
		{"\t123456789\t", "\t123456788\t"},
		{"settings-of-service-00001", "settings-of-service-00003"},
		{"it is another", "it is an other"},
		{"\nend", "\ncreated\t0\t-\t-\t-\t\"/k\"\nend"},
		{"created\t0\t-\tAwAAAAAAAAAAAAAAAAAAAA\t-\t\"/registry/secrets/a/b\"\n", ""},
		{"end\t3", "end\t2"},
		{"end\t3", "end\t+3"},
		{"\t123456789\t", "\t-1\t"},
		{"\t123456789\t", "\t\t"},
		{"\t123456789\t", "\t123456789\t\t"},
		{"AQEAAAAA", "AQEAAAA"},
		{"AQEAAAAA", "A+EAAAAA"},
		{`0="it is`, `1="it is`},
		{`0="it is`, `="it is`},
		{`0="it is another"`, `0=it is another`},
		{`0="it is another"`, `7`},
		{`0="it is another"`, `"it is`},
		{`"/registry/secrets/a/b"`, `/registry/secrets/a/b`},
		{`"/registry/secrets/a/b"`, `""`},
		{`"/registry/secrets/a/b"`, "`/registry/secrets/a/b`"},
	} {
		edited := strings.Replace(text, edit[0], edit[1], 1)
		if edited == text {
			t.Errorf("%q is not in the file", edit[0])
		}
		if _, err := opened(t, []byte(edited)); !errors.Is(err, journal.ErrDamaged) {
			t.Errorf("%q for %q: %v", edit[1], edit[0], err)
		}
	}
}

func TestAnotherKeyDoesNotOpenTheSeal(t *testing.T) {
	f, err := journal.Copy(t.TempDir(), "named.plan", bytes.NewReader(whole(t)))
	if err != nil {
		t.Fatal(err)
	}
	if header, err := f.Header(); err != nil || string(header) != `{"a":1}` {
		t.Errorf("%s, %v", header, err)
	}
	f.Unseal([]byte("another"))
	if _, err := read(f); !errors.Is(err, journal.ErrDamaged) {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// What is wrong with a file is told of the one that was read, not of its copy without a name.
func TestACopyIsCalledAsItWas(t *testing.T) {
	f, err := journal.Copy(t.TempDir(), "named.plan", strings.NewReader("cut"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Header(); !errors.Is(err, journal.ErrDamaged) || !strings.Contains(err.Error(), "(named.plan)") {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func FuzzLines(f *testing.F) {
	f.Add(whole(f))
	f.Fuzz(func(t *testing.T, text []byte) {
		lines, _ := opened(t, text) // as far as it goes
		again := temporary(t)
		write(t, again, lines...)
		got, err := read(again)
		if err != nil || !slices.EqualFunc(lines, got, func(a, b journal.Line) bool {
			key := bytes.Equal(a.Key, b.Key)
			a.Key, b.Key = nil, nil
			return key && cmp.Equal(a, b)
		}) {
			t.Error(err, cmp.Diff(lines, got))
		}
	})
}
