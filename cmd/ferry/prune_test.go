package ferry_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/catalog"
	"github.com/kubeferry/kubeferry/remote/remotetest"
)

// noon is when the archives of a stocked store begin, one an hour.
var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// stocked is a store with n archives of one cluster, the first of which is the
// oldest.
func stocked(t *testing.T, n int) *remotetest.Memory {
	t.Helper()
	store := &remotetest.Memory{}
	for i := range n {
		name, data := archiveName(i), fmt.Appendf(nil, "archive %d", i)
		remotetest.Publish(t, store, name, data)
		if err := catalog.Publish(t.Context(), store, catalog.NewReceipt(catalog.Receipt{
			ArchiveID: fmt.Sprintf("%032x", i), Name: name, Created: noon.Add(time.Duration(i) * time.Hour),
			KubeSystemUID: "uid", Cluster: "prod", Whole: true, ToolVersion: "test",
		}, remote.DigestOf(data))); err != nil {
			t.Fatal(err)
		}
	}
	return store
}

func archiveName(i int) string { return fmt.Sprintf("prod-20261101T120000Z-r%02d-aaaaaa.zip.age", i) }

// prune keeps the last archive of a store.
func prune(store *remotetest.Memory) ferry.Prune {
	return ferry.Prune{
		Store: store, Policy: catalog.Policy{Last: 1}, Archives: true, MaxPercent: 100,
		Now: func() time.Time { return noon.Add(1000 * time.Hour) },
	}
}

func wantNames(t *testing.T, store *remotetest.Memory, want ...string) {
	t.Helper()
	if got := remotetest.Names(t, store, ""); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the store holds %v, want %v", got, want)
	}
}

// TestPruneInDoubt: S14, RT2, C09, C10. Nothing is removed.
func TestPruneInDoubt(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*remotetest.Memory, *ferry.Prune)
		want   error
	}{
		"a listing that fails": {func(m *remotetest.Memory, _ *ferry.Prune) {
			m.Fault = func(op, name string) error {
				if op == "list" && name == archiveName(2) {
					return fmt.Errorf("page 2 fails: %w", remote.ErrUnavailable)
				}
				return nil
			}
		}, remote.ErrUnavailable},
		"a receipt that cannot be read": {func(m *remotetest.Memory, _ *ferry.Prune) {
			m.Put(catalog.ReceiptName("x.zip.age"), []byte("{"))
		}, catalog.ErrDoubt},
		"a receipt of a later format": {func(m *remotetest.Memory, _ *ferry.Prune) {
			m.Put(catalog.ReceiptName("x.zip.age"), []byte(`{"format":{"major":9}}`))
		}, catalog.ErrDoubt},
		"a receipt that is slow": {func(m *remotetest.Memory, _ *ferry.Prune) {
			m.Fault = func(op, name string) error {
				if op == "open" && name == catalog.ReceiptName(archiveName(2)) {
					return fmt.Errorf("no answer: %w", remote.ErrUnavailable)
				}
				return nil
			}
		}, catalog.ErrDoubt},
		"too many at once":     {func(_ *remotetest.Memory, p *ferry.Prune) { p.MaxPercent = 60 }, etcdwalk.ErrRefused},
		"a policy for nothing": {func(_ *remotetest.Memory, p *ferry.Prune) { p.Policy = catalog.Policy{} }, catalog.ErrKeepsNothing},
	} {
		t.Run(name, func(t *testing.T) {
			store := stocked(t, 3)
			p := prune(store)
			tt.change(store, &p)
			if done, err := p.Run(t.Context()); !errors.Is(err, tt.want) || len(done.Removed) > 0 {
				t.Errorf("%+v, %v, want %v", done, err, tt.want)
			}
			store.Fault = nil
			for i := range 3 {
				if _, there := store.Get(archiveName(i)); !there {
					t.Errorf("%s was removed", archiveName(i))
				}
			}
		})
	}
}

// skewed is a store whose clock is not ours.
type skewed struct {
	*remotetest.Memory

	by time.Duration
}

func (s skewed) Skew() (time.Duration, bool) { return s.by, true }

// TestPruneWithAWrongClock: C09.
func TestPruneWithAWrongClock(t *testing.T) {
	for by, want := range map[time.Duration]error{
		0: nil, 4 * time.Minute: nil, -4 * time.Minute: nil, 10 * 365 * 24 * time.Hour: catalog.ErrDoubt, -6 * time.Minute: catalog.ErrDoubt,
	} {
		p := prune(stocked(t, 3))
		p.Store = skewed{p.Store.(*remotetest.Memory), by}
		if done, err := p.Run(t.Context()); !errors.Is(err, want) || (len(done.Removed) == 2) != (want == nil) {
			t.Errorf("skew of %s: %+v, %v, want %v", by, done.Removed, err, want)
		}
	}
}

// TestCheckWithAWrongClock: ages are not told by a clock that is off.
func TestCheckWithAWrongClock(t *testing.T) {
	store := stocked(t, 3)
	c := ferry.Check{Store: store, Now: func() time.Time { return noon.Add(3 * time.Hour) }, MaxAge: 2 * time.Hour}
	if found, err := c.Run(t.Context()); err != nil || len(found) != 1 || found[0].Good != 3 {
		t.Errorf("%+v, %v", found, err)
	}
	c.Store = skewed{store, -10 * time.Hour}
	if _, err := c.Run(t.Context()); !errors.Is(err, ferry.ErrCheck) {
		t.Errorf("got %v, want %v", err, ferry.ErrCheck)
	}
}

// TestPruneDenied: C13, RT5. The others go, and what is denied is tried once.
func TestPruneDenied(t *testing.T) {
	store, tries := stocked(t, 4), 0
	store.Fault = func(op, name string) error {
		if op == "remove" && name == catalog.ReceiptName(archiveName(1)) {
			tries++
			return fmt.Errorf("locked: %w", fs.ErrPermission)
		}
		return nil
	}
	done, err := prune(store).Run(t.Context())
	if !errors.Is(err, ferry.ErrIncomplete) || len(done.Denied) != 1 || done.Denied[0].Name != archiveName(1) || tries != 1 {
		t.Errorf("%+v, %v after %d tries", done, err, tries)
	}
	wantNames(t, store, archiveName(1), catalog.ReceiptName(archiveName(1)), archiveName(3), catalog.ReceiptName(archiveName(3)))
}

// TestPruneDeniedLeavesTheReceipt: an archive that the store does not let go stays
// as it was, and the others go.
func TestPruneDeniedLeavesTheReceipt(t *testing.T) {
	store, tries := stocked(t, 4), 0
	before, _ := store.Get(catalog.ReceiptName(archiveName(1)))
	listed, err := catalog.List(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	store.Fault = func(op, name string) error {
		if op == "remove" && name == archiveName(1) {
			tries++
			return fmt.Errorf("not yours: %w", fs.ErrPermission)
		}
		return nil
	}
	done, err := prune(store).Run(t.Context())
	if !errors.Is(err, ferry.ErrIncomplete) || errors.Is(err, catalog.ErrReceiptLost) || len(done.Removed) != 2 || tries != 1 {
		t.Errorf("%+v, %v after %d tries", done, err, tries)
	}
	if d := done.Denied; len(d) != 1 || d[0].Name != archiveName(1) || d[0].ReceiptLost || !strings.Contains(d[0].Reason, "with its receipt") || !strings.Contains(d[0].Reason, "not yours") {
		t.Errorf("denied: %+v", d)
	}
	if after, _ := store.Get(catalog.ReceiptName(archiveName(1))); string(after) != string(before) || len(before) == 0 {
		t.Errorf("the receipt is %q, and was %q", after, before)
	}
	wantNames(t, store, archiveName(1), catalog.ReceiptName(archiveName(1)), archiveName(3), catalog.ReceiptName(archiveName(3)))
	left, err := catalog.List(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(left.Items, []catalog.Item{listed.Items[0], listed.Items[2]}); diff != "" || len(left.Unfinished) > 0 {
		t.Errorf("the listing (-got +want):\n%s, unfinished: %v", diff, left.Unfinished)
	}
}

// TestPruneLosesOneReceiptAtMost: once one could not be put back, which is told, no
// other is risked.
func TestPruneLosesOneReceiptAtMost(t *testing.T) {
	store, denials, refused := stocked(t, 6), 0, 0
	store.Fault = func(op, name string) error {
		switch {
		case op == "remove" && (name == archiveName(1) || name == archiveName(2) || name == archiveName(4)):
			denials++
			return fmt.Errorf("not yours: %w", fs.ErrPermission)
		case op == "create" && name != catalog.ReceiptName(archiveName(1)):
			refused++
			return fmt.Errorf("nor to write: %w", fs.ErrPermission)
		}
		return nil
	}
	done, err := prune(store).Run(t.Context())
	if !errors.Is(err, ferry.ErrIncomplete) || !errors.Is(err, catalog.ErrReceiptLost) || denials != 3 || refused != 1 {
		t.Errorf("%v after %d denials and %d refusals", err, denials, refused)
	}
	for _, word := range []string{"kubeferry receipt " + archiveName(2) + " -i IDENTITY", "not yours", "nor to write", "and 2 more"} {
		if !strings.Contains(fmt.Sprint(err), word) {
			t.Errorf("the error does not say %q: %v", word, err)
		}
	}
	if got, want := strings.Join(done.Removed, " "), archiveName(0)+" "+archiveName(3); got != want {
		t.Errorf("removed were %s, want %s", got, want)
	}
	var lost []bool
	for _, d := range done.Denied {
		lost = append(lost, d.ReceiptLost)
	}
	if !slices.Equal(lost, []bool{false, true, false}) {
		t.Errorf("denied: %+v", done.Denied)
	}
	var want []string
	for _, i := range []int{1, 2, 4, 5} {
		want = append(want, archiveName(i), catalog.ReceiptName(archiveName(i)))
	}
	wantNames(t, store, slices.Delete(want, 3, 4)...)
}

// TestPruneTellsOfALostReceiptWhateverEndsIt: it is not forgotten over another error.
func TestPruneTellsOfALostReceiptWhateverEndsIt(t *testing.T) {
	store, fired := stocked(t, 4), 0
	store.Fault = func(op, name string) error {
		switch {
		case op == "remove" && name == archiveName(0), op == "create":
			fired++
			return fs.ErrPermission
		case op == "remove" && name == archiveName(1):
			fired++
			return fmt.Errorf("no answer: %w", remote.ErrUnavailable)
		}
		return nil
	}
	done, err := prune(store).Run(t.Context())
	if !errors.Is(err, remote.ErrUnavailable) || !errors.Is(err, catalog.ErrReceiptLost) || fired != 3 || len(done.Denied) != 1 {
		t.Errorf("%+v, %v after %d faults", done, err, fired)
	}
	for _, word := range []string{"no answer", "kubeferry receipt " + archiveName(0) + " -i IDENTITY"} {
		if !strings.Contains(fmt.Sprint(err), word) {
			t.Errorf("the error does not say %q: %v", word, err)
		}
	}
}

// TestPruneCutShort: C08, RT4. A crash between a receipt and its archive leaves
// what no list shows as an archive, and what a later sweep removes.
func TestPruneCutShort(t *testing.T) {
	store, fired := stocked(t, 3), 0
	store.Fault = func(op, name string) error {
		if fired > 0 || op == "remove" && name == archiveName(0) { // nothing is done any more
			fired++
			return fmt.Errorf("crash: %w", remote.ErrUnavailable)
		}
		return nil
	}
	if done, err := prune(store).Run(t.Context()); !errors.Is(err, remote.ErrUnavailable) || len(done.Removed) != 0 || fired == 0 {
		t.Errorf("%+v, %v", done, err)
	}
	store.Fault = nil
	listing, err := catalog.List(t.Context(), store)
	if err != nil || len(listing.Items) != 2 || len(listing.Unfinished) != 1 {
		t.Fatalf("%+v, %v", listing, err)
	}
	p := prune(store)
	p.Incomplete = true
	p.Now = func() time.Time { return time.Now().Add(25 * time.Hour) } // the orphan is of now
	done, err := p.Run(t.Context())
	if err != nil || len(done.Swept) != 1 || len(done.Removed) != 1 {
		t.Errorf("%+v, %v", done, err)
	}
	wantNames(t, store, archiveName(2), catalog.ReceiptName(archiveName(2)))
}

// TestPruneSweepsOnlyOurs: what others named, and what a listing only left the
// receipt of out, stays.
func TestPruneSweepsOnlyOurs(t *testing.T) {
	store, tomorrow := stocked(t, 1), func() time.Time { return time.Now().Add(25 * time.Hour) }
	remotetest.Publish(t, store, "photos.zip", []byte("not ours"))
	p := prune(store)
	p.Archives, p.Incomplete, p.Now = false, true, tomorrow
	if done, err := p.Run(t.Context()); err != nil || len(done.Swept) != 0 {
		t.Errorf("%+v, %v", done, err)
	}
	p.Store = hiding{store, catalog.ReceiptName(archiveName(0))}
	if done, err := p.Run(t.Context()); !errors.Is(err, catalog.ErrDoubt) || len(done.Swept) != 0 {
		t.Errorf("%+v, %v, want %v", done, err, catalog.ErrDoubt)
	}
	wantNames(t, store, "photos.zip", archiveName(0), catalog.ReceiptName(archiveName(0)))
}

// TestPruneSweepsNothingThatIsFinishedMeanwhile: kubeferry receipt may come between
// the look and the removal.
func TestPruneSweepsNothingThatIsFinishedMeanwhile(t *testing.T) {
	store, fired := stocked(t, 2), 0
	lonely := strings.Replace(archiveName(7), "r07", "r77", 1)
	remotetest.Publish(t, store, lonely, []byte("archive"))
	store.Fault = func(op, name string) error {
		if op == "open" && name == catalog.ReceiptName(lonely) {
			if fired++; fired == 2 { // the second look finds it
				store.Put(name, []byte("{}"))
			}
		}
		return nil
	}
	p := prune(store)
	p.Archives, p.Incomplete, p.Now = false, true, func() time.Time { return time.Now().Add(25 * time.Hour) }
	done, err := p.Run(t.Context())
	if err != nil || len(done.Swept) != 0 || fired < 2 {
		t.Errorf("%+v, %v after %d looks", done, err, fired)
	}
	if _, there := store.Get(lonely); !there {
		t.Error("the archive was removed")
	}
}

// hiding is a store whose listings leave an object out.
type hiding struct {
	*remotetest.Memory

	name string
}

func (h hiding) List(ctx context.Context, prefix string) iter.Seq2[remote.Info, error] {
	return func(yield func(remote.Info, error) bool) {
		for info, err := range h.Memory.List(ctx, prefix) {
			if info.Name != h.name && !yield(info, err) {
				return
			}
		}
	}
}

// TestPruneKeepsTheReceiptOfWhatIsLocked: an archive that is held stays listed.
func TestPruneKeepsTheReceiptOfWhatIsLocked(t *testing.T) {
	store := stocked(t, 3)
	p := prune(store)
	p.Store = holding{store, archiveName(0)}
	if done, err := p.Run(t.Context()); !errors.Is(err, ferry.ErrIncomplete) || len(done.Removed) != 1 || len(done.Denied) != 1 {
		t.Errorf("%+v, %v", done, err)
	}
	wantNames(t, store, archiveName(0), catalog.ReceiptName(archiveName(0)), archiveName(2), catalog.ReceiptName(archiveName(2)))
}

// holding is a store that holds one object.
type holding struct {
	*remotetest.Memory

	name string
}

func (h holding) Locked(_ context.Context, name string) error {
	if name == h.name {
		return fmt.Errorf("by a legal hold: %w", fs.ErrPermission)
	}
	return nil
}

// TestTwoPrunes: C07. What another has removed meanwhile is done.
func TestTwoPrunes(t *testing.T) {
	store := stocked(t, 30)
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if done, err := prune(store).Run(t.Context()); err != nil {
				t.Errorf("%+v, %v", done, err)
			}
		})
	}
	both.Wait()
	wantNames(t, store, archiveName(29), catalog.ReceiptName(archiveName(29)))
}

// TestPruneDry tells what would go, and removes nothing.
func TestPruneDry(t *testing.T) {
	store, removals := stocked(t, 3), 0
	store.Fault = func(op, _ string) error {
		if op == "remove" {
			removals++
		}
		return nil
	}
	p := prune(store)
	p.DryRun = true
	if done, err := p.Run(t.Context()); err != nil || len(done.Removed) != 2 || removals != 0 {
		t.Errorf("%+v, %v, %d removals", done, err, removals)
	}
}
