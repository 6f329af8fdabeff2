package replay

import "time"

const (
	// paceTarget is how long the writes of a batch shall take at most, so that
	// others who write do not wait much longer for theirs.
	paceTarget = 25 * time.Millisecond
	// A batch has keysLeast keys at least, the first one keysFirst.
	keysLeast, keysFirst = 4, 32
	// keysMore is how many keys more than the last a batch may have if that was
	// quick.
	keysMore = 8
)

// A pace bounds batches by the time that the target took for the ones before:
// a little more after a quick one, half as much after a slow one. A nil pace
// lets all batches be full.
type pace struct{ keys int }

func newPace() *pace { return &pace{keys: keysFirst} }

// limits are how many keys and bytes the next batch may have. A single key may
// have more.
func (p *pace) limits() (keys int, bytes int64) {
	if p == nil {
		return batchKeys, batchBytes
	}
	return p.keys, int64(p.keys) * (batchBytes / batchKeys)
}

// note takes how long the target took for a batch; 0: nothing was written.
func (p *pace) note(took time.Duration) {
	switch {
	case p == nil || took == 0:
	case took > paceTarget:
		p.keys = max(keysLeast, p.keys/2)
	default:
		p.keys = min(batchKeys, p.keys+keysMore)
	}
}
