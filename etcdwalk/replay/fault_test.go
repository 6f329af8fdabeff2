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

// nth chooses a fault for every n-th write.
func nth(n int, fault walktest.Fault) func(int, etcdwalk.Write) walktest.Fault {
	writes := 0
	return func(int, etcdwalk.Write) walktest.Fault {
		if writes++; writes%n == 0 {
			return fault
		}
		return walktest.OK
	}
}

// once chooses a fault for the first write of key.
func once(key string, fault walktest.Fault) func(int, etcdwalk.Write) walktest.Fault {
	fired := false
	return func(_ int, w etcdwalk.Write) walktest.Fault {
		if fired || string(w.Key) != key {
			return walktest.OK
		}
		fired = true
		return fault
	}
}

// always chooses a fault for every write of key.
func always(key string, fault walktest.Fault) func(int, etcdwalk.Write) walktest.Fault {
	return func(_ int, w etcdwalk.Write) walktest.Fault {
		if string(w.Key) == key {
			return fault
		}
		return walktest.OK
	}
}

func wantFired(t *testing.T, target *walktest.Target, fault walktest.Fault) {
	t.Helper()
	if target.Fired(fault) == 0 {
		t.Errorf("fault %d never fired", fault)
	}
}

// Whatever happens on the way to every tenth write, the end is the same (R02, R03).
func TestPassingFaultsChangeNothing(t *testing.T) {
	source := objects(500)
	for name, fault := range map[string]walktest.Fault{
		"an answer that is lost after the write":  walktest.LostAfter,
		"an answer that is lost before the write": walktest.LostBefore,
		"a target that is unavailable":            walktest.Unavailable,
	} {
		every(t, func(t *testing.T, policy replay.Policy) {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					target := walktest.NewTarget(source[20], source[21])
					target.Inject = nth(10, fault)
					summary, _, err := apply(t, job(target, policy, source...))
					if err != nil || !summary.Complete() {
						t.Errorf("Apply = %+v, %v; want it complete", summary.Counts, err)
					}
					wantCounts(t, summary.Counts, replay.Counts{replay.Created: 498, replay.Unchanged: 2})
					wantContents(t, target, source...)
					wantFired(t, target, fault)
				})
			})
		})
	}
}

func TestReadsWaitForAnUnavailableTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target := walktest.NewTarget(objects(40)...)
		failures := 0
		target.ReadErr = func(n int) error {
			if n%3 == 1 {
				failures++
				return etcdwalk.ErrUnavailable
			}
			return nil
		}
		target.Put(string(objects(1)[0].Key), "theirs")
		summary, _, err := apply(t, job(target, replay.Overwrite, objects(30)...))
		if err != nil || failures == 0 {
			t.Errorf("Apply = %v with %d failed reads", err, failures)
		}
		wantCounts(t, summary.Counts, replay.Counts{replay.Replaced: 1, replay.Unchanged: 29})
	})
}

func TestPatienceIsBounded(t *testing.T) {
	down := func(int) error { return etcdwalk.ErrUnavailable }
	t.Run("planning", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			target := walktest.NewTarget()
			target.ReadErr = down
			begin := time.Now()
			_, err := job(target, replay.Skip, objects(3)...).Plan(t.Context())
			if took := time.Since(begin); !errors.Is(err, etcdwalk.ErrUnavailable) || took < 15*time.Second || took > 31*time.Second {
				t.Errorf("Plan = %v after %v, want %v after about half a minute", err, took, etcdwalk.ErrUnavailable)
			}
		})
	})
	t.Run("applying", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			source := objects(300)
			target := walktest.NewTarget()
			target.Inject = func(n int, _ etcdwalk.Write) walktest.Fault {
				if n > 1 {
					return walktest.Unavailable
				}
				return walktest.OK
			}
			j := job(target, replay.Skip, source...)
			j.Patience = 3 * time.Second
			begin := time.Now()
			summary, _, err := apply(t, j)
			if took := time.Since(begin); !errors.Is(err, etcdwalk.ErrUnavailable) || took > 4*time.Second || target.Calls().Applies < 4 {
				t.Errorf("Apply = %v after %v and %d applies", err, took, target.Calls().Applies)
			}
			wantCounts(t, summary.Counts, replay.Counts{replay.Created: 128, replay.Unreached: 172})
			wantContents(t, target, source[:128]...)
		})
	})
}

// What ends an apply, what does not, and what a second run finds (R04, R06, R12).
func TestRefusedWrites(t *testing.T) {
	source := objects(300)
	key := string(source[140].Key)
	for _, tt := range []struct {
		name   string
		fault  walktest.Fault
		err    error
		counts replay.Counts
	}{
		{"a full target stops the apply", walktest.NoSpace, etcdwalk.ErrNoSpace,
			replay.Counts{replay.Created: 255, replay.Failure: 1, replay.Unreached: 44}},
		{"missing rights stop the apply", walktest.Denied, etcdwalk.ErrDenied,
			replay.Counts{replay.Created: 255, replay.Failure: 1, replay.Unreached: 44}},
		{"an answer that cannot be true stops the apply", walktest.Contradiction, etcdwalk.ErrInvariant,
			replay.Counts{replay.Created: 255, replay.Failure: 1, replay.Unreached: 44}},
		{"a key that is too large fails alone", walktest.TooLarge, nil,
			replay.Counts{replay.Created: 299, replay.Failure: 1}},
		{"a lease that nobody asked for fails alone", walktest.NoLease, nil,
			replay.Counts{replay.Created: 299, replay.Failure: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target := walktest.NewTarget()
			target.Inject = once(key, tt.fault)
			j := job(target, replay.Fail, source...)
			summary, records, err := apply(t, j)
			if !errors.Is(err, tt.err) || summary.Complete() {
				t.Errorf("Apply = %v, complete: %v; want %v, incomplete", err, summary.Complete(), tt.err)
			}
			wantCounts(t, summary.Counts, tt.counts)
			if r := records[key]; r.Fate != replay.Failure || !strings.Contains(r.Reason, key) {
				t.Errorf("the record of key %s is %+v", key, r)
			}
			wantFired(t, target, tt.fault)
			again, _, err := apply(t, j)
			if err != nil || !again.Complete() || again.Counts[replay.Created]+summary.Counts[replay.Created] != 300 {
				t.Errorf("the second run: %+v, %v; want the rest created", again.Counts, err)
			}
			wantContents(t, target, source...)
		})
	}
}

func TestAnAnswerThatIsLostEveryTime(t *testing.T) {
	source := objects(10)
	key := string(source[4].Key)
	synctest.Test(t, func(t *testing.T) {
		target := walktest.NewTarget()
		target.Inject = always(key, walktest.LostBefore)
		summary, records, err := apply(t, job(target, replay.Fail, source...))
		if err != nil || records[key].Fate != replay.Failure {
			t.Errorf("Apply = %v, %+v; want a failure of the one key", err, records[key])
		}
		wantCounts(t, summary.Counts, replay.Counts{replay.Created: 9, replay.Failure: 1})
		if got := target.Fired(walktest.LostBefore); got != 11 {
			t.Errorf("it was written %d times, want the first and 10 more", got)
		}
		wantContents(t, target, append(source[:4:4], source[5:]...)...)
	})
}

func TestALostAnswerThatCannotBeReadBackIsTold(t *testing.T) {
	source := objects(3)
	key := string(source[1].Key)
	synctest.Test(t, func(t *testing.T) {
		target := walktest.NewTarget()
		target.Inject = once(key, walktest.LostAfter)
		target.ReadErr = func(int) error {
			if target.Fired(walktest.LostAfter) > 0 {
				return etcdwalk.ErrUnavailable
			}
			return nil
		}
		_, records, err := apply(t, job(target, replay.Fail, source...))
		if !errors.Is(err, etcdwalk.ErrUnavailable) {
			t.Errorf("Apply = %v, want %v", err, etcdwalk.ErrUnavailable)
		}
		if r := records[key]; r.Fate != replay.Unsure || !strings.Contains(r.Reason, "may have been written") {
			t.Errorf("the record of key %s is %+v, want that it may have been written", key, r)
		}
		wantContents(t, target, source...)
	})
}

// A late target makes the first lost write only when the second is tried.
type late struct {
	*walktest.Target
	held []etcdwalk.Write
}

func (l *late) Apply(ctx context.Context, writes []etcdwalk.Write) []etcdwalk.Result {
	if l.held == nil {
		l.held = writes
		results := make([]etcdwalk.Result, len(writes))
		for i := range results {
			results[i] = etcdwalk.Result{State: etcdwalk.WriteUnknown, Err: context.DeadlineExceeded}
		}
		return results
	}
	l.Target.Apply(ctx, l.held)
	return l.Target.Apply(ctx, writes)
}

func TestALostWriteThatComesInLateIsOurs(t *testing.T) {
	every(t, func(t *testing.T, policy replay.Policy) {
		synctest.Test(t, func(t *testing.T) {
			target := &late{Target: walktest.NewTarget()}
			summary, _, err := apply(t, job(target, policy, objects(5)...))
			if err != nil || len(target.held) != 5 {
				t.Errorf("Apply = %v, %d writes were held", err, len(target.held))
			}
			wantCounts(t, summary.Counts, replay.Counts{replay.Created: 5})
			wantContents(t, target.Target, objects(5)...)
			if got := target.Revision(); got != 6 {
				t.Errorf("the target is at revision %d, want 6: each key written once", got)
			}
		})
	})
}

// An overtaken target loses the first answer, and lets another write the key
// before anybody can read back.
type overtaken struct {
	*walktest.Target
	value string
	done  bool
}

func (o *overtaken) Apply(ctx context.Context, writes []etcdwalk.Write) []etcdwalk.Result {
	results := o.Target.Apply(ctx, writes)
	if !o.done {
		o.done = true
		o.Put("/k", o.value)
		results[0] = etcdwalk.Result{State: etcdwalk.WriteUnknown, Err: context.DeadlineExceeded}
	}
	return results
}

func TestALostWriteThatWasOvertaken(t *testing.T) {
	every(t, func(t *testing.T, policy replay.Policy) {
		synctest.Test(t, func(t *testing.T) {
			target := &overtaken{Target: walktest.NewTarget(), value: "theirs"}
			_, records, err := apply(t, job(target, policy, kv("/k", "ours")))
			if stops := policy == replay.Fail; errors.Is(err, replay.ErrConflict) != stops || records["/k"].Fate != replay.Moved || !target.done {
				t.Errorf("Apply = %v, %+v; want it moved", err, records["/k"])
			}
			wantContents(t, target.Target, kv("/k", "theirs"))
		})
	})
}

func TestALostWriteIsNotTakenForAnotherWithoutItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target := &overtaken{Target: walktest.NewTarget(), value: "ours"}
		j := regrant(target, leased(kv("/k", "ours"), 1))
		j.Policy = replay.Skip
		_, records, err := apply(t, j)
		if err != nil || records["/k"].Fate != replay.Moved || !target.done {
			t.Errorf("Apply = %v, %+v; want it moved: what is there is not ours", err, records["/k"])
		}
	})
}

// A curt target gives one answer too few, to Heads, to Lookup or to Apply.
type curt struct {
	*walktest.Target
	heads, lookups, applies bool
}

func (c curt) Heads(ctx context.Context, keys [][]byte) ([]int64, error) {
	heads, err := c.Target.Heads(ctx, keys)
	if c.heads {
		heads = heads[1:]
	}
	return heads, err
}

func (c curt) Lookup(ctx context.Context, keys [][]byte) ([]*etcdwalk.Entry, error) {
	found, err := c.Target.Lookup(ctx, keys)
	if c.lookups {
		found = found[1:]
	}
	return found, err
}

func (c curt) Apply(ctx context.Context, writes []etcdwalk.Write) []etcdwalk.Result {
	results := c.Target.Apply(ctx, writes)
	if c.applies {
		results = results[1:]
	}
	return results
}

func TestATargetThatContradictsItselfStopsThePass(t *testing.T) {
	there := kv("/a", "theirs")
	for name, target := range map[string]curt{
		"heads":   {Target: walktest.NewTarget(there), heads: true},
		"lookups": {Target: walktest.NewTarget(there), lookups: true},
	} {
		if _, err := job(target, replay.Skip, kv("/a", "ours")).Plan(t.Context()); !errors.Is(err, etcdwalk.ErrInvariant) {
			t.Errorf("%s: Plan = %v, want %v", name, err, etcdwalk.ErrInvariant)
		}
	}
	target := curt{Target: walktest.NewTarget(), applies: true}
	summary, _, err := apply(t, job(target, replay.Skip, objects(200)...))
	if !errors.Is(err, etcdwalk.ErrInvariant) || target.Calls().Applies != 1 {
		t.Errorf("Apply = %v after %d applies, want %v after 1", err, target.Calls().Applies, etcdwalk.ErrInvariant)
	}
	wantCounts(t, summary.Counts, replay.Counts{replay.Created: 128, replay.Unreached: 72}) // read back
}

func TestAnOrdinaryReadErrorStopsAtOnce(t *testing.T) {
	target := walktest.NewTarget(kv("/a", "theirs"))
	reads := 0
	target.ReadErr = func(n int) error {
		reads = n
		if n == 2 {
			return etcdwalk.ErrDenied
		}
		return nil
	}
	if _, err := job(target, replay.Skip, kv("/a", "ours")).Plan(t.Context()); !errors.Is(err, etcdwalk.ErrDenied) || reads != 2 {
		t.Errorf("Plan = %v after %d reads, want %v after 2", err, reads, etcdwalk.ErrDenied)
	}
}
