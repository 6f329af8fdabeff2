package replay_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/replay/journal"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// A plan that does not fit is told once for each batch that was under way, not for each key.
func TestAPlanThatDoesNotFitIsToldOnce(t *testing.T) {
	source := objects(2000)
	first := job(walktest.NewTarget(), replay.Overwrite, source...)
	mustPlan(t, first)
	for name, c := range map[string]struct {
		other []etcdwalk.Entry
		want  error
	}{
		"a key is missing": {source[1:], etcdwalk.ErrRefused},
		"other values": {func() []etcdwalk.Entry {
			other := objects(2000)
			for i := range other {
				other[i].Value = []byte("other")
			}
			return other
		}(), journal.ErrDamaged},
	} {
		j := job(walktest.NewTarget(), replay.Overwrite, c.other...)
		j.Given = first.File
		_, err := j.Plan(t.Context())
		if !errors.Is(err, c.want) {
			t.Fatalf("%s: %v", name, err)
		}
		if lines := strings.Count(err.Error(), "\n") + 1; lines > 1+j.InFlight {
			t.Errorf("%s: %d lines: %.300v", name, lines, err)
		}
	}
}

// A lease that runs out after a plan was made alters no plan: its key is not written any more.
func TestALeaseRunsOutAfterThePlan(t *testing.T) {
	const key = "/registry/events/shop/a"
	for name, since := range map[string]func(*walktest.Target){
		"as the target was": func(*walktest.Target) {},
		"others have written": func(target *walktest.Target) {
			target.Put(key, "theirs")
		},
	} {
		t.Run(name, func(t *testing.T) {
			target := walktest.NewTarget(kv("/registry/pods/web", "pod"))
			with := func(lease etcdwalk.Lease) replay.Job {
				j := job(target, replay.Overwrite, leased(kv(key, "x"), 7))
				source := walktest.NewView(leased(kv(key, "x"), 7))
				source.TTLs = map[int64]etcdwalk.Lease{7: lease}
				j.Source, j.Regrant = source, true
				return j
			}
			first := with(etcdwalk.Lease{ID: 7, State: etcdwalk.LeaseLive, Granted: 100, Remaining: 100})
			mustPlan(t, first)
			since(target)
			want := target.Entries()
			j := with(etcdwalk.Lease{ID: 7, State: etcdwalk.LeaseExpired})
			j.Given = first.File
			plan, err := j.Plan(t.Context())
			if err != nil {
				t.Fatalf("the plan counts as altered: %v", err)
			}
			summary, err := j.Apply(t.Context(), plan)
			if err != nil || summary.Counts.Changes() != 0 || summary.Counts[replay.Expired] != 1 {
				t.Errorf("%v, %v", summary.Counts, err)
			}
			wantContents(t, target, want...)
		})
	}
}

// What a plan refused, and what nothing forbids any more, is not written by it: nobody altered it.
func TestWhatAPlanRefusedIsAllowedSince(t *testing.T) {
	source := objects(3)
	first := job(walktest.NewTarget(), replay.Overwrite, source...)
	first.Check = func(_ context.Context, writes []etcdwalk.Write) ([]string, error) {
		reasons := make([]string, len(writes))
		reasons[1] = "its owner is not there"
		return reasons, nil
	}
	if _, err := first.Plan(t.Context()); err != nil {
		t.Fatal(err)
	}
	target := walktest.NewTarget()
	j := job(target, replay.Overwrite, source...)
	j.Given = first.File
	if _, err := j.Plan(t.Context()); !errors.Is(err, etcdwalk.ErrRefused) || errors.Is(err, journal.ErrDamaged) || !strings.Contains(err.Error(), "make a new one") {
		t.Errorf("%v", err)
	}
}
