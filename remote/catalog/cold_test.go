package catalog

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/remotetest"
)

// A receipt that is stored cold hides its own archive, and none of the others.
func TestAColdReceiptBlocksNothing(t *testing.T) {
	store := &remotetest.Memory{}
	for i, name := range []string{"a.zip.age", "b.zip.age", "c.zip.age"} {
		put(t, store, name, func(r *Receipt) {
			r.ArchiveID, r.Created = strings.Repeat(string("abc"[i]), 32), r.Created.Add(time.Duration(i)*time.Hour)
		})
	}
	fired := 0
	store.Fault = func(op, name string) error {
		if op == "read" && name == ReceiptName("c.zip.age") {
			fired++
			return remote.ErrCold
		}
		return nil
	}
	l, err := List(t.Context(), store)
	if err != nil || fired == 0 {
		t.Fatalf("%v, after %d faults", err, fired)
	}
	if got := strings.Join(show(l), " "); strings.Contains(got, "c.zip.age") || !strings.Contains(got, "b.zip.age") {
		t.Errorf("the items are %s", got)
	}
	if len(l.Cold) != 1 || l.Cold[0].Name != "c.zip.age" || l.Cold[0].Size == 0 || len(l.Unfinished) != 0 {
		t.Errorf("cold %+v, unfinished %+v", l.Cold, l.Unfinished)
	}
	if item, err := l.Find("latest", Query{}); err != nil || item.Name != "b.zip.age" {
		t.Errorf("latest is %s, %v", item.Name, err)
	}
	groups, err := l.Retain(Policy{Last: 1}, time.Now())
	if err != nil || len(groups) != 1 || len(groups[0].Verdicts) != 2 {
		t.Errorf("%d groups, %v", len(groups), err)
	}
}

// Where nothing else is known, that is said.
func TestOnlyColdReceipts(t *testing.T) {
	store := &remotetest.Memory{}
	put(t, store, "a.zip.age", func(*Receipt) {})
	store.Fault = func(op, _ string) error {
		if op == "read" {
			return remote.ErrCold
		}
		return nil
	}
	l, err := List(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Find("latest", Query{}); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "of 1 nothing is known") {
		t.Errorf("got %v", err)
	}
}

// What the listing leaves out is found by looking; what is gone is told.
func TestWhatAListingLeavesOut(t *testing.T) {
	store := &remotetest.Memory{}
	put(t, store, "a.zip.age", func(*Receipt) {})
	l, err := List(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	put(t, store, "b.zip.age", func(*Receipt) {})
	if _, err := l.Absent(t.Context(), store, []string{"a.zip.age", "b.zip.age"}); !errors.Is(err, ErrHidden) || !errors.Is(err, remote.ErrUnavailable) {
		t.Errorf("got %v, want ErrHidden", err)
	}
	if err := l.Confirm(t.Context(), store, store.List(t.Context(), "")); !errors.Is(err, ErrHidden) {
		t.Errorf("another listing has more: got %v, want ErrHidden", err)
	}
	if gone, err := l.Absent(t.Context(), store, []string{"x.zip.age"}); err != nil || len(gone) != 1 {
		t.Errorf("got %v, %v, want one that is gone", gone, err)
	}
	for _, name := range []string{"b.zip.age", ReceiptName("b.zip.age"), "a.zip.age"} {
		if err := store.Remove(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Confirm(t.Context(), store, store.List(t.Context(), "")); err != nil {
		t.Errorf("one is gone: got %v", err)
	}
	fired := 0
	store.Fault = func(op, name string) error {
		if op == "open" && name == "a.zip.age" {
			fired++
			return remote.ErrUnavailable
		}
		return nil
	}
	if err := l.Confirm(t.Context(), store, store.List(t.Context(), "")); !errors.Is(err, remote.ErrUnavailable) || fired != 1 {
		t.Errorf("it cannot be looked at: got %v after %d faults", err, fired)
	}
}
