package etcdwalk

import "errors"

// The classes of errors of views and targets. Drivers wrap them with what they were
// doing to which key, and each sentinel of a driver's own wraps one.
var (
	// ErrUnavailable: the other end cannot be reached, or does not answer in time.
	ErrUnavailable = errors.New("not available")
	// ErrDenied: the other end refuses these credentials, or their rights.
	ErrDenied = errors.New("permission denied")
	// ErrInvariant: a promise of an interface was broken. What was said cannot be
	// trusted.
	ErrInvariant = errors.New("the answers contradict each other")
	// ErrRefused: a safety guard forbids it.
	ErrRefused = errors.New("refused by a safety guard")
	// ErrNeedless: the target cannot hold it, and nothing is lost without it.
	ErrNeedless = errors.New("the target does without it")
	// ErrCompacted: the view's revision is gone. A new view must be opened.
	ErrCompacted = errors.New("the revision was compacted away")
	// ErrNoSpace: the target's quota is used up; nothing can be written.
	ErrNoSpace = errors.New("the target has no space left")
	// ErrTooLarge: one key with its value exceeds the target's request limit.
	ErrTooLarge = errors.New("too large for the target's request limit")
	// ErrNoLease: the lease that a write names does not exist (any more).
	ErrNoLease = errors.New("the lease does not exist on the target")
	// ErrExpired: nothing is left by now of the time of the lease that a write
	// names. The key would have gone.
	ErrExpired = errors.New("nothing is left of its time")
)
