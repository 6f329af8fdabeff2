package replay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// leases are those of the source that were met, by their ids there. The walk
// meets them; the batches in flight share what was granted.
type leases struct {
	mu      sync.Mutex // of known
	known   map[int64]*lease
	granted atomic.Int64
}

func newLeases() *leases { return &leases{known: map[int64]*lease{}} }

// A lease of the source, and the one that stands for it on the target.
type lease struct {
	ttl   int64 // seconds that were left; 0: it cannot be granted again
	state etcdwalk.LeaseState

	// taken is full while somebody uses the rest, and so while the lease is
	// granted: the others wait, and share it.
	taken chan struct{}
	id    int64 // on the target; 0: not granted yet
	again bool  // the target lost it once
	err   error // why it cannot be granted
}

func (l *leases) get(id int64) *lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known[id]
}

// of asks the source for a lease, once.
func (l *leases) of(ctx context.Context, source etcdwalk.View, id int64) (*lease, error) {
	if known := l.get(id); known != nil {
		return known, nil
	}
	told, err := source.Leases(ctx, []int64{id})
	if err != nil {
		return nil, fmt.Errorf("ask for lease %x: %w", id, err)
	}
	if len(told) != 1 || told[0].ID != id {
		return nil, fmt.Errorf("asked for lease %x, told of %d others%.0w", id, len(told), etcdwalk.ErrInvariant)
	}
	known := &lease{state: told[0].State, taken: make(chan struct{}, 1)}
	if known.state == etcdwalk.LeaseLive && told[0].Remaining > 0 {
		known.ttl = told[0].Remaining
	} else if known.state == etcdwalk.LeaseLive {
		known.state = etcdwalk.LeaseExpired
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known[id] = known
	return known, nil
}

// stops tells whether the error of a grant is about the whole target, and not
// about the one lease.
func stops(err error) bool {
	for _, whole := range []error{etcdwalk.ErrUnavailable, etcdwalk.ErrInvariant, etcdwalk.ErrNoSpace, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, whole) {
			return true
		}
	}
	return false
}

// grant gives the target's lease for an entry under lease id of the source. A
// refusal of the one lease is final.
func (l *leases) grant(ctx context.Context, target etcdwalk.Target, id int64) (int64, error) {
	known := l.get(id)
	select {
	case known.taken <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { <-known.taken }()
	if known.id != 0 || known.err != nil {
		return known.id, known.err
	}
	granted, err := target.Grant(ctx, known.ttl)
	if err != nil {
		err = fmt.Errorf("lease failed: granting %d seconds: %w", known.ttl, err)
		if !stops(err) {
			known.err = err
		}
		return 0, err
	}
	known.id = granted
	l.granted.Add(1)
	return granted, nil
}

// renew tells whether a write that found no lease may be tried again: when its
// lease was replaced since, or can be, which happens once. It waits no longer
// than for one grant.
func (l *leases) renew(it *item) bool {
	known := l.get(it.want.Lease)
	if known == nil {
		return false
	}
	known.taken <- struct{}{}
	defer func() { <-known.taken }()
	if known.id == it.lease {
		if known.again {
			return false
		}
		known.id, known.again = 0, true
	}
	return true
}
