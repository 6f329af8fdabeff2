package replay_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

func TestAnInterruptedApplySettlesTheBatchUnderWay(t *testing.T) {
	source := objects(600)
	for name, fault := range map[string]walktest.Fault{
		"that is answered":               walktest.OK,
		"whose answers are lost":         walktest.LostAfter,
		"that never arrives":             walktest.LostBefore,
		"that the target could not take": walktest.Unavailable,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				target := walktest.NewTarget()
				target.BeforeApply = func(n int, _ []etcdwalk.Write) {
					if n == 2 {
						cancel()
					}
				}
				target.Inject = func(n int, _ etcdwalk.Write) walktest.Fault {
					if n == 2 {
						return fault
					}
					return walktest.OK
				}
				j := job(target, replay.Fail, source...)
				plan := mustPlan(t, j)
				records := report{}
				j.Report = records.of(t)
				summary, err := j.Apply(ctx, plan)
				if !errors.Is(err, context.Canceled) || target.Calls().Applies != 2 {
					t.Errorf("Apply = %v after %d applies, want %v after 2", err, target.Calls().Applies, context.Canceled)
				}
				wantFired(t, target, fault)
				wantSum(t, plan, summary, records)
				written := int64(len(target.Entries()))
				wantCounts(t, summary.Counts, replay.Counts{replay.Created: written, replay.Unreached: 600 - written})
				if _, _, err := apply(t, j); err != nil {
					t.Errorf("the second run: %v", err)
				}
				wantContents(t, target, source...)
			})
		})
	}
}

func TestAnInterruptedApplyWritesNoMore(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	target := walktest.NewTarget()
	target.BeforeApply = func(int, []etcdwalk.Write) {
		target.Put("/k", "theirs")
		cancel()
	}
	j := job(target, replay.Overwrite, kv("/j", "ours"), kv("/k", "ours"))
	summary, err := j.Apply(ctx, mustPlan(t, j))
	if !errors.Is(err, context.Canceled) || target.Calls().Applies != 1 {
		t.Errorf("Apply = %v after %d applies, want %v after 1: a lost race is not run again", err, target.Calls().Applies, context.Canceled)
	}
	wantCounts(t, summary.Counts, replay.Counts{replay.Created: 1, replay.Unreached: 1})
	wantContents(t, target, kv("/j", "ours"), kv("/k", "theirs"))
}

// A mute target answers when the context ends, and not before.
type mute struct{ *walktest.Target }

func (m mute) Apply(ctx context.Context, writes []etcdwalk.Write) []etcdwalk.Result {
	<-ctx.Done()
	results := make([]etcdwalk.Result, len(writes))
	for i := range results {
		results[i] = etcdwalk.Result{State: etcdwalk.WriteUnknown, Err: ctx.Err()}
	}
	return results
}

func TestAnInterruptWaitsTenSecondsAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		j := job(mute{walktest.NewTarget()}, replay.Fail, objects(3)...)
		plan := mustPlan(t, j)
		begin := time.Now()
		summary, err := j.Apply(ctx, plan)
		if took := time.Since(begin); !errors.Is(err, context.DeadlineExceeded) || took != time.Minute+10*time.Second {
			t.Errorf("Apply = %v after %v, want %v ten seconds after the context's end", err, took, context.DeadlineExceeded)
		}
		wantCounts(t, summary.Counts, replay.Counts{replay.Unsure: 3})
		for _, r := range summary.Examples[replay.Unsure] {
			if !strings.Contains(r.Reason, "may have been written") {
				t.Errorf("key %q: %s", r.Key, r.Reason)
			}
		}
	})
}

func TestACancelledContextPlansNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	target := walktest.NewTarget()
	j := job(target, replay.Skip, objects(3)...)
	if _, err := j.Plan(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Plan = %v, want %v", err, context.Canceled)
	}
	summary, err := j.Apply(ctx, mustPlan(t, j))
	if !errors.Is(err, context.Canceled) || target.Calls().Applies > 0 {
		t.Errorf("Apply = %v after %d applies, want %v after none", err, target.Calls().Applies, context.Canceled)
	}
	wantCounts(t, summary.Counts, replay.Counts{replay.Unreached: 3})
}
