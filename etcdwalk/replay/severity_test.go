package replay_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// A gate gives every write the same answer, once its batch has been let through.
type gate struct {
	*walktest.Target
	pass   func()
	answer etcdwalk.Result
}

func (g gate) Apply(_ context.Context, writes []etcdwalk.Write) []etcdwalk.Result {
	g.pass()
	results := make([]etcdwalk.Result, len(writes))
	for i := range results {
		results[i] = g.answer
	}
	return results
}

// moments are those at which an interrupt can meet a batch in flight. Each makes
// a job of so many keys be interrupted there, and returns what lets the batches
// through.
var moments = map[string]struct {
	keys int
	set  func(j *replay.Job, interrupt func()) (pass func())
}{
	"while the walk goes on": {600, func(j *replay.Job, interrupt func()) func() {
		sent, interrupted := make(chan struct{}), make(chan struct{})
		send := sync.OnceFunc(func() { close(sent) })
		at := sync.OnceFunc(func() { <-sent; interrupt(); close(interrupted) })
		source := objects(600)
		j.InFlight = 4
		j.Source = walktest.Generated(600, func(i int) etcdwalk.Entry {
			if i == 300 { // behind two batches; the walk looks at its context next
				at()
			}
			return source[i]
		})
		return func() { send(); <-interrupted }
	}},
	"while the walk waits for it": {600, func(j *replay.Job, interrupt func()) func() {
		waiting := make(chan struct{})
		source := objects(600)
		j.Source = walktest.Generated(600, func(i int) etcdwalk.Entry {
			if i == 256 { // the second batch is full; the walk waits for the first next
				close(waiting)
			}
			return source[i]
		})
		return func() { <-waiting; interrupt() }
	}},
	"when it is the last": {3, func(_ *replay.Job, interrupt func()) func() { return interrupt }},
}

// causes are those of an interrupt: the context's own error, and like that of a
// timeout one that does not say of itself that it ends a context.
var causes = map[string]error{"for no reason": nil, "for a reason": errors.New("somebody's reason")}

// interruptedAt applies a job that is interrupted at a moment for a cause, to a
// target that gives this answer, and checks that each key has its fate.
func interruptedAt(t *testing.T, moment string, cause error, policy replay.Policy, answer etcdwalk.Result, record func(replay.Line) error) (replay.Summary, error) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	m := moments[moment]
	target := walktest.NewTarget()
	j := job(target, policy, objects(m.keys)...)
	plan := mustPlan(t, j)
	j.Report = record
	pass := m.set(&j, func() { cancel(cause) })
	j.Target = gate{target, pass, answer}
	summary, err := j.Apply(ctx, plan)
	if got := summary.Counts.Total(); got != int64(m.keys) {
		t.Errorf("%d fates, want %d", got, m.keys)
	}
	if cause != nil && errors.Is(err, cause) {
		t.Errorf("Apply = %v: who gave the context a cause knows it", err)
	}
	return summary, err
}

// Which of the two the walk learns of first is chance. What a batch in flight came
// to is told, and so is the interrupt: it is what decides about the exit code.
func TestAnInterruptAndTheErrorOfABatchAreBothTold(t *testing.T) {
	failed := func(err error) etcdwalk.Result { return etcdwalk.Result{State: etcdwalk.WriteFailed, Err: err} }
	for moment := range moments {
		for name, tt := range map[string]struct {
			answer etcdwalk.Result
			err    error
		}{
			"no space":                      {failed(etcdwalk.ErrNoSpace), etcdwalk.ErrNoSpace},
			"missing rights":                {failed(etcdwalk.ErrDenied), etcdwalk.ErrDenied},
			"an answer that cannot be true": {failed(etcdwalk.ErrInvariant), etcdwalk.ErrInvariant},
			"no space, and a look cut off":  {failed(errors.Join(etcdwalk.ErrNoSpace, context.Canceled)), etcdwalk.ErrNoSpace},
		} {
			t.Run(name+" "+moment, func(t *testing.T) {
				_, err := interruptedAt(t, moment, nil, replay.Fail, tt.answer, nil)
				if !errors.Is(err, context.Canceled) || !errors.Is(err, tt.err) || !strings.Contains(err.Error(), tt.err.Error()) {
					t.Errorf("Apply = %v, want %v and %v", err, context.Canceled, tt.err)
				}
			})
		}
	}
}

func TestAnInterruptIsToldWhateverItsCause(t *testing.T) {
	for moment, m := range moments {
		for name, cause := range causes {
			t.Run(moment+" "+name, func(t *testing.T) {
				summary, err := interruptedAt(t, moment, cause, replay.Fail, etcdwalk.Result{State: etcdwalk.WriteApplied, Revision: 7}, nil)
				if all := m.keys <= 128; !all && !errors.Is(err, context.Canceled) || all && err != nil {
					t.Errorf("Apply = %v, want %v unless all was done", err, context.Canceled)
				}
				if created := summary.Counts[replay.Created]; created == 0 || summary.Complete() != (err == nil) {
					t.Errorf("Apply = %+v, %v", summary.Counts, err)
				}
			})
		}
	}
}

func TestAnInterruptKeepsTheErrorOfTheRecorder(t *testing.T) {
	full := errors.New("the report's disk is full")
	for moment := range moments {
		for name, cause := range causes {
			t.Run(moment+" "+name, func(t *testing.T) {
				told := 0
				_, err := interruptedAt(t, moment, cause, replay.Overwrite, etcdwalk.Result{State: etcdwalk.WriteRaced}, func(replay.Line) error {
					if told++; told == 1 {
						return full
					}
					return nil
				})
				if !errors.Is(err, context.Canceled) || !errors.Is(err, full) {
					t.Errorf("Apply = %v, want %v and %v", err, context.Canceled, full)
				}
			})
		}
	}
}

// Who interrupts a run that waits for its target wants to know what it waits for.
func TestAnInterruptTellsWhatABatchWaitedFor(t *testing.T) {
	for name, during := range map[string]bool{"during a try": true, "between two tries": false} {
		// start returns a context, and what a target calls at its n-th request.
		start := func(t *testing.T) (context.Context, func(n int)) {
			ctx, cancel := context.WithCancel(t.Context())
			if !during {
				time.AfterFunc(time.Millisecond, cancel)
				return ctx, func(int) {}
			}
			return ctx, func(n int) {
				if n == 2 {
					cancel()
				}
			}
		}
		t.Run("planning, "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, request := start(t)
				target := walktest.NewTarget()
				target.ReadErr = func(n int) error {
					request(n)
					return etcdwalk.ErrUnavailable
				}
				_, err := job(target, replay.Fail, objects(600)...).Plan(ctx)
				wantWaited(t, err)
			})
		})
		t.Run("applying, "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				target := walktest.NewTarget()
				target.Inject = func(int, etcdwalk.Write) walktest.Fault { return walktest.Unavailable }
				j := job(target, replay.Fail, objects(600)...)
				j.InFlight = 4
				plan := mustPlan(t, j)
				ctx, request := start(t)
				target.BeforeApply = func(n int, _ []etcdwalk.Write) { request(n) }
				summary, err := j.Apply(ctx, plan)
				wantWaited(t, err)
				wantFired(t, target, walktest.Unavailable)
				wantCounts(t, summary.Counts, replay.Counts{replay.Unreached: 600})
			})
		})
	}
}

// wantWaited checks that an interrupted pass tells of an unavailable target, and
// once for all batches.
func wantWaited(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, context.Canceled) || !errors.Is(err, etcdwalk.ErrUnavailable) {
		t.Errorf("got %v, want %v and %v", err, context.Canceled, etcdwalk.ErrUnavailable)
	} else if n := strings.Count(err.Error(), etcdwalk.ErrUnavailable.Error()); n != 1 {
		t.Errorf("it is told %d times, want once: %v", n, err)
	}
}

// A rapt view does not go on behind its 300th entry until its first walk is
// stopped.
type rapt struct {
	etcdwalk.View
	once    sync.Once
	reached chan struct{} // closed there
}

func (r *rapt) Walk(ctx context.Context, sel etcdwalk.Selection) iter.Seq2[etcdwalk.Entry, error] {
	return func(yield func(etcdwalk.Entry, error) bool) {
		n := 0
		for e, err := range r.View.Walk(ctx, sel) {
			if n++; n == 300 {
				r.once.Do(func() { close(r.reached); <-ctx.Done() })
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// The walk is stopped by a batch as by an interrupt, and then it is the batch that
// is told of, even if its error looks like an interrupt.
func TestAWalkThatABatchStoppedTellsOfTheBatch(t *testing.T) {
	for _, why := range []error{etcdwalk.ErrNoSpace, context.Canceled, context.DeadlineExceeded} {
		t.Run(why.Error(), func(t *testing.T) {
			target := walktest.NewTarget()
			j := job(target, replay.Fail, objects(600)...)
			j.InFlight = 4
			plan := mustPlan(t, j)
			source := &rapt{View: j.Source, reached: make(chan struct{})}
			j.Source = source
			j.Target = gate{target, func() { <-source.reached }, etcdwalk.Result{State: etcdwalk.WriteFailed, Err: why}}
			summary, err := j.Apply(t.Context(), plan)
			if !errors.Is(err, why) || !strings.Contains(err.Error(), "write key") || strings.Contains(err.Error(), "\n"+context.Canceled.Error()) {
				t.Errorf("Apply = %v, want %v", err, why)
			}
			if errors.Is(err, context.Canceled) != errors.Is(why, context.Canceled) {
				t.Errorf("Apply = %v: nobody interrupted it", err)
			}
			if got := summary.Counts.Total(); got != 600 {
				t.Errorf("%d fates, want 600", got)
			}
		})
	}
}

// A tardy target answers when the context has ended: of the first write that it
// was not made, of the others why.
type tardy struct {
	*walktest.Target
	why error
}

func (t tardy) Apply(ctx context.Context, writes []etcdwalk.Write) []etcdwalk.Result {
	<-ctx.Done()
	results := make([]etcdwalk.Result, len(writes))
	for i := range results {
		results[i] = etcdwalk.Result{State: etcdwalk.WriteFailed, Err: t.why}
	}
	results[0].Err = ctx.Err()
	return results
}

func TestWhatWasCutOffDoesNotHideTheErrorOfItsNeighbours(t *testing.T) {
	for _, why := range []error{etcdwalk.ErrNoSpace, etcdwalk.ErrUnavailable} {
		t.Run(why.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				j := job(tardy{walktest.NewTarget(), why}, replay.Fail, objects(600)...)
				j.InFlight = 4
				plan := mustPlan(t, j)
				j.Source = &rapt{View: j.Source, reached: make(chan struct{})} // so the walk tells of the end first
				_, err := j.Apply(ctx, plan)
				if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, why) || !strings.Contains(err.Error(), why.Error()) {
					t.Errorf("Apply = %v, want %v and %v", err, context.DeadlineExceeded, why)
				} else if strings.Contains(err.Error(), context.DeadlineExceeded.Error()) {
					t.Errorf("Apply = %v, want no words about the end where there is a reason", err)
				}
			})
		})
	}
}
