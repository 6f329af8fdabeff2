package replay

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// A Fate is what becomes of a key: in a plan what would, in an apply what
// did.
type Fate string

// The fates.
const (
	Created     Fate = "created"
	Replaced    Fate = "replaced"
	Deleted     Fate = "deleted"
	Unchanged   Fate = "unchanged"
	Skipped     Fate = "skipped"     // the target's value stays, as the policy wants
	Excluded    Fate = "excluded"    // by the job's rule
	Leased      Fate = "leased"      // it is under a lease, and leases are not granted again
	Expired     Fate = "expired"     // nothing of its lease's time was left, or nothing is known of it
	Conflicting Fate = "conflicting" // the target holds another value
	Moved       Fate = "moved"       // somebody else wrote the key after the plan had seen it
	Refused     Fate = "refused"     // by the job's rule: such a value would do harm
	Failure     Fate = "failed"      // the target would not take it
	Unsure      Fate = "unknown"     // the answer to its write was lost, and it could not be read back: it may be written
	Unreached   Fate = "not reached" // the apply stopped before it
)

// Changes tells whether the target is written to.
func (f Fate) Changes() bool { return f == Created || f == Replaced || f == Deleted }

// ErrConflict is an error of a job, beside those of its source and target: under the
// policy Fail, the target holds another value.
var ErrConflict = errors.New("the cluster holds other values")

// A Line tells the fate of one key.
type Line struct {
	Key    []byte // on the target
	From   []byte // in the source, if it is another; of what was not reached it is not told
	Fate   Fate
	Reason string // for people; empty where the fate says it all
	// Revision is the key's mod revision on the target: in an apply after the
	// write, else as it was seen; 0: it is not there, or was not looked at.
	Revision int64
	Bytes    int64 // of the key and the value in the source
	Since    int64 // the mod revision in the source; 0: not known
}

// Counts is the number of keys by fate.
type Counts map[Fate]int64

// Total is the number of all keys.
func (c Counts) Total() int64 {
	var total int64
	for _, n := range c {
		total += n
	}
	return total
}

// Changes is the number of keys under which the target is written to.
func (c Counts) Changes() int64 { return c[Created] + c[Replaced] + c[Deleted] }

// A Tally sums up the lines of a pass.
type Tally struct {
	Counts Counts `json:"counts"`
	// Bytes is the size of the keys and values that are created and replaced.
	Bytes int64 `json:"bytes"`
	// Reasons counts the keys that are Excluded by their reasons.
	Reasons map[string]int64 `json:"left_out,omitempty"`
	// Examples are the first 50 lines of each fate but Unchanged.
	Examples map[Fate][]Line `json:"-"`
}

// maxExamples and maxReasons bound what is remembered of a pass.
const (
	maxExamples = 50
	maxReasons  = 100
)

func newTally() Tally {
	return Tally{Counts: Counts{}, Reasons: map[string]int64{}, Examples: map[Fate][]Line{}}
}

func (t *Tally) add(r Line) {
	t.Counts[r.Fate]++
	if r.Fate == Created || r.Fate == Replaced {
		t.Bytes += r.Bytes
	}
	if _, known := t.Reasons[r.Reason]; r.Fate == Excluded && (known || len(t.Reasons) < maxReasons) {
		t.Reasons[r.Reason]++
	}
	switch r.Fate {
	case Unchanged:
	default:
		if len(t.Examples[r.Fate]) < maxExamples {
			r.Key, r.From = bytes.Clone(r.Key), bytes.Clone(r.From)
			t.Examples[r.Fate] = append(t.Examples[r.Fate], r)
		}
	}
}

// A Plan is what Job.Plan found.
type Plan struct {
	Tally
	complete bool // the pass came to its end
	strict   bool // one key that has moved stops the apply
}

// Err tells why the plan must not be applied: an [etcdwalk.ErrRefused] if there are
// refused values, an [ErrConflict] if there are conflicts under the policy
// Fail. Nil: it may.
func (p Plan) Err() error {
	switch {
	case !p.complete:
		return errors.New("the plan is not complete")
	case p.Counts[Refused] > 0:
		return fmt.Errorf("%s refused%.0w", told(p.Counts[Refused], "is", "are"), etcdwalk.ErrRefused)
	case p.Counts[Conflicting] > 0:
		return fmt.Errorf("%s in the cluster%.0w", told(p.Counts[Conflicting], "differs", "differ"), ErrConflict)
	case p.strict && p.Counts[Moved] > 0:
		return fmt.Errorf("%s moved since the plan was made%.0w", told(p.Counts[Moved], "has", "have"), ErrConflict)
	}
	return nil
}

// told says what n keys do.
func told(n int64, one, more string) string {
	if n == 1 {
		return "1 key " + one
	}
	return fmt.Sprintf("%d keys %s", n, more)
}

// A Summary is what Job.Apply did.
type Summary struct {
	Tally
	// Leases is the number of leases granted.
	Leases int `json:"leases"`
}

// Complete tells whether every key came to the end that the policy and the
// rule wanted for it.
func (s Summary) Complete() bool {
	return s.Counts[Conflicting]+s.Counts[Moved]+s.Counts[Refused]+s.Counts[Failure]+s.Counts[Unsure]+s.Counts[Unreached] == 0
}
