package catalog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/remotetest"
)

var created = time.Date(2026, 3, 14, 15, 9, 26, 535, time.FixedZone("CET", 3600))

// receiptOf is the receipt of an archive that holds data.
func receiptOf(name string, data []byte) Receipt {
	return NewReceipt(Receipt{
		ArchiveID: "00112233445566778899aabbccddeeff", Name: name, Created: created,
		ClusterID: "cdf818194e3a8c32", Identity: "uid", KubeSystemUID: "0a1b2c3d-0000-4000-8000-000000000001", Cluster: "prod-eu.1", LabelTyped: true,
		Revision: 1234567, Keys: 8765, Kinds: 43, Whole: true, Selection: Selection{strings.Repeat("5e", 32), "whole"}, OutsideKeys: new(int64(3)),
		ToolVersion: "kubeferry 0.1.0",
	}, remote.DigestOf(data))
}

// golden is the text of a receipt of a version of the format. These files never
// change: every later version has to read them.
func golden(t testing.TB, version string) string {
	t.Helper()
	text, err := os.ReadFile("../../testdata/receipts/v" + version + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestOldReceiptsStayReadable: what 1.0 did not tell is not known, and not made up.
func TestOldReceiptsStayReadable(t *testing.T) {
	want := receiptOf("a.zip.age", []byte("payload"))
	want.Format.Minor, want.Identity, want.LabelTyped, want.Selection, want.OutsideKeys = 0, "", false, Selection{}, nil
	got, err := decode([]byte(golden(t, "1.0")))
	if diff := cmp.Diff(got, want); err != nil || diff != "" {
		t.Errorf("%v, the receipt (-got +want):\n%s", err, diff)
	}
}

func TestPublishWritesWhatReadReads(t *testing.T) {
	var store remotetest.Memory
	want := receiptOf("a.zip.age", []byte("payload"))
	if err := Publish(t.Context(), &store, want); err != nil {
		t.Fatal(err)
	}
	data, _ := store.Get("a.zip.age.receipt.json")
	if diff := cmp.Diff(string(data), golden(t, "1.1")); diff != "" {
		t.Errorf("the text (-got +want):\n%s", diff)
	}
	got, err := Read(t.Context(), &store, "a.zip.age")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("the receipt (-got +want):\n%s", diff)
	}
	if err := got.Check("a.zip.age", 7, sha256.Sum256([]byte("payload"))); err != nil {
		t.Error(err)
	}
}

func TestPublishNeverReplaces(t *testing.T) {
	var store remotetest.Memory
	r := receiptOf("a.zip", []byte("1"))
	if err := Publish(t.Context(), &store, r); err != nil {
		t.Fatal(err)
	}
	before, _ := store.Get(ReceiptName("a.zip"))
	r.Keys++
	if err := Publish(t.Context(), &store, r); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want fs.ErrExist", err)
	}
	if after, _ := store.Get(ReceiptName("a.zip")); !bytes.Equal(before, after) {
		t.Error("the receipt was replaced")
	}
}

func TestPublishReportsEveryFault(t *testing.T) {
	injected := errors.New("injected")
	for _, step := range []string{"create", "write", "commit"} {
		fired := 0
		store := remotetest.Memory{Fault: func(op, _ string) error {
			if op != step {
				return nil
			}
			fired++
			return injected
		}}
		if err := Publish(t.Context(), &store, receiptOf("a.zip", []byte("1"))); !errors.Is(err, injected) || fired != 1 {
			t.Errorf("%s: got %v after %d faults, want the injected one", step, err, fired)
		}
		if _, ok := store.Get(ReceiptName("a.zip")); ok {
			t.Errorf("%s: the receipt is there", step)
		}
	}
}

func TestPublishRefusesWhatReadWould(t *testing.T) {
	for name, spoil := range map[string]func(*Receipt){
		"format":          func(r *Receipt) { r.Format.Major = 0 },
		"id":              func(r *Receipt) { r.ArchiveID = "1" },
		"upper-case id":   func(r *Receipt) { r.ArchiveID = strings.ToUpper(r.ArchiveID) },
		"name":            func(r *Receipt) { r.Name = "a.tar" },
		"path":            func(r *Receipt) { r.Name = "../a.zip" },
		"control in name": func(r *Receipt) { r.Name = "a\x1b[2J.zip" },
		"RTL in name":     func(r *Receipt) { r.Name = "a\u202e.zip" },
		"empty archive":   func(r *Receipt) { r.Size = 0 },
		"negative size":   func(r *Receipt) { r.Size = -1 },
		"digest":          func(r *Receipt) { r.SHA256 = r.SHA256[2:] },
		"created":         func(r *Receipt) { r.Created = time.Time{} },
		"cluster id":      func(r *Receipt) { r.ClusterID = "\n" },
		"UID":             func(r *Receipt) { r.KubeSystemUID = strings.Repeat("x", 129) },
		"UID of none":     func(r *Receipt) { r.Identity = "none" },
		"identity":        func(r *Receipt) { r.Identity, r.KubeSystemUID = "\n", "" },
		"selection":       func(r *Receipt) { r.Selection.Digest = "5e" },
		"text":            func(r *Receipt) { r.Selection.Text = "\x1b[2J" },
		"keys outside":    func(r *Receipt) { r.OutsideKeys = new(int64(-1)) },
		"label":           func(r *Receipt) { r.Cluster = "" },
		"revision":        func(r *Receipt) { r.Revision = -1 },
		"keys":            func(r *Receipt) { r.Keys = -1 },
		"kinds":           func(r *Receipt) { r.Kinds = -1 },
		"tool version":    func(r *Receipt) { r.ToolVersion = "\u00fc" },
	} {
		t.Run(name, func(t *testing.T) {
			r := receiptOf("a.zip", []byte("1"))
			spoil(&r)
			store := remotetest.Memory{Fault: func(op, name string) error {
				t.Errorf("%s %s: the store was touched", op, name)
				return nil
			}}
			if err := Publish(t.Context(), &store, r); !errors.Is(err, ErrReceipt) || errors.Is(err, ErrLabel) {
				t.Errorf("publish: got %v, want ErrReceipt", err)
			}
			data, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := decode(data); !errors.Is(err, ErrReceipt) || errors.Is(err, ErrLabel) {
				t.Errorf("decode: got %v, want ErrReceipt", err)
			}
		})
	}
}

// TestDecodeIsStrict is row M02, and M04 for what a newer tool may add.
func TestDecodeIsStrict(t *testing.T) {
	swap := func(old, by string) string {
		t.Helper()
		if strings.Count(golden(t, "1.0"), old) != 1 {
			t.Fatalf("%q is not once in the receipt", old)
		}
		return strings.Replace(golden(t, "1.0"), old, by, 1)
	}
	nested := func(depth int) string {
		return swap(`"keys"`, `"x": `+strings.Repeat("[", depth)+strings.Repeat("]", depth)+`, "keys"`)
	}
	for _, tc := range []struct {
		name, data, err string
	}{
		{"takes the golden one", golden(t, "1.0"), ""},
		{"takes an unknown member", swap(`"keys"`, `"future": {"a": [1, null]}, "keys"`), ""},
		{"takes a later minor version", swap(`"minor": 0`, `"minor": 7, "patch": 1`), ""},
		{"takes a time of another zone", swap("14:09:26Z", "15:09:26+01:00"), ""},
		{"refuses nothing", "", "not JSON"},
		{"refuses null", "null", "null"},
		{"refuses another value", "[]", ""},
		{"refuses no members", "{}", "the format is 0.0"},
		{"refuses a cut one", golden(t, "1.0")[:200], "not JSON"},
		{"refuses a doubled member", swap(`"keys": 8765`, `"keys": 8765, "keys": 8766`), "duplicate object member name"},
		{"refuses a doubled unknown member", swap(`"keys"`, `"x": 1, "x": 2, "keys"`), "duplicate object member name"},
		{"refuses a case variant", swap(`"keys"`, `"Keys"`), "written otherwise"},
		{"refuses a case variant beside", swap(`"keys"`, `"KEYS": 1, "keys"`), "written otherwise"},
		{"refuses a string for a number", swap("8765", `"8765"`), "keys"},
		{"refuses a number for a string", swap(`"kubeferry 0.1.0"`, "1"), "tool_version"},
		{"refuses null for a number", swap("8765", "null"), "null"},
		{"refuses a fraction", swap("8765", "8765.5"), "keys"},
		{"refuses NaN", swap("8765", "NaN"), "not JSON"},
		{"refuses 1e400", swap("8765", "1e400"), "keys"},
		{"refuses an overflow", swap("8765", "9223372036854775808"), "keys"},
		{"refuses a negative number", swap("8765", "-1"), "negative"},
		{"refuses bad UTF-8", swap("prod-eu.1", "prod\xff"), "UTF-8"},
		{"refuses half a surrogate", swap("prod-eu.1", `\ud800`), "surrogate"},
		{"refuses a byte order mark", "\uFEFF" + golden(t, "1.0"), "invalid character"},
		{"refuses trailing data", golden(t, "1.0") + "{}", "not JSON"},
		{"refuses a bad time", swap("2026-03-14T14", "2026-03-14 14"), "created"},
		{"refuses deep nesting", nested(40), "nested"},
		{"refuses a newer major version", swap(`"major": 1`, `"major": 2`), "it needs a newer one"},
		{"refuses a newer major version whatever else changed", `{"format":{"major":3,"minor":1},"keys":"many"}`, "it needs a newer one"},
		{"refuses a negative version", swap(`"major": 1`, `"major": -1`), "the format is -1.0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := decode([]byte(tc.data))
			if strings.HasPrefix(tc.name, "takes") {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, ErrReceipt) || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("got %v, want ErrReceipt with %q", err, tc.err)
			}
		})
	}
}

func TestAnyYearIsReadable(t *testing.T) { // M08
	for _, year := range []int{0, 1970, 2038, 2107, 9999} {
		want := receiptOf("a.zip", []byte("1"))
		want.Created = time.Date(year, 6, 1, 0, 0, 0, 0, time.UTC)
		want.RetainUntil = want.Created
		var store remotetest.Memory
		if err := Publish(t.Context(), &store, want); err != nil {
			t.Fatal(err)
		}
		got, err := Read(t.Context(), &store, "a.zip")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("year %d (-got +want):\n%s", year, diff)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	var store remotetest.Memory
	store.Put("b.zip.age.receipt.json", []byte(golden(t, "1.0"))) // it is of a.zip.age: row M05
	store.Put("huge.zip.receipt.json", []byte(strings.Replace(golden(t, "1.0"), "a.zip.age", "huge.zip", 1)+strings.Repeat(" ", maxReceipt)))
	store.Put("html.zip.receipt.json", []byte("<html>"))
	for archive, want := range map[string]error{
		"b.zip.age": ErrMismatch, "huge.zip": ErrReceipt, "html.zip": ErrReceipt, "absent.zip": fs.ErrNotExist, "../x.zip": fs.ErrInvalid,
	} {
		if _, err := Read(t.Context(), &store, archive); !errors.Is(err, want) || !strings.Contains(err.Error(), archive) {
			t.Errorf("%s: got %v, want %v that names it", archive, err, want)
		}
	}
}

func TestReadReportsFaults(t *testing.T) {
	injected := errors.New("injected")
	for _, step := range []string{"open", "read"} {
		fired := 0
		store := remotetest.Memory{Fault: func(op, _ string) error {
			if op != step {
				return nil
			}
			fired++
			return injected
		}}
		store.Put("a.zip.age.receipt.json", []byte(golden(t, "1.0")))
		if _, err := Read(t.Context(), &store, "a.zip.age"); !errors.Is(err, injected) || errors.Is(err, ErrReceipt) || fired != 1 {
			t.Errorf("%s: got %v after %d faults, want the injected one", step, err, fired)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Read(ctx, &remotetest.Memory{}, "a.zip"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestCheckFindsAnyDifference(t *testing.T) { // M05
	data := []byte("payload")
	r, digest := receiptOf("a.zip", data), sha256.Sum256(data)
	for i, err := range []error{
		r.Check("b.zip", 7, digest), r.Check("a.zip", 8, digest), r.Check("a.zip", 7, sha256.Sum256(nil)),
		r.Check("a.zip", 7, [sha256.Size]byte{}), Receipt{}.Check("a.zip", 7, digest),
	} {
		if !errors.Is(err, ErrMismatch) {
			t.Errorf("case %d: got %v, want ErrMismatch", i, err)
		}
	}
}

// FuzzReceipt: what is taken is within its bounds, comes back the same when it
// is written again, and says the same to encoding/json.
func FuzzReceipt(f *testing.F) {
	for _, s := range []string{golden(f, "1.0"), golden(f, "1.1"), "", "{}", "null", `{"format":{"major":2}}`, strings.ToUpper(golden(f, "1.0")),
		strings.Replace(golden(f, "1.0"), `"keys"`, `"retain_until": "2030-01-01T00:00:00Z", "keys"`, 1)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decode(data)
		if err != nil {
			if !errors.Is(err, ErrReceipt) {
				t.Errorf("got %v, want ErrReceipt", err)
			}
			return
		}
		if !IsArchive(r.Name) || r.Size <= 0 || r.Keys < 0 || len(r.SHA256) != 64 || ValidLabel(r.Cluster) != nil {
			t.Errorf("taken: %+v", r)
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		back, err := decode(again)
		if diff := cmp.Diff(back, r); err != nil || diff != "" {
			t.Errorf("error %v, (-again +first):\n%s", err, diff)
		}
		var loose Receipt
		if err := json.Unmarshal(data, &loose); err != nil {
			t.Errorf("encoding/json refuses it: %v", err)
		}
		loose.Created, loose.RetainUntil = loose.Created.UTC(), loose.RetainUntil.UTC()
		if diff := cmp.Diff(loose, r); diff != "" {
			t.Errorf("encoding/json reads it otherwise (-loose +strict):\n%s", diff)
		}
	})
}

func ExamplePublish() {
	ctx, store := context.Background(), new(remotetest.Memory)
	name := "prod-20260314T140926Z-r1-abcdef.zip.age"
	store.Put(name, []byte("ciphertext")) // first the archive, then its receipt
	err := Publish(ctx, store, NewReceipt(Receipt{
		Name: name, ArchiveID: strings.Repeat("00", 16), Created: created, Cluster: "prod",
	}, remote.DigestOf([]byte("ciphertext"))))
	fmt.Println(err)
	listing, err := List(ctx, store)
	fmt.Println(listing.Items[0].Receipt.Cluster, listing.Items[0].Broken == "", err)
	// Output:
	// <nil>
	// prod true <nil>
}
