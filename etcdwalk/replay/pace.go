package replay

import (
	"time"

	"golang.org/x/time/rate"
)

const (
	// paceTarget is how long the writes of a batch may take before they are
	// slow. Others who write wait about as long for theirs.
	paceTarget = 15 * time.Millisecond
	// keysLeast is how many keys a batch may have in any case, keysFirst in the
	// beginning.
	keysLeast, keysFirst = 8, 32
	// keysMore is how many more the next may have after a quick one.
	keysMore = 2
)

// A pace keeps an apply from being felt by others who use the target. It bounds
// batches by the time that the target took for the ones before: a little more
// after a quick one, half as much after a slow one. A batch that is not full is
// followed by a pause, for what slows etcd down is mostly the amount that it has
// to commit ten times a second, in however many requests it came. A nil pace
// lets all batches be full, without a pause.
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

// note takes how long the target took for a batch; 0: nothing was written. The
// batch behind it has been collected by then: what it says holds for the next. It
// returns how long to pause before the next: nothing after full batches, at most
// as long as it took.
func (p *pace) note(took time.Duration) time.Duration {
	if p == nil || took == 0 {
		return 0
	}
	if took > paceTarget {
		p.keys = max(keysLeast, p.keys/2)
	} else {
		p.keys = min(batchKeys, p.keys+keysMore)
	}
	return min(took, took*time.Duration(batchKeys-p.keys)/time.Duration(p.keys))
}

// ticks is into how many batches the writes of a second are spread, where they are limited.
const ticks = 10

// newRate lets so many writes of a second through, from the first second on; nil: all.
func newRate(qps int) *rate.Limiter {
	if qps <= 0 {
		return nil
	}
	limit := rate.NewLimiter(rate.Limit(qps), batchKeys)
	limit.ReserveN(time.Now(), batchKeys)
	return limit
}
