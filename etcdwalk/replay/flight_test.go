package replay_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// A slow target takes its time for each Apply, and counts those that overlap.
type slow struct {
	*walktest.Target
	takes     func(writes []etcdwalk.Write) time.Duration
	now, most atomic.Int64
}

func (s *slow) Apply(ctx context.Context, writes []etcdwalk.Write) []etcdwalk.Result {
	s.most.Store(max(s.most.Load(), s.now.Add(1)))
	defer s.now.Add(-1)
	time.Sleep(s.takes(writes))
	return s.Target.Apply(ctx, writes)
}

// backwards is the longer the earlier a batch is.
func backwards(writes []etcdwalk.Write) time.Duration {
	var n int
	if _, err := fmt.Sscanf(string(writes[0].Key), "/registry/configmaps/shop/%d", &n); err != nil {
		panic(err)
	}
	return time.Duration(10_000-n) * time.Millisecond
}

func TestBatchesInFlightAreRecordedInTheOrderOfTheirKeys(t *testing.T) {
	source := objects(2000)
	for _, inFlight := range []int{1, 4, 16} {
		t.Run(fmt.Sprint(inFlight), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				target := &slow{Target: walktest.NewTarget(), takes: backwards}
				j := job(target, replay.Fail, source...)
				j.InFlight = inFlight
				plan := mustPlan(t, j)
				var order []string
				j.Report = func(r replay.Line) error {
					order = append(order, string(r.Key))
					return nil
				}
				summary, err := j.Apply(t.Context(), plan)
				if err != nil || summary.Counts[replay.Created] != 2000 {
					t.Errorf("Apply = %+v, %v; want all created", summary.Counts, err)
				}
				for i, key := range order {
					if key != string(source[i].Key) {
						t.Fatalf("record %d is of key %q, want %q", i, key, source[i].Key)
					}
				}
				if got, want := target.most.Load(), min(int64(inFlight), 16); got != want {
					t.Errorf("%d batches were in flight at once, want %d", got, want)
				}
				wantContents(t, target.Target, source...)
			})
		})
	}
}

func TestNoBatchIsInFlightOverABarrier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target := &slow{Target: walktest.NewTarget()}
		target.takes = func([]etcdwalk.Write) time.Duration { return time.Duration(rand.IntN(50)) * time.Millisecond }
		j := job(target, replay.Fail)
		j.InFlight = 8
		var source []etcdwalk.Entry
		j.Selections = nil
		kinds := []string{"pods", "configmaps", "namespaces"}
		for _, kind := range kinds {
			j.Selections = append(j.Selections, etcdwalk.Selection{Ranges: etcdwalk.Ranges{etcdwalk.Prefix("/registry/" + kind + "/")}})
			for i := range 300 {
				source = append(source, kv(fmt.Sprintf("/registry/%s/%04d", kind, i), "v"))
			}
		}
		target.BeforeApply = func(_ int, writes []etcdwalk.Write) {
			kind := strings.Split(string(writes[0].Key), "/")[2]
			for i, before := range kinds {
				if before == kind {
					if got := len(target.Entries()); got < 300*i || got >= 300*(i+1) {
						t.Errorf("%d keys were there when %s were written", got, kind)
					}
				}
			}
		}
		j.Source = walktest.NewView(source...)
		if _, _, err := apply(t, j); err != nil {
			t.Fatal(err)
		}
		if target.most.Load() != 3 || target.Calls().Applies != 9 {
			t.Errorf("%d batches, %d at once; want 9, 3 at once", target.Calls().Applies, target.most.Load())
		}
	})
}

// What stops one batch stops the sending; what was sent is settled, and each key
// told of once.
func TestTheFirstErrorStopsTheBatchesBehindIt(t *testing.T) {
	source := objects(4000)
	for name, tt := range map[string]struct {
		fault walktest.Fault
		err   error
	}{
		"no space":       {walktest.NoSpace, etcdwalk.ErrNoSpace},
		"missing rights": {walktest.Denied, etcdwalk.ErrDenied},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				target := &slow{Target: walktest.NewTarget()}
				target.takes = func([]etcdwalk.Write) time.Duration { return time.Duration(1+rand.IntN(20)) * time.Millisecond }
				target.Inject = always(string(source[1000].Key), tt.fault)
				j := job(target, replay.Fail, source...)
				j.InFlight = 8
				summary, records, err := apply(t, j)
				if !errors.Is(err, tt.err) || errors.Is(err, context.Canceled) {
					t.Errorf("Apply = %v, want %v", err, tt.err)
				}
				if records[string(source[1000].Key)].Fate != replay.Failure {
					t.Errorf("the record of the key is %+v", records[string(source[1000].Key)])
				}
				written := summary.Counts[replay.Created]
				wantCounts(t, summary.Counts, replay.Counts{replay.Created: written, replay.Failure: 1, replay.Unreached: 3999 - written})
				if len(target.Entries()) != int(written) || target.Calls().Applies > 8+8 {
					t.Errorf("%d keys are there, %d were told of, after %d applies", len(target.Entries()), written, target.Calls().Applies)
				}
				for _, e := range target.Entries() {
					if records[string(e.Key)].Fate != replay.Created {
						t.Fatalf("key %q is there, and told to be %+v", e.Key, records[string(e.Key)])
					}
				}
				wantFired(t, target.Target, tt.fault)
			})
		})
	}
}

func TestAnInterruptSettlesAllBatchesInFlight(t *testing.T) {
	source := objects(4000)
	for name, fault := range map[string]walktest.Fault{
		"that are answered":       walktest.OK,
		"whose answers are lost":  walktest.LostAfter,
		"that never arrive":       walktest.LostBefore,
		"that the target refuses": walktest.Unavailable,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				target := &slow{Target: walktest.NewTarget(), takes: backwards}
				target.BeforeApply = func(n int, _ []etcdwalk.Write) {
					if n == 5 {
						cancel()
					}
				}
				target.Inject = func(n int, _ etcdwalk.Write) walktest.Fault {
					if n >= 5 {
						return fault
					}
					return walktest.OK
				}
				j := job(target, replay.Skip, source...)
				j.InFlight = 4
				plan := mustPlan(t, j)
				records := report{}
				j.Report = records.of(t)
				summary, err := j.Apply(ctx, plan)
				if !errors.Is(err, context.Canceled) || target.Calls().Applies < 6 || target.Calls().Applies > 12 {
					t.Errorf("Apply = %v after %d applies", err, target.Calls().Applies)
				}
				wantFired(t, target.Target, fault)
				wantSum(t, plan, summary, records)
				written := int64(len(target.Entries()))
				wantCounts(t, summary.Counts, replay.Counts{replay.Created: written, replay.Unreached: 4000 - written})
			})
		})
	}
}

// An interrupt does not hide what a batch in flight came to, nor the reverse. Which
// comes first is left to chance here; graver_test.go has each order by itself.
func TestAnInterruptKeepsTheErrorOfABatchInFlight(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	target := walktest.NewTarget()
	target.BeforeApply = func(int, []etcdwalk.Write) { cancel() }
	target.Inject = func(int, etcdwalk.Write) walktest.Fault { return walktest.NoSpace }
	j := job(target, replay.Fail, objects(600)...)
	j.InFlight = 4
	plan := mustPlan(t, j)
	summary, err := j.Apply(ctx, plan)
	if !errors.Is(err, context.Canceled) || !errors.Is(err, etcdwalk.ErrNoSpace) {
		t.Errorf("Apply = %v, want %v and %v", err, context.Canceled, etcdwalk.ErrNoSpace)
	}
	if summary.Counts.Total() != 600 {
		t.Errorf("%d fates, want 600", summary.Counts.Total())
	}
}

func TestLeasesAreSharedByBatchesInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := events(1000, 1, 2)
		target := &slow{Target: walktest.NewTarget(), takes: func([]etcdwalk.Write) time.Duration { return time.Millisecond }}
		target.GrantErr = func(n int) error {
			time.Sleep(time.Second) // long enough for all to ask
			if n == 1 {
				return etcdwalk.ErrUnavailable
			}
			return nil
		}
		j := regrant(target, source...)
		j.InFlight = 16
		summary, _, err := apply(t, j)
		if err != nil || summary.Leases != 2 || target.Calls().Grants != 3 || len(target.TTLs()) != 2 {
			t.Errorf("Apply = %+v, %v; %d grants of %d leases, want 2 and one that failed", summary, err, target.Calls().Grants, len(target.TTLs()))
		}
		wantContents(t, target.Target, source...)
	})
}

func TestALeaseThatIsLostUnderManyBatchesIsGrantedOnceMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := events(1024, 1)
		target := &slow{Target: walktest.NewTarget(), takes: func([]etcdwalk.Write) time.Duration { return time.Millisecond }}
		target.BeforeApply = func(n int, writes []etcdwalk.Write) {
			if n == 1 {
				target.Revoke(writes[0].Lease)
			}
		}
		j := regrant(target, source...)
		j.InFlight = 8
		summary, _, err := apply(t, j)
		if err != nil || summary.Leases != 2 || target.Fired(walktest.OK) == 0 {
			t.Errorf("Apply = %+v, %v; want it complete with 2 leases", summary, err)
		}
		wantContents(t, target.Target, source...)
	})
}

// A live cluster is not to feel a restore: batches shrink with its answers.
func TestWithoutAWidthBatchesFollowTheTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := objects(3000)
		target := &slow{Target: walktest.NewTarget()}
		var sizes []int
		var starts []time.Duration
		begun := time.Now()
		target.takes = func(writes []etcdwalk.Write) time.Duration {
			sizes, starts = append(sizes, len(writes)), append(starts, time.Since(begun))
			if len(sizes) == 20 { // a commit, say
				return 100 * time.Millisecond
			}
			return 5 * time.Millisecond
		}
		j := job(target, replay.Fail, source...)
		j.InFlight = 0
		if _, _, err := apply(t, j); err != nil {
			t.Fatal(err)
		}
		// One batch is collected while the one before is in flight.
		if diff := cmp.Diff(sizes[:4], []int{32, 32, 34, 36}); diff != "" || sizes[21] >= sizes[20] {
			t.Errorf("sizes %v\n%s", sizes, diff)
		}
		for i, gap := range map[int]time.Duration{1: 10 * time.Millisecond, 20: 200 * time.Millisecond} {
			if got := starts[i] - starts[i-1]; got < gap-time.Millisecond || got > gap+time.Millisecond {
				t.Errorf("batch %d came %v after the one before, want %v", i, got, gap)
			}
		}
		if target.most.Load() != 1 {
			t.Errorf("%d batches were in flight, want 1", target.most.Load())
		}
		wantContents(t, target.Target, source...)
	})
}
