package replay_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/replay/journal"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// Another writes a key between the look and the write (FAULTS.md 3.6, R09).
func TestAConcurrentWriter(t *testing.T) {
	create := func(target *walktest.Target) { target.Put("/k", "theirs") }
	for _, tt := range []struct {
		name   string
		there  []etcdwalk.Entry
		meddle func(*walktest.Target)
		policy replay.Policy
		fate   replay.Fate
		final  string // empty: not there
		err    error
	}{
		{"creates it", nil, create, replay.Fail, replay.Moved, "theirs", replay.ErrConflict},
		{"creates it", nil, create, replay.Skip, replay.Moved, "theirs", nil},
		{"creates it", nil, create, replay.Overwrite, replay.Moved, "theirs", nil},
		{"creates it", nil, create, replay.Newer, replay.Moved, "theirs", nil},
		{"creates it with our value", nil, func(target *walktest.Target) { target.Put("/k", "ours") }, replay.Fail, replay.Unchanged, "ours", nil},
		{"creates it with our value", nil, func(target *walktest.Target) { target.Put("/k", "ours") }, replay.Skip, replay.Unchanged, "ours", nil},
		{"changes it", []etcdwalk.Entry{kv("/k", "old")}, create, replay.Overwrite, replay.Moved, "theirs", nil},
		{"changes it", []etcdwalk.Entry{kv("/k", "old")}, create, replay.Newer, replay.Moved, "theirs", nil},
		{"deletes it", []etcdwalk.Entry{kv("/k", "old")}, func(target *walktest.Target) { target.Delete("/k") }, replay.Overwrite, replay.Moved, "", nil},
		{"deletes it", []etcdwalk.Entry{kv("/k", "old")}, func(target *walktest.Target) { target.Delete("/k") }, replay.Newer, replay.Moved, "", nil},
		{"creates and deletes it", nil, func(target *walktest.Target) { target.Put("/k", "theirs"); target.Delete("/k") }, replay.Fail, replay.Created, "ours", nil},
	} {
		t.Run(fmt.Sprintf("%s under %v", tt.name, tt.policy), func(t *testing.T) {
			others := []etcdwalk.Entry{kv("/y", "v"), kv("/z", "v")} // bring the target to the source's revision
			target := walktest.NewTarget(append(tt.there, others...)...)
			raced := 0
			target.BeforeApply = func(n int, _ []etcdwalk.Write) {
				if n == 1 {
					raced++
					tt.meddle(target)
				}
			}
			summary, records, err := apply(t, job(target, tt.policy, at(kv("/k", "ours"), 3)))
			if !errors.Is(err, tt.err) || records["/k"].Fate != tt.fate || raced != 1 {
				t.Errorf("%v, fate %+v, raced %d times; want %v, %s, once", err, records["/k"], raced, tt.err, tt.fate)
			}
			if got, want := summary.Complete(), tt.fate != replay.Moved; got != want {
				t.Errorf("complete: %v, want %v", got, want)
			}
			var want []etcdwalk.Entry
			if tt.final != "" {
				want = append(want, kv("/k", tt.final))
			}
			wantContents(t, target, append(want, others...)...)
		})
	}
}

func TestFailStopsAtARaceAndTellsOfEachKey(t *testing.T) {
	source := objects(300)
	target := walktest.NewTarget()
	target.BeforeApply = func(n int, _ []etcdwalk.Write) {
		if n == 2 {
			target.Put(string(source[200].Key), "theirs")
		}
	}
	summary, records, err := apply(t, job(target, replay.Fail, source...))
	if !errors.Is(err, replay.ErrConflict) || target.Calls().Applies != 2 {
		t.Errorf("Apply = %v after %d applies, want %v after 2", err, target.Calls().Applies, replay.ErrConflict)
	}
	wantCounts(t, summary.Counts, replay.Counts{replay.Created: 255, replay.Moved: 1, replay.Unreached: 44})
	if got := records[string(source[200].Key)]; got.Fate != replay.Moved || len(records) != 300 {
		t.Errorf("the raced key's record is %+v, of %d", got, len(records))
	}
	want := append([]etcdwalk.Entry{}, source[:256]...)
	want[200] = kv(string(source[200].Key), "theirs")
	wantContents(t, target, want...)
}

// Another writes only the status of an object before each write of ours.
func TestAWriterThatNeverRestsIsLeftAlone(t *testing.T) {
	for _, policy := range []replay.Policy{replay.Overwrite, replay.Newer} {
		t.Run(policy.String(), func(t *testing.T) {
			target := walktest.NewTarget(kv("/k", "theirs"))
			target.BeforeApply = func(n int, _ []etcdwalk.Write) { target.Put("/k", fmt.Sprint("theirs ", n)) }
			j := job(target, policy, at(kv("/calm", "ours"), 1000), at(kv("/k", "ours"), 1000))
			j.Digest = func(e etcdwalk.Entry) journal.Digest { return journal.Digest{e.Value[0]} }
			summary, records, err := apply(t, j)
			if err != nil || records["/k"].Fate != replay.Moved || summary.Complete() {
				t.Errorf("%v, %+v; want it moved, counted, and no error", err, records["/k"])
			}
			if got := target.Calls().Applies; got != 4 {
				t.Errorf("%d applies, want the first and 3 more", got)
			}
			if records["/calm"].Fate != replay.Created {
				t.Errorf("the neighbour ended in %+v", records["/calm"])
			}
		})
	}
}
