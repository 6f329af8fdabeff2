package replay_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/replay/journal"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

func kv(key, value string) etcdwalk.Entry {
	return etcdwalk.Entry{Key: []byte(key), Value: []byte(value)}
}

func leased(e etcdwalk.Entry, lease int64) etcdwalk.Entry {
	e.Lease = lease
	return e
}

func at(e etcdwalk.Entry, revision int64) etcdwalk.Entry {
	e.ModRevision = revision
	return e
}

// objects is n plain entries, in order.
func objects(n int) []etcdwalk.Entry {
	entries := make([]etcdwalk.Entry, n)
	for i := range entries {
		entries[i] = at(kv(fmt.Sprintf("/registry/configmaps/shop/%05d", i), fmt.Sprint("value ", i)), int64(100+i))
	}
	return entries
}

// A report keeps the records of a pass, and fails the test if one key has two.
type report map[string]replay.Line

func (r report) of(t *testing.T) func(replay.Line) error {
	return func(rec replay.Line) error {
		key := string(rec.Key)
		if old, ok := r[key]; ok {
			t.Errorf("key %q has two fates: %s, then %s", key, old.Fate, rec.Fate)
		}
		rec.Key, rec.From = nil, bytes.Clone(rec.From) // they are not ours to keep
		r[key] = rec
		return nil
	}
}

// fates is the fate of each key.
func (r report) fates() map[string]replay.Fate {
	fates := map[string]replay.Fate{}
	for key, rec := range r {
		fates[key] = rec.Fate
	}
	return fates
}

// digest is of the whole entry.
func digest(e etcdwalk.Entry) (d journal.Digest) {
	sum := sha256.Sum256(e.Value)
	copy(d[:], sum[:])
	return d
}

// job replays the entries into the target, everything in one selection.
func job(target etcdwalk.Target, policy replay.Policy, entries ...etcdwalk.Entry) replay.Job {
	file, err := journal.Temporary("") // without a name, and closed once nobody has it
	if err != nil {
		panic(err)
	}
	return replay.Job{
		File:       file,
		Digest:     digest,
		Source:     walktest.NewView(entries...),
		Selections: []etcdwalk.Selection{walktest.Everything()},
		Target:     target,
		Policy:     policy,
		InFlight:   1, // batches of one size, whatever the time
	}
}

// apply plans and applies, and checks that the records add up in both passes.
func apply(t *testing.T, j replay.Job) (replay.Summary, report, error) {
	t.Helper()
	plan := mustPlan(t, j)
	records := report{}
	j.Report = records.of(t)
	summary, err := j.Apply(t.Context(), plan)
	wantSum(t, plan, summary, records)
	return summary, records, err
}

func mustPlan(t *testing.T, j replay.Job) replay.Plan {
	t.Helper()
	records := report{}
	j.Report = records.of(t)
	plan, err := j.Plan(t.Context())
	if err != nil {
		t.Fatalf("planning: %v", err)
	}
	if got, want := int64(len(records)), plan.Counts.Total(); got != want {
		t.Errorf("the plan recorded %d keys and counted %d", got, want)
	}
	return plan
}

// wantSum checks promise P7: each key has exactly one fate.
func wantSum(t *testing.T, plan replay.Plan, summary replay.Summary, records report) {
	t.Helper()
	if got, want := summary.Counts.Total(), plan.Counts.Total(); got != want {
		t.Errorf("the apply counted %d keys, the plan %d", got, want)
	}
	told := replay.Counts{}
	for _, rec := range records {
		told[rec.Fate]++
	}
	if diff := cmp.Diff(told, summary.Counts); diff != "" {
		t.Errorf("records and counts differ (-recorded +counted):\n%s", diff)
	}
}

func wantCounts(t *testing.T, got, want replay.Counts) {
	t.Helper()
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("counts (-got +want):\n%s", diff)
	}
}

func wantContents(t *testing.T, target *walktest.Target, want ...etcdwalk.Entry) {
	t.Helper()
	if diff := walktest.Diff(target.Entries(), want); diff != "" {
		t.Errorf("the target does not hold what it should:\n%s", diff)
	}
}
