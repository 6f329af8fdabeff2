package etcdwalk

import (
	"context"
	"errors"
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
	Lookup(ctx context.Context, keys [][]byte) ([]*Entry, error)
	// Apply makes the writes, each on its own guarded by the revision seen: it
	// takes effect only while the key's mod revision is Write.Seen. One guard
	// that fails never holds up its neighbours. It answers for each write, in
	// the order given. No key may be given twice.
	Apply(ctx context.Context, writes []Write) []Result
	// Grant makes a lease of ttl seconds and returns its id.
	Grant(ctx context.Context, ttl int64) (int64, error)
}

// A Write puts Value under Key, attached to Lease (0: none) of the target; or it
// deletes Key.
type Write struct {
	Key, Value []byte
	Lease      int64
	// Seen is the mod revision that the decision was made upon; 0: absent.
	Seen int64
	// Delete takes the key away. It must have been seen; Value and Lease do not
	// count.
	Delete bool
}

// Check tells why w is none: a key can be deleted only as it was seen.
func (w Write) Check() error {
	if w.Delete && w.Seen <= 0 {
		return errors.New("a key that was not seen cannot be deleted")
	}
	return nil
}

// A Result tells what became of one Write.
type Result struct {
	State    WriteState
	Revision int64 // of the write; WriteApplied only
	Err      error // why; WriteFailed and WriteUnknown only
}

// A WriteState is an end that a write can come to.
type WriteState int

// The ends that a write can come to.
const (
	// WriteApplied: the value is in the store, or the key is gone from it.
	WriteApplied WriteState = iota + 1
	// WriteRaced: the guard failed, somebody else wrote the key. Nothing was done.
	WriteRaced
	// WriteFailed: nothing was done, and Err says why. It may be tried again if Err
	// is ErrUnavailable.
	WriteFailed
	// WriteUnknown: the answer was lost; the write may have taken effect. Only
	// reading the key tells.
	WriteUnknown
)
