// Package ferry tells kubeferry's stories: how a backup, a restore and a
// verification go, from the first request to the last sync. It joins views,
// archives, keys and stores; it parses no flags and prints nothing.
//
// What a story has to tell while it runs goes to a [Progress]; what it has to
// tell in the end is its result. A story that returns an error has left
// nothing half-done under a final name: at most a whole archive without a
// receipt, and then it says so. A restore says in its summary what it had
// written by then.
package ferry

import (
	"errors"
	"fmt"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// Errors of the stories, beside those of the packages they use.
var (
	// ErrEmpty: the selection holds no key.
	ErrEmpty = errors.New("nothing to carry")
	// ErrNoKey: the archive is encrypted and no key was given.
	ErrNoKey = errors.New("the archive is encrypted and no key was given")
	// ErrPolicy: the archive is not what its reader asked for, or not what its
	// receipt says.
	ErrPolicy = errors.New("refused by policy")
	// ErrIncomplete: the run came to its end, but some keys or archives were not done.
	ErrIncomplete = errors.New("finished, but incomplete")
	// ErrCorrupt: the cluster says that its members hold different data, or they were
	// found to. It is an etcdwalk.ErrInvariant.
	ErrCorrupt = fmt.Errorf("the cluster is corrupt%.0w", etcdwalk.ErrInvariant)
)

// Progress is told how far a phase has come. A total of 0 is not known. It is
// called for each key, so it must be quick.
type Progress func(phase Phase, done, total int64)

// A Phase is a part of a story that takes time.
type Phase string

// The phases, with what they count.
const (
	Walking     Phase = "reading"    // keys
	Publishing  Phase = "publishing" // bytes: told of once, when it begins
	Verifying   Phase = "verifying"  // bytes
	Planning    Phase = "planning"   // keys
	Applying    Phase = "restoring"  // keys
	Watching    Phase = "watching"   // seconds
	ReadingBack Phase = "reading back"
)

// told returns p, or a Progress that tells nobody.
func told(p Progress) Progress {
	if p == nil {
		return func(Phase, int64, int64) {}
	}
	return p
}
