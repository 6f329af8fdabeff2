package replay

import (
	"context"
	"errors"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// A Target is a cluster that is written to. Its methods take any number of
// keys or writes, and split them to what the server allows. They are called by
// several goroutines at once, for different keys. They keep none of the bytes
// that they are given.
type Target interface {
	// Heads tells the mod revision of each key, in the order asked; 0: absent.
	// It transfers no values.
	Heads(ctx context.Context, keys [][]byte) ([]int64, error)
	// Lookup reads each key, in the order asked; nil: absent.
	Lookup(ctx context.Context, keys [][]byte) ([]*etcdwalk.Entry, error)
	// Apply makes the writes, each on its own guarded by the revision seen: it
	// takes effect only while the key's mod revision is Write.Seen. One guard
	// that fails never holds up its neighbours. It answers for each write, in
	// the order given. No key may be given twice.
	Apply(ctx context.Context, writes []Write) []Result
	// Grant makes a lease of ttl seconds and returns its id.
	Grant(ctx context.Context, ttl int64) (int64, error)
}

// A Write puts Value under Key, attached to Lease (0: none) of the target.
type Write struct {
	Key, Value []byte
	Lease      int64
	// Seen is the mod revision that the decision was made upon; 0: absent.
	Seen int64
}

// A Result tells what became of one Write.
type Result struct {
	State    State
	Revision int64 // of the write; Applied only
	Err      error // why; Failed and Unknown only
}

// State sorts the ends that a write can come to.
type State int

// The ends that a write can come to.
const (
	// Applied: the value is in the store.
	Applied State = iota + 1
	// Raced: the guard failed, somebody else wrote the key. Nothing was done.
	Raced
	// Failed: nothing was done, and Err says why. It may be tried again if Err
	// is etcdwalk.ErrUnavailable.
	Failed
	// Unknown: the answer was lost; the write may have taken effect. Only
	// reading the key tells.
	Unknown
)

// Errors of a Target, beside those of etcdwalk.
var (
	// ErrNoSpace: the target's quota is used up; nothing can be written.
	ErrNoSpace = errors.New("the target has no space left")
	// ErrTooLarge: one key with its value exceeds the target's request limit.
	ErrTooLarge = errors.New("too large for the target's request limit")
	// ErrNoLease: the lease that the write names does not exist (any more).
	ErrNoLease = errors.New("the lease does not exist on the target")
	// ErrExpired: nothing is left by now of the time of the lease that the write
	// names. The key would have gone.
	ErrExpired = errors.New("nothing is left of its time")
)
