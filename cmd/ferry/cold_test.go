package ferry_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/catalog"
	"github.com/kubeferry/kubeferry/remote/remotetest"
)

// frozen lets nobody read these objects.
func frozen(store *remotetest.Memory, names ...string) *int {
	fired := new(int)
	store.Fault = func(op, name string) error {
		for _, cold := range names {
			if op == "read" && name == cold {
				*fired++
				return fmt.Errorf("read %s: %w", name, remote.ErrCold)
			}
		}
		return nil
	}
	return fired
}

// A cold receipt is in nobody's way: its archive is listed, and stays.
func TestAReceiptThatIsCold(t *testing.T) {
	store := stocked(t, 4)
	fired := frozen(store, catalog.ReceiptName(archiveName(0)))
	l, err := catalog.List(t.Context(), store)
	if err != nil || len(l.Items) != 3 || len(l.Cold) != 1 || l.Cold[0].Name != archiveName(0) || l.Cold[0].Size == 0 || len(l.Unfinished) != 0 {
		t.Fatalf("%+v, %v", l, err)
	}
	if item, err := l.Find("latest", catalog.Query{}); err != nil || item.Name != archiveName(3) {
		t.Errorf("latest is %s, %v", item.Name, err)
	}
	now := func() time.Time { return noon.Add(3 * time.Hour) }
	if found, err := (ferry.Check{Store: store, Now: now}).Run(t.Context()); err != nil || found[0].Good != 3 {
		t.Errorf("check: %+v, %v", found, err)
	}
	done, err := prune(store).Run(t.Context())
	if err != nil || len(done.Cold) != 1 || len(done.Removed) != 2 {
		t.Errorf("prune: %+v, %v", done, err)
	}
	wantNames(t, store, archiveName(0), catalog.ReceiptName(archiveName(0)), archiveName(3), catalog.ReceiptName(archiveName(3)))
	if *fired < 3 {
		t.Errorf("the receipt was read %d times", *fired)
	}
}

// A check that is to read the newest archive, and cannot since it is cold, is incomplete,
// unless something is wrong besides.
func TestCheckDoesNotReadWhatIsCold(t *testing.T) {
	store := stocked(t, 3)
	fired := frozen(store, archiveName(2))
	c := ferry.Check{Store: store, Verify: true, Now: func() time.Time { return noon.Add(5 * time.Hour) }}
	found, err := c.Run(t.Context())
	if !errors.Is(err, ferry.ErrIncomplete) || errors.Is(err, remote.ErrUnavailable) || len(found) != 1 || found[0].Unread == "" || found[0].Verified {
		t.Errorf("%+v, %v, want ErrIncomplete", found, err)
	}
	c.MaxAge = time.Hour
	if _, err := c.Run(t.Context()); !errors.Is(err, ferry.ErrCheck) || *fired != 2 {
		t.Errorf("got %v after %d readings, want ErrCheck", err, *fired)
	}
}
