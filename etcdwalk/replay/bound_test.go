package replay_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/replay/journal"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// An apply writes under what the plan saw, and asks the target for nothing.
func TestAnApplyDoesNotLookAgain(t *testing.T) {
	every(t, func(t *testing.T, policy replay.Policy) {
		source := objects(2000)
		there := append([]etcdwalk.Entry{}, source[:700]...)
		if policy == replay.Overwrite {
			there[600].Value = []byte("theirs")
		}
		target := walktest.NewTarget(there...)
		j := job(target, policy, source...)
		plan := mustPlan(t, j)
		planned := target.Calls()
		if _, err := j.Apply(t.Context(), plan); err != nil {
			t.Error(err)
		}
		if got := target.Calls(); got.Heads != planned.Heads || got.Lookups != planned.Lookups || got.Applies == 0 {
			t.Errorf("%+v after the plan's %+v", got, planned)
		}
		wantContents(t, target, source...)
	})
}

// The file has a line for each key, in the order in which it is written, whatever its fate.
func TestTheFileIsInTheOrderOfTheWalk(t *testing.T) {
	source := objects(1000)
	j := job(walktest.NewTarget(source[300:500]...), replay.Skip, source...)
	j.Rule = func(e etcdwalk.Entry) (replay.Fate, string) {
		if bytes.HasSuffix(e.Key, []byte("7")) {
			return replay.Excluded, "a rule"
		}
		return "", ""
	}
	j.Selections = []etcdwalk.Selection{
		{Ranges: etcdwalk.Union(etcdwalk.Range{Start: source[600].Key, End: source[900].Key})},
		{Ranges: etcdwalk.Union(etcdwalk.Range{Start: source[100].Key, End: source[600].Key})},
	}
	j.InFlight = 16
	want := append(append([]etcdwalk.Entry{}, source[600:900]...), source[100:600]...)
	plan := mustPlan(t, j)
	n, counts := 0, replay.Counts{}
	for line, err := range j.File.Lines() {
		if err != nil || !bytes.Equal(line.Key, want[n].Key) {
			t.Fatalf("line %d is of key %q, not %q: %v", n, line.Key, want[n].Key, err)
		}
		counts[replay.Fate(line.Fate)]++
		n++
	}
	if n != len(want) {
		t.Errorf("%d lines of %d keys", n, len(want))
	}
	wantCounts(t, counts, plan.Counts)
	wantCounts(t, counts, replay.Counts{replay.Excluded: 80, replay.Unchanged: 180, replay.Created: 540})
}

// What another writes between plan and apply is never replaced; nor is it an error, if it is
// only the status of an object, or the very thing that was to be written.
func TestWhatMovedSinceThePlan(t *testing.T) {
	for _, tt := range []struct {
		name        string
		have, moved string // empty: absent
		fate        replay.Fate
		final       string
	}{
		{"created by another", "", "theirs", replay.Moved, "theirs"},
		{"created by another, the same", "", "spec ours|ready", replay.Unchanged, "spec ours|ready"},
		{"created by another, but for its status", "", "spec ours|soon", replay.Unchanged, "spec ours|soon"},
		{"changed", "spec old|ready", "spec new|ready", replay.Moved, "spec new|ready"},
		{"only its status changed", "spec old|ready", "spec old|soon", replay.Replaced, "spec ours|ready"},
		{"changed to the same", "spec old|ready", "spec ours|ready", replay.Unchanged, "spec ours|ready"},
		{"deleted", "spec old|ready", "", replay.Moved, ""},
	} {
		every(t, func(t *testing.T, policy replay.Policy) {
			t.Run(tt.name, func(t *testing.T) {
				if tt.have != "" && policy != replay.Overwrite && policy != replay.Newer {
					t.Skip("nothing would be written")
				}
				target := walktest.NewTarget()
				if tt.have != "" {
					target.Put("/k", tt.have)
				}
				j := job(target, policy, at(kv("/k", "spec ours|ready"), 1000), at(kv("/neighbour", "spec|"), 1))
				j.Digest = func(e etcdwalk.Entry) journal.Digest {
					spec, _, _ := bytes.Cut(e.Value, []byte("|"))
					return digest(etcdwalk.Entry{Value: spec})
				}
				j.Alike = func(want, have etcdwalk.Entry) bool { return j.Digest(want) == j.Digest(have) }
				plan := mustPlan(t, j)
				if tt.moved == "" {
					target.Delete("/k")
				} else {
					target.Put("/k", tt.moved)
				}
				records := report{}
				j.Report = records.of(t)
				summary, err := j.Apply(t.Context(), plan)
				wantSum(t, plan, summary, records)
				moved := tt.fate == replay.Moved
				if stops := moved && policy == replay.Fail; errors.Is(err, replay.ErrConflict) != stops || !stops && err != nil || summary.Complete() == moved {
					t.Errorf("%v, %v", err, summary.Counts)
				}
				if got := records["/k"]; got.Fate != tt.fate || moved == (got.Reason == "") && got.Fate != replay.Unchanged {
					t.Errorf("%+v, want %s", got, tt.fate)
				}
				var want []etcdwalk.Entry
				if tt.final != "" {
					want = append(want, kv("/k", tt.final))
				}
				wantContents(t, target, append(want, kv("/neighbour", "spec|"))...)
			})
		})
	}
}

// A key that is to be deleted goes only as the plan saw it.
func TestDeletions(t *testing.T) {
	for _, tt := range []struct {
		name        string
		have, moved string // empty: absent
		fate        replay.Fate
		final       string
	}{
		{"as it was seen", "spec a|", "spec a|", replay.Deleted, ""},
		{"its status has moved", "spec a|", "spec a|ready", replay.Deleted, ""},
		{"it was changed", "spec a|", "spec b|", replay.Moved, "spec b|"},
		{"it is gone", "spec a|", "", replay.Deleted, ""}, // by whoever collects what has lost its owner
		{"it was never there", "", "", replay.Unchanged, ""},
		{"it came since", "", "spec b|", replay.Unchanged, "spec b|"},
		{"it is another's", "theirs|", "theirs|", replay.Moved, "theirs|"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target := walktest.NewTarget()
			if tt.have != "" {
				target.Put("/k", tt.have)
			}
			j := job(target, replay.Overwrite, kv("/k", ""), at(kv("/neighbour", "spec|"), 1))
			j.Delete = func(e etcdwalk.Entry) bool { return string(e.Key) == "/k" }
			j.Still = func(_ etcdwalk.Entry, have *etcdwalk.Entry) string {
				if have != nil && string(have.Value) == "theirs|" {
					return "it is theirs"
				}
				return ""
			}
			j.Digest = func(e etcdwalk.Entry) journal.Digest {
				spec, _, _ := bytes.Cut(e.Value, []byte("|"))
				return digest(etcdwalk.Entry{Value: spec})
			}
			plan := mustPlan(t, j)
			switch {
			case tt.moved == tt.have:
			case tt.moved == "":
				target.Delete("/k")
			default:
				target.Put("/k", tt.moved)
			}
			records := report{}
			j.Report = records.of(t)
			summary, err := j.Apply(t.Context(), plan)
			wantSum(t, plan, summary, records)
			if err != nil || records["/k"].Fate != tt.fate || summary.Complete() != (tt.fate != replay.Moved) {
				t.Errorf("%+v, %v", records["/k"], err)
			}
			var want []etcdwalk.Entry
			if tt.final != "" {
				want = append(want, kv("/k", tt.final))
			}
			wantContents(t, target, append(want, kv("/neighbour", "spec|"))...)
		})
	}
}

// A file and a source that do not go together write nothing further, and each key has its fate.
func TestAFileOfAnotherSourceIsRefused(t *testing.T) {
	source := objects(300)
	for _, tt := range []struct {
		name  string
		other []etcdwalk.Entry
		err   error
	}{
		{"one is missing", append(append([]etcdwalk.Entry{}, source[:200]...), source[201:]...), etcdwalk.ErrInvariant},
		{"one more", append(append([]etcdwalk.Entry{}, source[:200]...), append([]etcdwalk.Entry{kv(string(source[199].Key)+"0", "new")}, source[200:]...)...), etcdwalk.ErrInvariant},
		{"it ends early", source[:200], etcdwalk.ErrInvariant},
		{"it goes on", append(append([]etcdwalk.Entry{}, source...), kv("/z", "new")), etcdwalk.ErrInvariant},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target := walktest.NewTarget()
			j := job(target, replay.Fail, source...)
			plan := mustPlan(t, j)
			j.Source = walktest.NewView(tt.other...)
			records := report{}
			j.Report = records.of(t)
			summary, err := j.Apply(t.Context(), plan)
			if !errors.Is(err, tt.err) {
				t.Errorf("%v, want %v", err, tt.err)
			}
			wantSum(t, plan, summary, records)
			for _, e := range target.Entries() {
				if string(e.Value) == "new" {
					t.Errorf("key %q was written", e.Key)
				}
			}
		})
	}
}

func TestAFateThatNoApplyHas(t *testing.T) {
	for _, fate := range []string{"conflicting", "refused", "failed", "unknown", "not reached", "nonsense"} {
		target := walktest.NewTarget()
		j := job(target, replay.Fail, kv("/k", "v"))
		plan := mustPlan(t, j)
		err := errors.Join(j.File.Begin(nil, nil), j.File.Add(journal.Line{Key: []byte("/k"), Fate: fate}), j.File.End())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := j.Apply(t.Context(), plan); !errors.Is(err, journal.ErrDamaged) || len(target.Entries()) != 0 {
			t.Errorf("%s: %v", fate, err)
		}
	}
}

// The answer to a write is lost. What is found then has our value: it is ours, or as good.
func TestALostAnswerIsSettledByLooking(t *testing.T) {
	for name, fault := range map[string]walktest.Fault{"after": walktest.LostAfter, "before": walktest.LostBefore} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source := objects(10 * 128)
				key := string(source[9*128+5].Key)
				target := walktest.NewTarget(source[0])
				target.Inject = once(key, fault)
				_, records, err := apply(t, job(target, replay.Skip, source...))
				if err != nil || records[key].Fate != replay.Created {
					t.Errorf("Apply = %v, %+v", err, records[key])
				}
				wantFired(t, target, fault)
				wantContents(t, target, source...)
			})
		})
	}
}

// Nothing is ever written without its guard.
func TestEveryWriteHasItsGuard(t *testing.T) {
	source := objects(256)
	target := &guarded{Target: walktest.NewTarget(), t: t, heads: map[string]int64{}}
	key := string(source[200].Key)
	target.heads[key] = target.Put(key, "theirs")
	j := job(target, replay.Overwrite, source...)
	plan := mustPlan(t, j)
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

// A plan that was made before is applied as it was, whatever the target holds by now; but
// what is refused now is not written.
func TestAPlanThatWasMadeBefore(t *testing.T) {
	source := objects(300)
	there := append([]etcdwalk.Entry{}, source[:100]...)
	there[7].Value = []byte("theirs")
	for _, tt := range []struct {
		name  string
		since func(target *walktest.Target, j *replay.Job)
		moved int64
		err   error
	}{
		{"nothing has changed", func(*walktest.Target, *replay.Job) {}, 0, nil},
		{"others have written", func(target *walktest.Target, _ *replay.Job) {
			target.Put(string(source[7].Key), "theirs anew")
			target.Put(string(source[200].Key), "theirs")
			target.Put(string(source[8].Key), "theirs") // which was to stay
		}, 3, nil},
		{"one is refused now", func(_ *walktest.Target, j *replay.Job) {
			j.Check = func(_ context.Context, writes []etcdwalk.Write) ([]string, error) {
				reasons := make([]string, len(writes))
				reasons[0] = "a reason"
				return reasons, nil
			}
		}, 0, etcdwalk.ErrRefused},
		{"a key is missing", func(_ *walktest.Target, j *replay.Job) { j.Source = walktest.NewView(source[1:]...) }, 0, etcdwalk.ErrRefused},
		{"the last key is missing", func(_ *walktest.Target, j *replay.Job) { j.Source = walktest.NewView(source[:299]...) }, 0, etcdwalk.ErrRefused},
		{"there is one more", func(_ *walktest.Target, j *replay.Job) {
			j.Source = walktest.NewView(append(append([]etcdwalk.Entry{}, source...), kv("/z", "new"))...)
		}, 0, etcdwalk.ErrRefused},
		{"it decides otherwise", func(_ *walktest.Target, j *replay.Job) { j.Policy = replay.Skip }, 0, journal.ErrDamaged},
		{"another value would be written", func(target *walktest.Target, j *replay.Job) {
			target.Put(string(source[200].Key), "theirs")
			other := append([]etcdwalk.Entry{}, source...)
			other[200].Value = []byte("other")
			j.Source = walktest.NewView(other...)
		}, 0, journal.ErrDamaged},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target := walktest.NewTarget(there...)
			first := job(target, replay.Overwrite, source...)
			made := mustPlan(t, first)
			j := job(target, replay.Overwrite, source...)
			j.Given = first.File
			tt.since(target, &j)
			revision := target.Revision()
			plan, err := j.Plan(t.Context())
			if err == nil {
				err = plan.Err()
			}
			if !errors.Is(err, tt.err) || target.Revision() != revision {
				t.Errorf("%v, want %v; revision %d, then %d", err, tt.err, revision, target.Revision())
			}
			if tt.err != nil {
				return
			}
			if tt.moved == 0 {
				wantCounts(t, plan.Counts, made.Counts)
			}
			if plan.Counts[replay.Moved] != tt.moved {
				t.Errorf("planned %v", plan.Counts)
			}
			summary, err := j.Apply(t.Context(), plan)
			if err != nil || summary.Counts[replay.Moved] != tt.moved || summary.Counts[replay.Created]+summary.Counts[replay.Replaced] != min(201, 202-tt.moved) {
				t.Errorf("%v, %v", err, summary.Counts)
			}
		})
	}
}
