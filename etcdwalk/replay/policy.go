package replay

import (
	"bytes"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// A Policy says what happens to a key that the target holds with another
// value.
type Policy int

// The policies.
const (
	Fail      Policy = iota // one conflict, and nothing at all is written
	Skip                    // the target's value stays
	Overwrite               // the archive's value wins
	Newer                   // the higher mod revision wins; one cluster's lineage only
)

var policyNames = [...]string{"fail", "skip", "overwrite", "newer"}

// String returns the policy's name.
func (p Policy) String() string { return policyNames[p] }

// An Action is what is to be done about one key.
type Action int

// The actions.
const (
	Create Action = iota + 1
	Same
	Replace
	Keep // the target's value stays, as the policy wants
	Conflict
)

// Decide says what is to be done about want, given what the target holds under
// its key; nil: nothing. Values are the same only if both are under a lease or
// neither is: an event that lost its lease would stay for ever.
func Decide(p Policy, want etcdwalk.Entry, have *etcdwalk.Entry) Action {
	switch {
	case have == nil:
		return Create
	case bytes.Equal(want.Value, have.Value) && (want.Lease == 0) == (have.Lease == 0):
		return Same
	case p == Overwrite, p == Newer && want.ModRevision > have.ModRevision:
		return Replace
	case p == Fail:
		return Conflict
	default:
		return Keep
	}
}
