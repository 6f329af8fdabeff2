package replay_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// A world is a source, a target and a policy, drawn at random. Few keys and
// fewer values make them meet.
type world struct {
	source, there []etcdwalk.Entry
	policy        replay.Policy
	regrant       bool
	inFlight      int
	cuts          int // selections, and so batches
}

func drawWorld(t *rapid.T) world {
	draw := func(label string) []etcdwalk.Entry {
		var entries []etcdwalk.Entry
		for i := range 12 {
			if rapid.Bool().Draw(t, label) {
				e := kv(fmt.Sprintf("/%02d", i), rapid.SampledFrom([]string{"", "a", "b", "gone"}).Draw(t, label+" value"))
				e.Lease = rapid.SampledFrom([]int64{0, 0, 1, 3}).Draw(t, label+" lease")
				e.ModRevision = rapid.Int64Range(1, 20).Draw(t, label+" revision")
				entries = append(entries, e)
			}
		}
		return entries
	}
	return world{
		source:  draw("source"),
		there:   draw("target"),
		policy:  rapid.SampledFrom([]replay.Policy{replay.Fail, replay.Skip, replay.Overwrite, replay.Newer}).Draw(t, "policy"),
		regrant: rapid.Bool().Draw(t, "regrant"),

		inFlight: rapid.IntRange(0, 3).Draw(t, "in flight"),
		cuts:     rapid.SampledFrom([]int{1, 3, 6}).Draw(t, "selections"),
	}
}

// gone are the entries whose keys are to be deleted.
func gone(e etcdwalk.Entry) bool { return string(e.Value) == "gone" && e.Lease == 0 }

func (w world) job(target etcdwalk.Target) replay.Job {
	j := regrant(target, w.source...)
	j.Policy, j.Regrant, j.InFlight = w.policy, w.regrant, w.inFlight
	j.Delete = gone
	j.Selections = nil
	for i := range w.cuts { // the keys are /00 to /11
		at := func(i int) []byte { return fmt.Appendf(nil, "/%02d", i*12/w.cuts) }
		j.Selections = append(j.Selections, etcdwalk.Selection{Ranges: etcdwalk.Ranges{{Start: at(i), End: at(i + 1)}}})
	}
	return j
}

// hurried runs a property under a clock that does not wait. What it panics
// with, as rapid does to end a property, comes out at the caller.
func hurried(t *testing.T, property func()) {
	var caught any
	synctest.Test(t, func(*testing.T) {
		defer func() { caught = recover() }()
		property()
	})
	if caught != nil {
		panic(caught)
	}
}

// A model is the plainest replay there is: maps, and no faults.
type model struct {
	fates map[string]replay.Fate
	final map[string]etcdwalk.Entry
}

func (w world) model(target *walktest.Target) model {
	m := model{map[string]replay.Fate{}, map[string]etcdwalk.Entry{}}
	for _, e := range target.Entries() {
		m.final[string(e.Key)] = e
	}
	written, deleted := map[string]etcdwalk.Entry{}, []string(nil)
	for _, want := range w.source {
		key := string(want.Key)
		m.fates[key] = w.fate(want, m.final)
		switch m.fates[key] {
		case replay.Created, replay.Replaced:
			written[key] = want
		case replay.Deleted:
			deleted = append(deleted, key)
		}
	}
	if !slices.Contains(slices.Collect(maps.Values(m.fates)), replay.Conflicting) {
		maps.Copy(m.final, written)
		for _, key := range deleted {
			delete(m.final, key)
		}
	}
	return m
}

func (w world) fate(want etcdwalk.Entry, there map[string]etcdwalk.Entry) replay.Fate {
	have, ok := there[string(want.Key)]
	switch {
	case want.Lease != 0 && !w.regrant:
		return replay.Leased
	case want.Lease == 3: // which had run out
		return replay.Expired
	case gone(want) && ok:
		return replay.Deleted
	case gone(want):
		return replay.Unchanged
	case !ok:
		return replay.Created
	case string(want.Value) == string(have.Value) && (want.Lease != 0) == (have.Lease != 0):
		return replay.Unchanged
	case w.policy == replay.Fail:
		return replay.Conflicting
	case w.policy == replay.Overwrite, w.policy == replay.Newer && want.ModRevision > have.ModRevision:
		return replay.Replaced
	}
	return replay.Skipped
}

func (m model) entries() []etcdwalk.Entry {
	var entries []etcdwalk.Entry
	for _, key := range slices.Sorted(maps.Keys(m.final)) {
		entries = append(entries, m.final[key])
	}
	return entries
}

// Whatever source, target and policy, and whatever faults pass by: fates
// and contents are the model's, and a second run has nothing to do.
func TestReplayIsTheModel(t *testing.T) {
	fired := 0
	rapid.Check(t, func(rt *rapid.T) {
		hurried(t, func() {
			w := drawWorld(rt)
			target := walktest.NewTarget(w.there...)
			faults := rapid.IntRange(0, 3).Draw(rt, "faults")
			target.Inject = func(_ int, write etcdwalk.Write) walktest.Fault {
				for _, e := range w.source {
					if write.Delete && string(e.Key) == string(write.Key) && !gone(e) {
						rt.Fatalf("key %q would be deleted: a job deletes nothing but what it is told to", write.Key)
					}
				}
				if faults--; faults < 0 {
					return walktest.OK
				}
				return rapid.SampledFrom([]walktest.Fault{walktest.LostAfter, walktest.LostBefore, walktest.Unavailable}).Draw(rt, "fault")
			}
			want := w.model(target)
			got := replayed(rt, w.job(target), nil)
			if diff := cmp.Diff(got.fates(), want.fates); diff != "" {
				rt.Fatalf("fates (-got +want):\n%s", diff)
			}
			if diff := walktest.Diff(target.Entries(), want.entries()); diff != "" {
				rt.Fatalf("contents:\n%s", diff)
			}
			revision := target.Revision()
			replayed(rt, w.job(target), nil)
			if target.Revision() != revision {
				rt.Fatalf("the second run wrote: revision %d, then %d", revision, target.Revision())
			}
			fired += target.Fired(walktest.LostAfter) + target.Fired(walktest.LostBefore) + target.Fired(walktest.Unavailable)
		})
	})
	if fired == 0 {
		t.Error("no fault ever fired")
	}
}

// replayed plans and applies, checks promise P7, and returns what was told of
// each key: by the plan, if it forbids the apply.
func replayed(t *rapid.T, j replay.Job, between func()) report {
	planned, done := report{}, report{}
	record := func(r report) func(replay.Line) error {
		return func(rec replay.Line) error {
			if _, ok := r[string(rec.Key)]; ok {
				t.Fatalf("key %q has two fates", rec.Key)
			}
			key := string(rec.Key)
			rec.Key = nil
			r[key] = rec
			return nil
		}
	}
	j.Report = record(planned)
	plan, err := j.Plan(context.Background())
	if err != nil || plan.Counts.Total() != int64(len(planned)) {
		t.Fatalf("Plan = %+v, %v, with %d records", plan.Counts, err, len(planned))
	}
	if plan.Err() != nil {
		return planned
	}
	if between != nil {
		between()
	}
	j.Report = record(done)
	summary, err := j.Apply(context.Background(), plan)
	if err != nil && !(j.Policy == replay.Fail && errors.Is(err, replay.ErrConflict)) {
		t.Fatalf("Apply = %+v, %v", summary.Counts, err)
	}
	if got := summary.Counts.Total(); got != int64(len(done)) || got != plan.Counts.Total() {
		t.Fatalf("the plan has %d keys, the apply counted %d and recorded %d", plan.Counts.Total(), got, len(done))
	}
	return done
}

// Whoever writes after the plan: what is theirs is never overwritten, under any policy.
func TestNoUpdateIsLost(t *testing.T) {
	races := 0
	rapid.Check(t, func(rt *rapid.T) {
		hurried(t, func() {
			w := drawWorld(rt)
			target := walktest.NewTarget(w.there...)
			theirs := map[string]string{} // by key, what they wrote last
			meddle := func() {
				for i := range rapid.IntRange(0, 4).Draw(rt, "their writes") {
					key := fmt.Sprintf("/%02d", rapid.IntRange(0, 11).Draw(rt, "their key"))
					if rapid.IntRange(0, 3).Draw(rt, "delete") == 0 {
						target.Delete(key)
						delete(theirs, key)
						continue
					}
					theirs[key] = fmt.Sprint("theirs ", target.Revision(), i)
					target.Put(key, theirs[key])
				}
			}
			target.BeforeApply = func(_ int, writes []etcdwalk.Write) {
				meddle()
				for _, wr := range writes {
					if _, ok := theirs[string(wr.Key)]; ok {
						races++
					}
				}
			}
			done := replayed(rt, w.job(target), meddle)
			checkTheirs(rt, w, target, done, theirs)
		})
	})
	if races == 0 {
		t.Error("nobody ever wrote a key at the same time")
	}
}

// checkTheirs compares the end with what others wrote and what was reported.
func checkTheirs(t *rapid.T, w world, target *walktest.Target, done report, theirs map[string]string) {
	ours := map[string]etcdwalk.Entry{}
	for _, e := range w.source {
		ours[string(e.Key)] = e
	}
	for _, e := range target.Entries() {
		key := string(e.Key)
		value, touched := theirs[key]
		if !touched || string(e.Value) == value {
			continue
		}
		t.Fatalf("under %v key %q holds %q, and %q is lost", w.policy, key, e.Value, value)
	}
	for key, rec := range done {
		if rec.Fate == replay.Created || rec.Fate == replay.Replaced {
			e, err := target.Lookup(context.Background(), [][]byte{[]byte(key)})
			if err == nil && e[0] != nil && e[0].ModRevision == rec.Revision && string(e[0].Value) != string(ours[key].Value) {
				t.Fatalf("key %q was reported written at %d and holds %q there", key, rec.Revision, e[0].Value)
			}
		}
	}
}
