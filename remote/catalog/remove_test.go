package catalog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/remotetest"
)

const (
	doomed        = "a.zip.age" // the archive that is to be removed
	doomedReceipt = "a.zip.age.receipt.json"
)

// doom is a store with an archive whose receipt has these bytes, beside another.
func doom(t *testing.T, receipt string) *remotetest.Memory {
	t.Helper()
	store := &remotetest.Memory{}
	put(t, store, "b.zip", func(*Receipt) {})
	put(t, store, doomed, func(*Receipt) {})
	if receipt != "" {
		store.Put(doomedReceipt, []byte(receipt))
	}
	return store
}

// failing makes operations fail, named as in "remove a.zip.age", and counts them.
func failing(store *remotetest.Memory, faults map[string]error) map[string]int {
	fired := map[string]int{}
	store.Fault = func(op, name string) error {
		err := faults[op+" "+name]
		if err != nil {
			fired[op+" "+name]++
		}
		return err
	}
	return fired
}

// whole is all that a store holds, whatever its faults are.
func whole(store *remotetest.Memory) map[string]string {
	store.Fault = nil
	held := map[string]string{}
	for info := range store.List(context.Background(), "") {
		data, _ := store.Get(info.Name)
		held[info.Name] = string(data)
	}
	return held
}

func without(held map[string]string, names ...string) map[string]string {
	rest := map[string]string{}
	for name, data := range held {
		rest[name] = data
	}
	for _, name := range names {
		delete(rest, name)
	}
	return rest
}

// wantHeld wants exactly these objects in the store.
func wantHeld(t *testing.T, store *remotetest.Memory, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(whole(store), want); diff != "" {
		t.Errorf("the store (-got +want):\n%s", diff)
	}
}

var (
	errDenied = fmt.Errorf("not yours: %w", fs.ErrPermission)
	errBroken = errors.New("the disk is on fire")
)

func TestADeniedRemovalLeavesTheReceiptByteForByte(t *testing.T) {
	for name, receipt := range map[string]string{
		"a good one":                 "",
		"one with members of others": strings.Replace(golden(t, "1.0"), "{", `{ "later": [1,2] ,`, 1) + "\n\n",
		"one that is damaged":        "{\x00\xff",
		"one without content":        " ",
		"the largest":                strings.Repeat(" ", maxReceipt),
	} {
		t.Run(name, func(t *testing.T) {
			store := doom(t, receipt)
			before := whole(store)
			listed, err := List(t.Context(), store)
			if err != nil {
				t.Fatal(err)
			}
			fired := failing(store, map[string]error{"remove " + doomed: errDenied})
			err = Remove(t.Context(), store, doomed)
			if !errors.Is(err, fs.ErrPermission) || errors.Is(err, ErrReceiptLost) || fired["remove "+doomed] != 1 {
				t.Errorf("got %v after %v, want %v", err, fired, fs.ErrPermission)
			}
			if text := fmt.Sprint(err); !strings.HasPrefix(text, "remove "+doomed+" in memory: ") || !strings.Contains(text, "; it stays, with its receipt") || !strings.Contains(text, "not yours") {
				t.Errorf("the error is %q", text)
			}
			wantHeld(t, store, before)
			again, err := List(t.Context(), store)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(again, listed, cmpopts.IgnoreUnexported(Listing{})); diff != "" {
				t.Errorf("the listing (-got +want):\n%s", diff)
			}
		})
	}
}

func TestADeniedRemovalOfWhatHasNoReceiptMakesNone(t *testing.T) {
	store := doom(t, "")
	want := without(whole(store), doomedReceipt)
	if err := store.Remove(t.Context(), doomedReceipt); err != nil {
		t.Fatal(err)
	}
	fired := failing(store, map[string]error{"remove " + doomed: errDenied})
	err := Remove(t.Context(), store, doomed)
	if !errors.Is(err, fs.ErrPermission) || errors.Is(err, ErrReceiptLost) || len(fired) != 1 || strings.Contains(fmt.Sprint(err), "receipt") {
		t.Errorf("got %v after %v, want %v and nothing about receipts", err, fired, fs.ErrPermission)
	}
	wantHeld(t, store, want)
}

func TestAReceiptThatCannotBePutBackIsToldWithTheCommandThatMakesOne(t *testing.T) {
	for op, cause := range map[string]error{"create": errDenied, "write": remote.ErrNoSpace, "commit": errBroken} {
		t.Run(op, func(t *testing.T) {
			store := doom(t, "")
			before := whole(store)
			fired := failing(store, map[string]error{"remove " + doomed: errDenied, op + " " + doomedReceipt: cause})
			err := Remove(t.Context(), store, doomed)
			if !errors.Is(err, fs.ErrPermission) || !errors.Is(err, ErrReceiptLost) || len(fired) != 2 {
				t.Errorf("got %v after %v, want %v and %v", err, fired, fs.ErrPermission, ErrReceiptLost)
			}
			for _, word := range []string{
				"remove " + doomed, "it stays, and has no receipt now", "kubeferry receipt " + doomed + " -i IDENTITY",
				op + " " + doomedReceipt, cause.Error(),
			} {
				if !strings.Contains(fmt.Sprint(err), word) {
					t.Errorf("the error does not say %q: %v", word, err)
				}
			}
			wantHeld(t, store, without(before, doomedReceipt))
		})
	}
}

func TestAReceiptThatSomebodyElseHasPutThereStays(t *testing.T) {
	for name, theirs := range map[string]string{"the same": "", "another": golden(t, "1.0")} {
		t.Run(name, func(t *testing.T) {
			store, fired := doom(t, ""), 0
			want := whole(store)
			if theirs != "" {
				want[doomedReceipt] = theirs
			}
			store.Fault = func(op, name string) error {
				if op != "remove" || name != doomed {
					return nil
				}
				fired++
				store.Put(doomedReceipt, []byte(want[doomedReceipt]))
				return errDenied
			}
			err := Remove(t.Context(), store, doomed)
			if !errors.Is(err, fs.ErrPermission) || errors.Is(err, ErrReceiptLost) || fired != 1 {
				t.Errorf("got %v after %d faults, want %v", err, fired, fs.ErrPermission)
			}
			if got := strings.Contains(fmt.Sprint(err), "somebody else"); got != (theirs != "") {
				t.Errorf("the error is %v", err)
			}
			wantHeld(t, store, want)
		})
	}
}

func TestAReceiptThatCannotBeKeptIsNotRemoved(t *testing.T) {
	for name, tt := range map[string]struct {
		receipt string
		faults  map[string]error
		want    error
	}{
		"it may not be read": {"", map[string]error{"open " + doomedReceipt: errDenied}, fs.ErrPermission},
		"reading it fails":   {"", map[string]error{"read " + doomedReceipt: errBroken}, errBroken},
		"it is too large":    {strings.Repeat(" ", maxReceipt+1), nil, ErrReceipt},
	} {
		t.Run(name, func(t *testing.T) {
			store := doom(t, tt.receipt)
			before := whole(store)
			fired := failing(store, tt.faults)
			err := Remove(t.Context(), store, doomed)
			if !errors.Is(err, tt.want) || errors.Is(err, ErrReceiptLost) || len(fired) != len(tt.faults) {
				t.Errorf("got %v after %v, want %v", err, fired, tt.want)
			}
			if !strings.Contains(fmt.Sprint(err), doomed+", whose receipt could not be put back: ") {
				t.Errorf("the error is %v", err)
			}
			wantHeld(t, store, before)
		})
	}
}

func TestARemovalThatFailsLeavesTheReceiptOfWhatIsStillThere(t *testing.T) {
	for _, failure := range []error{errBroken, errDenied} {
		for _, name := range []string{doomed, doomedReceipt} {
			for _, goes := range []bool{false, true} { // though it is said to have failed
				t.Run(fmt.Sprintf("%v, of %s, gone: %v", failure, name, goes), func(t *testing.T) {
					store, fired := doom(t, ""), 0
					want := whole(store)
					if name == doomed && goes {
						want = without(want, doomed, doomedReceipt)
					}
					store.Fault = func(op, removed string) error {
						if op != "remove" || removed != name || fired > 0 {
							return nil
						}
						fired++
						if goes {
							_ = store.Remove(context.Background(), name)
						}
						return failure
					}
					err := Remove(t.Context(), store, doomed)
					if !errors.Is(err, failure) || errors.Is(err, ErrReceiptLost) || fired != 1 {
						t.Errorf("got %v after %d faults, want %v", err, fired, failure)
					}
					wantHeld(t, store, want)
				})
			}
		}
	}
}

func TestWhatBecameOfAnArchiveThatCannotBeLookedAtIsToldAsUnknown(t *testing.T) {
	store, down := doom(t, ""), 0
	before := whole(store)
	store.Fault = func(op, name string) error {
		if down > 0 || op == "remove" && name == doomed {
			down++
			return errBroken
		}
		return nil
	}
	err := Remove(t.Context(), store, doomed)
	if !errors.Is(err, errBroken) || !errors.Is(err, ErrReceiptLost) || down < 2 {
		t.Errorf("got %v after %d faults", err, down)
	}
	for _, word := range []string{"it may be there still, and has no receipt now", "kubeferry receipt " + doomed + " -i IDENTITY"} {
		if !strings.Contains(fmt.Sprint(err), word) {
			t.Errorf("the error does not say %q: %v", word, err)
		}
	}
	wantHeld(t, store, without(before, doomedReceipt))

	for failure, stays := range map[error]string{errBroken: "may be there still", errDenied: "stays"} {
		store := doom(t, "")
		fired := failing(store, map[string]error{"remove " + doomed: failure, "open " + doomed: errDenied})
		err := Remove(t.Context(), store, doomed)
		if !errors.Is(err, failure) || errors.Is(err, ErrReceiptLost) || len(fired) != 2 {
			t.Errorf("got %v after %v", err, fired)
		}
		if !strings.Contains(fmt.Sprint(err), "; it "+stays+", with its receipt") {
			t.Errorf("the error is %v", err)
		}
		wantHeld(t, store, before)
	}
}

func TestAnInterruptBetweenTheTwoLeavesBoth(t *testing.T) {
	store, fired := doom(t, ""), 0
	before := whole(store)
	ctx, cancel := context.WithCancel(t.Context())
	store.Fault = func(op, name string) error {
		if op == "remove" && name == doomedReceipt {
			fired++
			cancel()
		}
		return nil
	}
	if err := Remove(ctx, store, doomed); !errors.Is(err, context.Canceled) || errors.Is(err, ErrReceiptLost) || fired != 1 {
		t.Errorf("got %v after %d, want %v", err, fired, context.Canceled)
	}
	wantHeld(t, store, before)
}

// What puts a receipt back ends, though nobody interrupts it.
func TestPuttingBackHasATimeOfItsOwn(t *testing.T) {
	store := doom(t, "")
	limited := &limits{Memory: store}
	fired := failing(store, map[string]error{"remove " + doomed: errDenied})
	if err := Remove(t.Context(), limited, doomed); !errors.Is(err, fs.ErrPermission) || len(fired) != 1 {
		t.Errorf("got %v after %v", err, fired)
	}
	if left := time.Until(limited.deadline); left <= 0 || left > time.Minute {
		t.Errorf("%s are left", left)
	}
}

// limits notes until when an object may be made.
type limits struct {
	*remotetest.Memory

	deadline time.Time
}

func (l *limits) Create(ctx context.Context, name string) (remote.Upload, error) {
	l.deadline, _ = ctx.Deadline()
	return l.Memory.Create(ctx, name)
}

// Two prunes, one of which may not remove archives, leave no receipt without its
// archive, nor take one that is not theirs.
func TestTwoRemovalsLeaveNoReceiptAlone(t *testing.T) {
	t.Run("the other is done while one is denied", func(t *testing.T) {
		store, fired := doom(t, ""), 0
		want := without(whole(store), doomed, doomedReceipt)
		store.Fault = func(op, name string) error {
			if op != "remove" || name != doomed || fired > 0 {
				return nil
			}
			fired++
			if err := Remove(context.Background(), store, doomed); err != nil {
				t.Error(err)
			}
			return errDenied
		}
		if err := Remove(t.Context(), store, doomed); errors.Is(err, ErrReceiptLost) || fired != 1 {
			t.Errorf("got %v after %d faults", err, fired)
		}
		wantHeld(t, store, want)
	})
	for _, op := range []string{"open", "remove"} {
		t.Run("the receipt comes back after the "+op, func(t *testing.T) {
			store, fired := doom(t, ""), 0
			want := without(whole(store), doomed, doomedReceipt)
			receipt, _ := store.Get(doomedReceipt)
			store.Fault = func(o, name string) error {
				switch {
				case o == op && name == doomedReceipt && fired == 0: // the other has just removed it
					fired++
					return fs.ErrNotExist
				case o == "remove" && name == doomed: // and now it puts it back
					store.Put(doomedReceipt, receipt)
				}
				return nil
			}
			if err := Remove(t.Context(), store, doomed); err != nil || fired != 1 {
				t.Errorf("got %v after %d faults", err, fired)
			}
			wantHeld(t, store, want)
		})
	}
	t.Run("both are denied", func(t *testing.T) {
		store := doom(t, "")
		before := whole(store)
		receipt, _ := store.Get(doomedReceipt)
		if err := store.Remove(t.Context(), doomedReceipt); err != nil { // by the other
			t.Fatal(err)
		}
		fired := 0
		store.Fault = func(op, name string) error {
			switch {
			case op == "remove" && name == doomedReceipt:
				t.Error("a receipt was removed that had not been read")
			case op == "open" && name == doomedReceipt:
				defer store.Put(doomedReceipt, receipt)
				return fs.ErrNotExist
			case op == "remove" && name == doomed:
				fired++
				return errDenied
			}
			return nil
		}
		if err := Remove(t.Context(), store, doomed); !errors.Is(err, fs.ErrPermission) || errors.Is(err, ErrReceiptLost) || fired != 1 {
			t.Errorf("got %v after %d faults", err, fired)
		}
		wantHeld(t, store, before)
	})
}

func TestRemoveReceiptLastTakesNoReceiptFromWhatStays(t *testing.T) {
	store := doom(t, "")
	before := whole(store)
	fired := failing(store, map[string]error{"remove " + doomed: errDenied, "create " + doomedReceipt: errDenied})
	if err := RemoveReceiptLast(t.Context(), store, doomed); !errors.Is(err, fs.ErrPermission) || errors.Is(err, ErrReceiptLost) || len(fired) != 1 {
		t.Errorf("got %v after %v", err, fired)
	}
	wantHeld(t, store, before)

	ctx, cancel := context.WithCancel(t.Context())
	store.Fault = func(op, name string) error {
		if op == "remove" && name == doomed {
			cancel() // the archive goes, so its receipt must
		}
		return nil
	}
	if err := RemoveReceiptLast(ctx, store, doomed); err != nil || ctx.Err() == nil {
		t.Errorf("got %v", err)
	}
	wantHeld(t, store, without(before, doomed, doomedReceipt))
}
