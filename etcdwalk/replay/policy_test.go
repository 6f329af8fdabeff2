package replay_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// The whole of the policy table (FAULTS.md 3.6, R10): policies across, what
// the target holds down.
func TestDecide(t *testing.T) {
	const rev = 50
	at := func(value string, revision, lease int64) etcdwalk.Entry {
		return etcdwalk.Entry{Key: []byte("k"), Value: []byte(value), ModRevision: revision, Lease: lease}
	}
	have := func(value string, revision, lease int64) *etcdwalk.Entry {
		e := at(value, revision, lease)
		return &e
	}
	type row [4]replay.Action // Fail, Skip, Overwrite, Newer
	const (
		create, same, replace, keep, conflict = replay.Create, replay.Same, replay.Replace, replay.Keep, replay.Conflict
	)
	for _, tt := range []struct {
		name string
		want etcdwalk.Entry
		have *etcdwalk.Entry
		row
	}{
		{"absent", at("v", rev, 0), nil, row{create, create, create, create}},
		{"absent, empty value", at("", rev, 0), nil, row{create, create, create, create}},
		{"absent, leased", at("v", rev, 7), nil, row{create, create, create, create}},
		{"equal", at("v", rev, 0), have("v", rev, 0), row{same, same, same, same}},
		{"equal, newer there", at("v", rev, 0), have("v", rev+1, 0), row{same, same, same, same}},
		{"equal, older there", at("v", rev, 0), have("v", rev-1, 0), row{same, same, same, same}},
		{"equal and empty", at("", rev, 0), have("", rev-1, 0), row{same, same, same, same}},
		{"equal, both leased", at("v", rev, 7), have("v", rev, 8), row{same, same, same, same}},
		{"equal, only ours leased, older there", at("v", rev, 7), have("v", rev-1, 0), row{conflict, keep, replace, replace}},
		{"equal, only theirs leased, older there", at("v", rev, 0), have("v", rev-1, 8), row{conflict, keep, replace, replace}},
		{"equal, only theirs leased, newer there", at("v", rev, 0), have("v", rev+1, 8), row{conflict, keep, replace, keep}},
		{"different, older there", at("v", rev, 0), have("w", rev-1, 0), row{conflict, keep, replace, replace}},
		{"different, newer there", at("v", rev, 0), have("w", rev+1, 0), row{conflict, keep, replace, keep}},
		{"different, same revision", at("v", rev, 0), have("w", rev, 0), row{conflict, keep, replace, keep}},
		{"different, both leased, older there", at("v", rev, 7), have("w", rev-1, 8), row{conflict, keep, replace, replace}},
		{"empty there", at("v", rev, 0), have("", rev-1, 0), row{conflict, keep, replace, replace}},
	} {
		for policy := replay.Fail; policy <= replay.Newer; policy++ {
			t.Run(tt.name+" under "+policy.String(), func(t *testing.T) {
				if got, want := replay.Decide(policy, tt.want, tt.have), tt.row[policy]; got != want {
					t.Errorf("Decide = %d, want %d", got, want)
				}
			})
		}
	}
}

// Two values that are one object for the job are unchanged, under each policy; not if only
// one of them is under a lease.
func TestAlikeIsUnchanged(t *testing.T) {
	for policy := replay.Fail; policy <= replay.Newer; policy++ {
		target := walktest.NewTarget(kv("a", "x: moved"), kv("b", "y: other"), kv("c", "z"))
		j := job(target, policy, kv("a", "x: taken"), kv("b", "y: taken"), kv("c", "z"), kv("d", "w"))
		asked := 0
		j.Alike = func(want, have etcdwalk.Entry) bool {
			asked++
			return string(want.Key) == string(have.Key) && want.Value[0] == 'x' && have.Value[0] == 'x'
		}
		plan, err := j.Plan(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := plan.Counts[replay.Unchanged]; got != 2 || asked == 0 {
			t.Errorf("%s: %v, asked %d times", policy, plan.Counts, asked)
		}
	}
	target := walktest.NewTarget(leased(kv("a", "x"), 7))
	j := job(target, replay.Fail, kv("a", "x: taken"))
	j.Alike = func(_, _ etcdwalk.Entry) bool { return true }
	if plan, err := j.Plan(t.Context()); err != nil || plan.Counts[replay.Conflicting] != 1 {
		t.Errorf("under a lease: %v, %v", plan.Counts, err)
	}
}

// What is only ever added never takes the place of what the target holds, or holds by the
// time of the write, and stops no other: whatever the policy.
func TestAdditionsTakeNoPlace(t *testing.T) {
	for policy := replay.Fail; policy <= replay.Newer; policy++ {
		for _, late := range []bool{false, true} { // whether all of it comes after the plan
			target := walktest.NewTarget(kv("there", "theirs"))
			j := job(target, policy, at(kv("free", "ours"), 50), at(kv("raced", "ours"), 50), at(kv("there", "ours"), 50), at(kv("usual", "ours"), 50))
			j.Additions = func(key []byte) bool { return string(key) != "usual" }
			if late {
				target = walktest.NewTarget()
				j.Target = target
			}
			fired := 0
			target.BeforeApply = func(int, []etcdwalk.Write) {
				if fired++; fired == 1 {
					target.Put("raced", "theirs")
					target.Put("there", "theirs")
				}
			}
			done, records, err := apply(t, j)
			if err != nil || !done.Complete() {
				t.Errorf("%s: %v, %v", policy, done.Counts, err)
			}
			want := map[string]replay.Fate{"free": replay.Created, "raced": replay.Skipped, "there": replay.Skipped, "usual": replay.Created}
			if diff := cmp.Diff(want, records.fates()); diff != "" || fired == 0 {
				t.Errorf("%s, the other wrote %d times (-want +got):\n%s", policy, fired, diff)
			}
			for _, e := range target.Entries() {
				if want := map[bool]string{true: "theirs", false: "ours"}[records[string(e.Key)].Fate == replay.Skipped]; string(e.Value) != want {
					t.Errorf("%s: %s is %s", policy, e.Key, e.Value)
				}
			}
		}
	}
}
