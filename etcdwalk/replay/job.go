package replay

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay/journal"
)

// A Job is what is to be replayed, and how. Its source must yield the same
// entries at each walk. It deletes nothing but what Delete names.
type Job struct {
	Source etcdwalk.View
	// Selections are written one after the other. No key may be in two of them.
	Selections []etcdwalk.Selection
	Target     etcdwalk.Target
	// Policy may be Newer only if SameLineage finds no fault.
	Policy Policy
	// Regrant grants a new lease for each lease of the source, with the time
	// that was left of it. Without it, keys under a lease are passed over.
	Regrant bool
	// Rule, which may be nil, judges each entry before the target is asked:
	// Excluded or Refused with the reason, or an empty Fate to let it pass. One that
	// Transform gives another key is judged in both forms.
	Rule func(etcdwalk.Entry) (Fate, string)
	// Transform, which may be nil, says what an entry becomes on its way: its key
	// and value may be others. It must say the same of the same entry, and must not
	// keep or change its bytes; leases stay as they are. Two entries that become the same key are an
	// etcdwalk.ErrRefused: to find them, 16 bytes of each key are kept. The order
	// of the selections, and of the walk, is the source's.
	Transform func(etcdwalk.Entry) (etcdwalk.Entry, error)
	// Alike, which may be nil, tells whether two values under one key that differ are
	// one object all the same, which only those that look after it have moved. Such a
	// key is unchanged. It must not keep the bytes of the entries.
	Alike func(want, have etcdwalk.Entry) bool
	// Ours, which may be nil, tells whether what the target holds under a key was made by
	// this job, or by one that was interrupted: a form of the entry that comes before it, or
	// what others have made of that. Then the entry is written whatever the policy, if it is
	// not what is there, and counts as created.
	Ours func(want, have etcdwalk.Entry) bool
	// Additions, which may be nil, tells of keys that are only ever added: what the target
	// holds under one stays and is no conflict, whatever the policy.
	Additions func(key []byte) bool
	// File takes the lines of the plan, and binds the apply to them.
	File *journal.File
	// Header and Seal are what the file begins with, and the key of its seal.
	Header, Seal []byte
	// Given, which may be nil, is the file of a plan that was made before: this one comes to
	// the same, and what the target holds now only tells what must be refused.
	Given *journal.File
	// Digest is of the substance of an entry, by which the apply tells whether what moved
	// since the plan is only what those that look after an object write. It is called by
	// several at once, and must not keep the bytes.
	Digest func(etcdwalk.Entry) journal.Digest
	// Delete, which may be nil, tells of an entry that it stands for its key only, which is to
	// be deleted. It must say the same of the same entry.
	Delete func(etcdwalk.Entry) bool
	// Still, which may be nil, tells why what the target holds under a key (nil: nothing) is
	// not what the job may change or delete; empty: it is. Such a key has Moved.
	Still func(want etcdwalk.Entry, have *etcdwalk.Entry) string
	// Found, which may be nil, is told of what the target holds under each key, as often as
	// that is read. It is called by several at once, and must not keep the bytes.
	Found func(have etcdwalk.Entry)
	// Check, which may be nil, has the last word of a plan about what would be written: for
	// each the reason why it must not be, or nothing. Such a key is Refused. It is asked by
	// several at once, and must not keep the bytes of the writes.
	Check func(ctx context.Context, writes []etcdwalk.Write) ([]string, error)
	// Report, which may be nil, is told of each key by both passes. It must
	// not keep the key's bytes. Its error ends the pass.
	Report func(Line) error
	// InFlight is how many full batches an apply has on their way at once, as
	// suits an empty target. 0: one, made smaller while the target answers
	// slowly, so that a live cluster does not feel it.
	InFlight int
	// QPS is how many keys are written in a second at most; 0: as many as the target takes.
	QPS int
	// Patience is how long a batch waits for a target that is unavailable;
	// 0: half a minute.
	Patience time.Duration
}

// planning is how many batches a plan looks at together.
const planning = 2

// policy is that of a key.
func (j *Job) policy(key []byte) Policy {
	if j.Additions != nil && j.Additions(key) {
		return Skip
	}
	return j.Policy
}

// Plan walks the source once and decides about each key. It only reads. What a
// plan without an error holds back, Plan.Err tells.
func (j Job) Plan(ctx context.Context) (Plan, error) {
	p := newPass(j)
	p.begin, p.settle, p.width, p.note = p.screen, p.foresee, planning, p.record
	if j.Given != nil {
		lines, done := iter.Pull2(j.Given.Lines())
		defer done()
		p.given = lines
	}
	err := j.File.Begin(j.Header, j.Seal)
	if err == nil {
		err = p.walk(ctx)
	}
	if err == nil {
		err = p.followed()
	}
	if err == nil {
		err = j.File.End()
	}
	return Plan{Tally: p.tally, complete: err == nil, strict: j.Policy == Fail}, err
}

// Apply walks the source again, beside the lines of the plan, and writes what is to be written
// under the revisions that the plan saw. It refuses a plan that has an Err, before anything is
// written.
//
// The summary is true whatever the error: etcdwalk.ErrUnavailable, etcdwalk.ErrNoSpace,
// etcdwalk.ErrDenied, etcdwalk.ErrInvariant and ErrConflict (somebody wrote a
// key meanwhile, under the policy Fail) stop the apply, and so does a cancelled
// context, once the batches in flight are settled, for which they have ten seconds.
// If they come to an error then, or came to one before, it is told together with
// the context's, in its own words. What a target refuses for one key only is
// counted as Failure, and without an error.
func (j Job) Apply(ctx context.Context, plan Plan) (Summary, error) {
	if err := plan.Err(); err != nil {
		return Summary{Tally: newTally()}, fmt.Errorf("nothing was written: %w", err)
	}
	lines, done := iter.Pull2(j.File.Lines())
	defer done()
	p := newPass(j)
	p.begin, p.settle, p.lines, p.rate = p.recall, p.write, lines, newRate(j.QPS)
	if p.width = j.InFlight; p.width < 1 {
		p.width, p.pace = 1, newPace()
	}
	err := p.walk(ctx)
	if err == nil {
		err = p.over()
	}
	if err != nil {
		err = errors.Join(err, p.leave())
	}
	if n := plan.Counts.Total() - p.tally.Counts.Total(); n > 0 { // the lines could not be read to their end
		p.tally.Counts[Unreached] += n
	}
	return Summary{Tally: p.tally, Leases: int(p.leases.granted.Load())}, err
}

// retry repeats op while it ends with etcdwalk.ErrUnavailable, with pauses that
// grow, until the job's patience is at its end.
func (j Job) retry(ctx context.Context, op func() error) error {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = 100*time.Millisecond, 5*time.Second
	patience := j.Patience
	if patience == 0 {
		patience = 30 * time.Second
	}
	var waits error // what the last try came to, if there may be another
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		waits = nil
		err := op()
		if errors.Is(err, etcdwalk.ErrUnavailable) {
			waits = err
		} else if err != nil {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(patience))
	if waits != nil {
		return waits // and not that ctx ended meanwhile, which the walk knows
	}
	return err
}
