package replay_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// events is n entries under each of the leases.
func events(n int, leases ...int64) []etcdwalk.Entry {
	var entries []etcdwalk.Entry
	for i := range n * len(leases) {
		entries = append(entries, leased(at(kv(fmt.Sprintf("/registry/events/shop/%04d", i), "event"), int64(100+i)), leases[i%len(leases)]))
	}
	return entries
}

// regrant is a job over entries under the leases 1 (of 100 seconds) and 2 (of
// 200), both with 10 seconds less left, 3 (run out), 4 (unknown) and 5 (live,
// but nothing left).
func regrant(target etcdwalk.Target, entries ...etcdwalk.Entry) replay.Job {
	j := job(target, replay.Fail)
	source := walktest.NewView(entries...)
	source.TTLs = map[int64]etcdwalk.Lease{
		1: {ID: 1, State: etcdwalk.LeaseLive, Granted: 100, Remaining: 90},
		2: {ID: 2, State: etcdwalk.LeaseLive, Granted: 200, Remaining: 190},
		3: {ID: 3, State: etcdwalk.LeaseExpired},
		4: {ID: 4, State: etcdwalk.LeaseUnknown, Granted: 100, Remaining: 90},
		5: {ID: 5, State: etcdwalk.LeaseLive, Granted: 100},
	}
	j.Source, j.Regrant = source, true
	return j
}

func TestLeasedKeysAreSkippedAndCounted(t *testing.T) {
	target := walktest.NewTarget()
	j := regrant(target, append(events(5, 1, 3), kv("/registry/pods/web", "pod"))...)
	j.Regrant = false
	summary, _, err := apply(t, j)
	if err != nil || !summary.Complete() {
		t.Errorf("Apply = %+v, %v; want it complete", summary.Counts, err)
	}
	wantCounts(t, summary.Counts, replay.Counts{replay.Leased: 10, replay.Created: 1})
	wantContents(t, target, kv("/registry/pods/web", "pod"))
}

func TestRegrantGivesOneNewLeaseForEach(t *testing.T) {
	target := walktest.NewTarget()
	source := events(150, 1, 2)
	j := regrant(target, source...)
	plan := mustPlan(t, j)
	if got := target.Calls().Grants; got != 0 {
		t.Errorf("planning granted %d leases", got)
	}
	summary, err := j.Apply(t.Context(), plan)
	if err != nil || summary.Leases != 2 {
		t.Fatalf("Apply = %+v, %v; want 2 leases", summary, err)
	}
	wantContents(t, target, source...)
	ttls := target.TTLs()
	if got := slices.Sorted(maps.Values(ttls)); !cmp.Equal(got, []int64{90, 190}) {
		t.Errorf("TTLs %v, want what was left: 90 and 190", got)
	}
	for i, e := range target.Entries() {
		if want := []int64{90, 190}[i%2]; ttls[e.Lease] != want || e.Lease == 1 || e.Lease == 2 {
			t.Fatalf("key %q is under lease %x of %d seconds, want a new one of %d", e.Key, e.Lease, ttls[e.Lease], want)
		}
	}
}

func TestKeysOfLeasesThatAreGoneAreNeverWritten(t *testing.T) {
	target := walktest.NewTarget()
	summary, records, err := apply(t, regrant(target, events(2, 1, 3, 4, 5)...))
	if err != nil || !summary.Complete() {
		t.Errorf("Apply = %+v, %v; want it complete", summary.Counts, err)
	}
	wantCounts(t, summary.Counts, replay.Counts{replay.Created: 2, replay.Expired: 6})
	for i, want := range []string{"", "expired", "unknown", "expired"} {
		if r := records[fmt.Sprintf("/registry/events/shop/%04d", i)]; !strings.HasSuffix(r.Reason, want) {
			t.Errorf("key %d: %+v, want %q", i, r, want)
		}
	}
	if got := len(target.Entries()); got != 2 {
		t.Errorf("the target holds %d keys, want 2", got)
	}
}

func TestNoLeaseIsGrantedForNothing(t *testing.T) {
	source := events(3, 1)
	target := walktest.NewTarget(source...)
	summary, _, err := apply(t, regrant(target, source...))
	if err != nil || summary.Leases+target.Calls().Grants > 0 {
		t.Errorf("Apply = %+v, %v; want no lease", summary, err)
	}
	wantCounts(t, summary.Counts, replay.Counts{replay.Unchanged: 3})
}

func TestAGrantThatIsRefusedFailsItsKeysAlone(t *testing.T) {
	target := walktest.NewTarget()
	target.GrantErr = func(n int) error {
		if n == 1 {
			return errors.New("too large lease TTL")
		}
		return nil
	}
	summary, records, err := apply(t, regrant(target, events(150, 1, 2)...))
	if err != nil || summary.Complete() || summary.Leases != 1 || target.Calls().Grants != 2 {
		t.Errorf("Apply = %+v, %v, %d grants; want it incomplete, with one lease of two asked for", summary.Counts, err, target.Calls().Grants)
	}
	wantCounts(t, summary.Counts, replay.Counts{replay.Created: 150, replay.Failure: 150})
	if r := records["/registry/events/shop/0000"]; !strings.Contains(r.Reason, "lease failed") || !strings.Contains(r.Reason, "too large") {
		t.Errorf("the record of the first key is %+v, want that its lease failed, and why", r)
	}
}

func TestAGrantWaitsForAnUnavailableTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target := walktest.NewTarget()
		target.GrantErr = func(n int) error {
			if n < 4 {
				return etcdwalk.ErrUnavailable
			}
			return nil
		}
		summary, _, err := apply(t, regrant(target, events(20, 1, 2)...))
		if err != nil || !summary.Complete() || target.Calls().Grants != 5 {
			t.Errorf("Apply = %+v, %v after %d grants", summary.Counts, err, target.Calls().Grants)
		}
		wantContents(t, target, events(20, 1, 2)...)
	})
}

func TestAGrantWithoutSpaceStopsTheApply(t *testing.T) {
	target := walktest.NewTarget()
	target.GrantErr = func(int) error { return etcdwalk.ErrNoSpace }
	summary, _, err := apply(t, regrant(target, events(5, 1)...))
	if !errors.Is(err, etcdwalk.ErrNoSpace) || target.Calls().Grants != 1 {
		t.Errorf("Apply = %v after %d grants, want %v after 1", err, target.Calls().Grants, etcdwalk.ErrNoSpace)
	}
	wantCounts(t, summary.Counts, replay.Counts{replay.Unreached: 5})
	wantContents(t, target)
}

func TestALeaseThatRanOutMeanwhileIsGrantedOnceMore(t *testing.T) {
	source := events(200, 1)
	t.Run("and then serves", func(t *testing.T) {
		target := walktest.NewTarget()
		target.BeforeApply = func(n int, writes []etcdwalk.Write) {
			if n == 2 {
				target.Revoke(writes[0].Lease)
			}
		}
		summary, _, err := apply(t, regrant(target, source...))
		if err != nil || !summary.Complete() || summary.Leases != 2 {
			t.Errorf("Apply = %+v, %v; want it complete with 2 leases", summary, err)
		}
		wantContents(t, target, source[128:]...) // the first batch went with its lease
	})
	t.Run("and if that runs out too, its keys fail", func(t *testing.T) {
		target := walktest.NewTarget()
		target.BeforeApply = func(_ int, writes []etcdwalk.Write) { target.Revoke(writes[0].Lease) }
		summary, _, err := apply(t, regrant(target, source...))
		if err != nil || summary.Complete() || summary.Leases != 2 {
			t.Errorf("Apply = %+v, %v; want it incomplete with 2 leases", summary, err)
		}
		wantCounts(t, summary.Counts, replay.Counts{replay.Failure: 200})
		wantContents(t, target)
	})
}

// A forgetful view answers for no lease.
type forgetful struct{ etcdwalk.View }

func (forgetful) Leases(context.Context, []int64) ([]etcdwalk.Lease, error) { return nil, nil }

func TestASourceThatCannotTellOfLeasesEndsThePlan(t *testing.T) {
	j := regrant(walktest.NewTarget(), events(1, 1)...)
	j.Source = forgetful{j.Source}
	if _, err := j.Plan(t.Context()); !errors.Is(err, etcdwalk.ErrInvariant) {
		t.Errorf("Plan = %v, want %v", err, etcdwalk.ErrInvariant)
	}
}
