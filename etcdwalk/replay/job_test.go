package replay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// every is each policy in turn.
func every(t *testing.T, test func(*testing.T, replay.Policy)) {
	for policy := replay.Fail; policy <= replay.Newer; policy++ {
		t.Run(policy.String(), func(t *testing.T) { test(t, policy) })
	}
}

func TestPoliciesOnAPopulatedTarget(t *testing.T) {
	source := []etcdwalk.Entry{
		at(kv("/absent", "ours"), 5), at(kv("/equal", "both"), 5),
		at(kv("/newer-here", "ours"), 1000), at(kv("/newer-there", "ours"), 1),
	}
	there := []etcdwalk.Entry{kv("/equal", "both"), kv("/foreign", "theirs"), kv("/newer-here", "theirs"), kv("/newer-there", "theirs")}
	final := func(newerHere, newerThere string) []etcdwalk.Entry {
		return []etcdwalk.Entry{kv("/absent", "ours"), kv("/equal", "both"), kv("/foreign", "theirs"),
			kv("/newer-here", newerHere), kv("/newer-there", newerThere)}
	}
	for _, tt := range []struct {
		policy replay.Policy
		counts replay.Counts
		want   []etcdwalk.Entry
		err    error
	}{
		{replay.Fail, replay.Counts{replay.Created: 1, replay.Unchanged: 1, replay.Conflicting: 2}, there, replay.ErrConflict},
		{replay.Skip, replay.Counts{replay.Created: 1, replay.Unchanged: 1, replay.Skipped: 2}, final("theirs", "theirs"), nil},
		{replay.Overwrite, replay.Counts{replay.Created: 1, replay.Unchanged: 1, replay.Replaced: 2}, final("ours", "ours"), nil},
		{replay.Newer, replay.Counts{replay.Created: 1, replay.Unchanged: 1, replay.Replaced: 1, replay.Skipped: 1}, final("ours", "theirs"), nil},
	} {
		t.Run(tt.policy.String(), func(t *testing.T) {
			target := walktest.NewTarget(there...)
			before := target.Revision()
			j := job(target, tt.policy, source...)
			plan := mustPlan(t, j)
			wantCounts(t, plan.Counts, tt.counts)
			if err := plan.Err(); !errors.Is(err, tt.err) {
				t.Errorf("the plan's error is %v, want %v", err, tt.err)
			}
			if got := target.Revision(); got != before {
				t.Errorf("planning moved the target from revision %d to %d", before, got)
			}
			summary, err := j.Apply(t.Context(), plan)
			wantContents(t, target, tt.want...)
			if tt.err != nil {
				if !errors.Is(err, tt.err) || target.Calls().Applies+target.Calls().Grants > 0 {
					t.Errorf("Apply = %v after %+v; want %v and no write", err, target.Calls(), tt.err)
				}
				return
			}
			wantCounts(t, summary.Counts, tt.counts)
			if err != nil || !summary.Complete() || summary.Bytes != plan.Bytes {
				t.Errorf("Apply = %+v, %v; want it complete, and the plan's %d bytes", summary, err, plan.Bytes)
			}
		})
	}
}

func TestASecondRunFindsEverythingTheSame(t *testing.T) {
	every(t, func(t *testing.T, policy replay.Policy) {
		target := walktest.NewTarget()
		corpus := walktest.Corpus()
		j := job(target, policy, corpus...)
		j.Regrant = true
		view := walktest.NewView(corpus...)
		view.TTLs = map[int64]etcdwalk.Lease{0x1ea5e: {ID: 0x1ea5e, State: etcdwalk.LeaseLive, Granted: 3600, Remaining: 60}}
		j.Source = view
		first, _, err := apply(t, j)
		if err != nil || first.Counts[replay.Created] != int64(len(corpus)) {
			t.Fatalf("the first run: %+v, %v", first.Counts, err)
		}
		wantContents(t, target, corpus...)
		revision := target.Revision()
		second, _, err := apply(t, j)
		if err != nil {
			t.Fatal(err)
		}
		wantCounts(t, second.Counts, replay.Counts{replay.Unchanged: int64(len(corpus))})
		if got := target.Revision(); got != revision || second.Leases != 0 {
			t.Errorf("the second run moved revision %d to %d and granted %d leases", revision, got, second.Leases)
		}
	})
}

func TestRecordsTellReasonsAndRevisions(t *testing.T) {
	target := walktest.NewTarget(kv("/same", "v"), kv("/skipped", "theirs"))
	created := kv("/created", "v")
	created.ModRevision = 77
	j := job(target, replay.Skip, created, kv("/excluded", "v"), leased(kv("/leased", "v"), 7), kv("/same", "v"), kv("/skipped", "ours"))
	j.Rule = func(e etcdwalk.Entry) (replay.Fate, string) {
		if string(e.Key) == "/excluded" {
			return replay.Excluded, "never restored"
		}
		return "", ""
	}
	_, records, err := apply(t, j)
	if err != nil {
		t.Fatal(err)
	}
	want := report{
		"/created":  {Fate: replay.Created, Revision: 4, Bytes: 9, Since: 77},
		"/excluded": {Fate: replay.Excluded, Reason: "never restored", Bytes: 10},
		"/leased":   {Fate: replay.Leased, Reason: "it is under a lease", Bytes: 8},
		"/same":     {Fate: replay.Unchanged, Revision: 2, Bytes: 6},
		"/skipped":  {Fate: replay.Skipped, Reason: "the target holds another value", Revision: 3, Bytes: 12},
	}
	if diff := cmp.Diff(records, want); diff != "" {
		t.Errorf("records (-got +want):\n%s", diff)
	}
}

func TestExamplesAreTheFirstFifty(t *testing.T) {
	source := objects(80)
	var there []etcdwalk.Entry
	for _, e := range source {
		there = append(there, kv(string(e.Key), "theirs"))
	}
	plan := mustPlan(t, job(walktest.NewTarget(there...), replay.Fail, source...))
	examples := plan.Examples[replay.Conflicting]
	if len(examples) != 50 || len(plan.Examples) != 1 {
		t.Fatalf("%d examples of conflicts, %d fates with examples; want 50 of 1", len(examples), len(plan.Examples))
	}
	for i, r := range examples {
		if !bytes.Equal(r.Key, source[i].Key) || r.Reason == "" {
			t.Errorf("example %d is %+v, want key %q with a reason", i, r, source[i].Key)
		}
	}
}

func TestExamplesKeepTheirKeysBeyondTheWalk(t *testing.T) {
	j := job(walktest.NewTarget(), replay.Skip, objects(3)...)
	j.Rule = func(etcdwalk.Entry) (replay.Fate, string) { return replay.Excluded, "by rule" }
	examples := mustPlan(t, j).Examples[replay.Excluded]
	if len(examples) != 3 {
		t.Fatalf("%d examples, want 3", len(examples))
	}
	for i, r := range examples {
		if want := objects(3)[i].Key; !bytes.Equal(r.Key, want) {
			t.Errorf("example %d has key %q, want %q", i, r.Key, want)
		}
	}
}

func TestARefusedValueHoldsUpEverything(t *testing.T) {
	target := walktest.NewTarget()
	j := job(target, replay.Overwrite, objects(5)...)
	j.Rule = func(e etcdwalk.Entry) (replay.Fate, string) {
		if bytes.HasSuffix(e.Key, []byte("3")) {
			return replay.Refused, "no API server could decode it"
		}
		return "", ""
	}
	plan := mustPlan(t, j)
	wantCounts(t, plan.Counts, replay.Counts{replay.Created: 4, replay.Refused: 1})
	if _, err := j.Apply(t.Context(), plan); !errors.Is(err, etcdwalk.ErrRefused) || target.Calls().Applies > 0 {
		t.Errorf("Apply = %v after %d applies, want %v after none", err, target.Calls().Applies, etcdwalk.ErrRefused)
	}
}

func TestARuleMayOnlyExcludeAndRefuse(t *testing.T) {
	j := job(walktest.NewTarget(), replay.Skip, objects(1)...)
	j.Rule = func(etcdwalk.Entry) (replay.Fate, string) { return replay.Created, "" }
	if _, err := j.Plan(t.Context()); err == nil {
		t.Error("the plan took a fate from the rule that is not for it to say")
	}
}

func TestAPlanThatBrokeIsNotApplied(t *testing.T) {
	target := walktest.NewTarget()
	j := job(target, replay.Skip, objects(3)...)
	source := walktest.NewView(objects(3)...)
	source.Err, source.ErrAfter = etcdwalk.ErrUnavailable, 2
	j.Source = source
	plan, err := j.Plan(t.Context())
	if !errors.Is(err, etcdwalk.ErrUnavailable) || source.Fired() != 1 {
		t.Fatalf("Plan = %v, the source broke %d times", err, source.Fired())
	}
	j.Source = walktest.NewView(objects(3)...)
	if _, err := j.Apply(t.Context(), plan); err == nil || target.Calls().Applies > 0 {
		t.Errorf("Apply of half a plan = %v after %d applies, want an error after none", err, target.Calls().Applies)
	}
}

func TestASourceThatContradictsItselfIsRefused(t *testing.T) {
	twice := walktest.Generated(2, func(int) etcdwalk.Entry { return kv("/a", "1") })
	one := walktest.NewView(kv("/a/b/c", "1"))
	outer, inner := etcdwalk.Ranges{etcdwalk.Prefix("/a/")}, etcdwalk.Ranges{etcdwalk.Prefix("/a/b/")}
	all := func([]byte) bool { return true }
	for _, tt := range []struct {
		name       string
		source     etcdwalk.View
		selections []etcdwalk.Selection
	}{
		{"a key that comes twice", twice, []etcdwalk.Selection{walktest.Everything()}},
		{"a key that is in the ranges of two selections", one, []etcdwalk.Selection{{Ranges: outer}, {Ranges: inner}}},
		{"a key that two selections match", one, []etcdwalk.Selection{{Ranges: outer, Match: all}, {Ranges: outer, Match: all}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := job(walktest.NewTarget(), replay.Fail)
			j.Source, j.Selections = tt.source, tt.selections
			if _, err := j.Plan(t.Context()); !errors.Is(err, etcdwalk.ErrInvariant) {
				t.Errorf("Plan = %v, want %v", err, etcdwalk.ErrInvariant)
			}
		})
	}
	t.Run("not so selections that share a range and tell their keys apart", func(t *testing.T) {
		j := job(walktest.NewTarget(), replay.Fail, objects(10)...)
		odd := func(key []byte) bool { return key[len(key)-1]%2 == 1 }
		j.Selections = []etcdwalk.Selection{{Ranges: etcdwalk.Ranges{{}}, Match: odd},
			{Ranges: etcdwalk.Ranges{{}}, Match: func(key []byte) bool { return !odd(key) }}}
		summary, _, err := apply(t, j)
		if err != nil || summary.Counts[replay.Created] != 10 {
			t.Errorf("Apply = %+v, %v; want 10 keys created", summary.Counts, err)
		}
	})
	t.Run("fewer keys than planned", func(t *testing.T) {
		target := walktest.NewTarget()
		j := job(target, replay.Skip, objects(9)...)
		plan := mustPlan(t, j)
		j.Source = walktest.NewView(objects(7)...)
		summary, err := j.Apply(t.Context(), plan)
		if !errors.Is(err, etcdwalk.ErrInvariant) || summary.Complete() {
			t.Errorf("Apply = %v, %+v; want %v", err, summary.Counts, etcdwalk.ErrInvariant)
		}
	})
}

func TestSelectionsAreWrittenInTheirOrder(t *testing.T) {
	source := append(objects(200), kv("/registry/namespaces/shop", "ns"), kv("/registry/pods/shop/web", "pod"))
	target := walktest.NewTarget()
	var order []string
	target.BeforeApply = func(_ int, writes []etcdwalk.Write) {
		var kinds []string
		for _, w := range writes {
			kinds = append(kinds, strings.Split(string(w.Key), "/")[2])
		}
		if kinds = slices.Compact(kinds); len(kinds) != 1 {
			t.Errorf("a batch reaches over a barrier: %v", kinds)
		}
		order = append(order, kinds[0])
	}
	j := job(target, replay.Fail, source...)
	j.Selections = nil
	for _, prefix := range []string{"/registry/namespaces/", "/registry/configmaps/", "/registry/pods/"} {
		j.Selections = append(j.Selections, etcdwalk.Selection{Ranges: etcdwalk.Ranges{etcdwalk.Prefix(prefix)}})
	}
	if _, _, err := apply(t, j); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(order, []string{"namespaces", "configmaps", "configmaps", "pods"}); diff != "" {
		t.Errorf("order of batches (-got +want):\n%s", diff)
	}
	wantContents(t, target, source...)
}

func TestARecorderThatFailsEndsThePass(t *testing.T) {
	full := errors.New("the report's disk is full")
	target := walktest.NewTarget()
	j := job(target, replay.Skip, objects(300)...)
	plan := mustPlan(t, j)
	told := 0
	j.Report = func(replay.Line) error {
		if told++; told == 50 {
			return full
		}
		return nil
	}
	summary, err := j.Apply(t.Context(), plan)
	if !errors.Is(err, full) || target.Calls().Applies != 1 {
		t.Errorf("Apply = %v after %d applies, want %v after 1", err, target.Calls().Applies, full)
	}
	wantCounts(t, summary.Counts, replay.Counts{replay.Created: 128, replay.Unreached: 172})
}

// A sluice counts how far the source is ahead of what the target was asked.
type sluice struct {
	*walktest.Target
	made, asked, largest atomic.Int64
}

func (s *sluice) pass(keys int) {
	s.asked.Add(int64(keys))
	s.largest.Store(max(s.largest.Load(), int64(keys)))
}

func (s *sluice) Heads(ctx context.Context, keys [][]byte) ([]int64, error) {
	s.pass(len(keys))
	return s.Target.Heads(ctx, keys)
}

func (s *sluice) Apply(ctx context.Context, writes []etcdwalk.Write) []etcdwalk.Result {
	s.pass(len(writes)) // what was looked at before counts twice: see below
	return s.Target.Apply(ctx, writes)
}

func TestMemoryHoldsFewBatches(t *testing.T) {
	const n = 100_000
	for _, inFlight := range []int{1, 4} {
		target := &sluice{Target: walktest.NewTarget()}
		var ahead int64
		j := job(target, replay.Skip)
		j.InFlight = inFlight
		j.Source = walktest.Generated(n, func(i int) etcdwalk.Entry {
			ahead = max(ahead, target.made.Add(1)-target.asked.Load())
			return kv(fmt.Sprintf("/registry/pods/shop/%06d", i), "v")
		})
		plan := mustPlan(t, j)
		if most := int64(2+1)*128 + 1; ahead > most {
			t.Errorf("planning: the source was up to %d entries ahead, want %d at most", ahead, most)
		}
		target.made.Store(0)
		target.asked.Store(0)
		ahead = 0
		summary, err := j.Apply(t.Context(), plan)
		if err != nil || summary.Counts[replay.Created] != n {
			t.Fatalf("Apply = %+v, %v", summary.Counts, err)
		}
		if got := target.asked.Load() - n; got > int64(inFlight)*128 {
			t.Errorf("%d keys were looked at, want those of the first batches only", got)
		}
		if most := int64(inFlight+1)*128 + 1; ahead > most || target.largest.Load() != 128 {
			t.Errorf("the source was up to %d entries ahead, with batches up to %d; want at most %d, in batches of 128", ahead, target.largest.Load(), most)
		}
	}
}

func TestBatchesAreBoundedInBytes(t *testing.T) {
	const size = 300 << 10
	target := walktest.NewTarget()
	var sizes []int
	target.BeforeApply = func(_ int, writes []etcdwalk.Write) { sizes = append(sizes, len(writes)) }
	var source []etcdwalk.Entry
	for i := range 7 {
		source = append(source, kv(fmt.Sprint("/", i), strings.Repeat("x", size)))
	}
	source = append(source, kv("/8", strings.Repeat("y", 5<<18)), kv("/9", "small")) // 1.25 MiB goes alone
	if _, _, err := apply(t, job(target, replay.Fail, source...)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sizes, []int{3, 3, 1, 1, 1}); diff != "" {
		t.Errorf("batch sizes (-got +want):\n%s", diff)
	}
	wantContents(t, target, source...)
}
