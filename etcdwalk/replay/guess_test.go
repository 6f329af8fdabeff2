package replay_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// What the target holds when the second of two batches comes to be written,
// although the plan, or the first batch, had met nothing.
var surprises = []struct {
	name  string
	value string // of the key that is there
	fates map[replay.Policy]replay.Fate
}{
	{"the same value", "ours", map[replay.Policy]replay.Fate{
		replay.Fail: replay.Unchanged, replay.Skip: replay.Unchanged, replay.Overwrite: replay.Unchanged, replay.Newer: replay.Unchanged}},
	{"another value", "theirs", map[replay.Policy]replay.Fate{
		replay.Fail: replay.Conflicting, replay.Skip: replay.Skipped, replay.Overwrite: replay.Replaced, replay.Newer: replay.Skipped}},
}

// two is the keys of two batches, with the key that is there in the second.
func two() (source []etcdwalk.Entry, key string) {
	source = objects(256)
	for i := range source {
		source[i].Value, source[i].ModRevision = []byte("ours"), 1
	}
	return source, string(source[200].Key)
}

func TestAnEmptyTargetIsNotLookedAtAgain(t *testing.T) {
	every(t, func(t *testing.T, policy replay.Policy) {
		source := objects(2000)
		target := walktest.NewTarget()
		j := job(target, policy, source...)
		plan := mustPlan(t, j)
		planned := target.Calls().Heads
		summary, err := j.Apply(t.Context(), plan)
		if err != nil || summary.Counts[replay.Created] != 2000 {
			t.Errorf("Apply = %+v, %v; want all created", summary.Counts, err)
		}
		if got := target.Calls(); got.Heads-planned != 1 || got.Lookups != 0 || got.Applies != 16 {
			t.Errorf("%+v after %d looks of the plan, want a look for the first batch only", got, planned)
		}
		wantContents(t, target, source...)
	})
}

// A guess that was wrong is no race: the key is looked at, and the policy says
// what becomes of it. Its neighbours are written with the guess.
func TestAWrongGuessIsDecidedByThePolicy(t *testing.T) {
	for _, tt := range surprises {
		every(t, func(t *testing.T, policy replay.Policy) {
			t.Run(tt.name, func(t *testing.T) {
				source, key := two()
				target := walktest.NewTarget()
				j := job(target, policy, source...)
				plan := mustPlan(t, j)
				there := target.Put(key, tt.value)
				looked := target.Calls().Heads
				records := report{}
				j.Report = records.of(t)
				summary, err := j.Apply(t.Context(), plan)
				wantSum(t, plan, summary, records)
				want := tt.fates[policy]
				if failed := want == replay.Conflicting; failed != errors.Is(err, replay.ErrConflict) || !failed && err != nil {
					t.Errorf("Apply = %v", err)
				}
				if r := records[key]; r.Fate != want || want == replay.Unchanged && r.Revision != there {
					t.Errorf("the key that was there: %+v, want %s", r, want)
				}
				if summary.Counts[replay.Created] != 255 {
					t.Errorf("%+v, want the others created", summary.Counts)
				}
				if got := target.Calls().Heads - looked; got != 2 {
					t.Errorf("%d looks, want one for the first batch and one for the key", got)
				}
				wantValue := tt.value
				if want == replay.Replaced {
					wantValue = "ours"
				}
				source[200].Value = []byte(wantValue)
				wantContents(t, target, source...)
			})
		})
	}
}

func TestAWrongGuessIsLookedAtInTheNextBatch(t *testing.T) {
	source := objects(5 * 128)
	target := walktest.NewTarget()
	j := job(target, replay.Skip, source...)
	plan := mustPlan(t, j)
	target.Put(string(source[200].Key), "theirs")
	looked := target.Calls().Heads
	summary, err := j.Apply(t.Context(), plan)
	if err != nil || summary.Counts[replay.Skipped] != 1 {
		t.Errorf("Apply = %+v, %v", summary.Counts, err)
	}
	// The first batch, the key, and the batch behind it; then there is trust again.
	if got := target.Calls().Heads - looked; got != 3 {
		t.Errorf("%d looks, want 3", got)
	}
}

// Where the plan met keys, a batch that meets none lets the next go unseen, but
// not under Fail, where nothing of a batch with a conflict may be written.
func TestABatchThatMeetsNothingLetsTheNextGoUnseen(t *testing.T) {
	every(t, func(t *testing.T, policy replay.Policy) {
		source := objects(8 * 128)
		target := walktest.NewTarget(source[0])
		j := job(target, policy, source...)
		plan := mustPlan(t, j)
		looked := target.Calls().Heads
		if _, err := j.Apply(t.Context(), plan); err != nil {
			t.Fatal(err)
		}
		want := 2
		if policy == replay.Fail {
			want = 8
		}
		if got := target.Calls().Heads - looked; got != want {
			t.Errorf("%d looks, want %d", got, want)
		}
		wantContents(t, target, source...)
	})
}

// The answer to a guess is lost. What is found then may have been there before,
// with our value: that is not ours.
func TestALostGuessIsToldFromWhatWasThere(t *testing.T) {
	for _, fault := range []walktest.Fault{walktest.LostAfter, walktest.LostBefore} {
		for _, there := range []bool{false, true} {
			t.Run(fmt.Sprintf("fault %d, the key is there: %v", fault, there), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					source := objects(10 * 128)
					key, value := string(source[9*128+5].Key), string(source[9*128+5].Value)
					target := walktest.NewTarget(source[0])
					if there {
						target.Put(key, value)
					}
					target.Inject = once(key, fault)
					_, records, err := apply(t, job(target, replay.Skip, source...))
					want := replay.Created
					if there {
						want = replay.Unchanged
					}
					if err != nil || records[key].Fate != want {
						t.Errorf("Apply = %v, %+v; want it %s", err, records[key], want)
					}
					wantFired(t, target, fault)
					wantContents(t, target, source...)
				})
			})
		}
	}
}

// A rival writes a key before each of its writes: guesses are not counted among
// the races, which are bounded as ever.
func TestGuessesAreNoRaces(t *testing.T) {
	source, key := two()
	target := walktest.NewTarget()
	tries := 0
	target.BeforeApply = func(_ int, writes []etcdwalk.Write) {
		for _, w := range writes {
			if string(w.Key) == key {
				tries++
				target.Put(key, fmt.Sprint("theirs ", tries))
			}
		}
	}
	_, records, err := apply(t, job(target, replay.Overwrite, source...))
	if err != nil || records[key].Fate != replay.Conflicting || tries != 1+4 {
		t.Errorf("Apply = %v, %+v after %d tries; want a conflict after the guess, a write and three more", err, records[key], tries)
	}
}

// Nothing is ever written without its guard, guessed or not.
func TestEveryWriteHasItsGuard(t *testing.T) {
	source, key := two()
	target := &guarded{Target: walktest.NewTarget(), t: t, heads: map[string]int64{}}
	j := job(target, replay.Overwrite, source...)
	plan := mustPlan(t, j)
	target.heads[key] = target.Put(key, "theirs")
	if _, err := j.Apply(t.Context(), plan); err != nil || target.replaced != 1 {
		t.Errorf("Apply = %v, %d keys were replaced; want 1", err, target.replaced)
	}
}

// A guarded target checks that each write that takes effect was guarded by what
// was there.
type guarded struct {
	*walktest.Target
	t        *testing.T
	heads    map[string]int64
	replaced int
}

func (g *guarded) Apply(ctx context.Context, writes []etcdwalk.Write) []etcdwalk.Result {
	results := g.Target.Apply(ctx, writes)
	for i, w := range writes {
		if results[i].State != etcdwalk.WriteApplied {
			continue
		}
		if w.Seen != g.heads[string(w.Key)] {
			g.t.Errorf("key %q was written over revision %d, guarded by %d", w.Key, g.heads[string(w.Key)], w.Seen)
		}
		if w.Seen != 0 {
			g.replaced++
		}
	}
	return results
}
