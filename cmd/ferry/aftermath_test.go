package ferry_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// absent is a Target that is unavailable for so many looks.
type absent struct {
	etcdwalk.Target
	looks int
}

func (a *absent) Heads(ctx context.Context, keys [][]byte) ([]int64, error) {
	if a.looks--; a.looks >= 0 {
		return nil, fmt.Errorf("no answer%.0w", etcdwalk.ErrUnavailable)
	}
	return a.Target.Heads(ctx, keys)
}

// TestALookThatFailsIsNotTheLast: an etcd that is away for a moment is looked at again; if it
// is away at the end, nobody knows what stayed.
func TestALookThatFailsIsNotTheLast(t *testing.T) {
	for looks, unknown := range map[int]bool{1: false, 2: true} {
		s, r := comingBack(t)
		planned, err := r.Plan(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Apply(t.Context(), planned); err != nil {
			t.Fatal(err)
		}
		away := &absent{s.Target, looks}
		r.Target = away
		a, err := r.Watch(t.Context(), planned, 1100*time.Millisecond)
		if errors.Is(err, etcdwalk.ErrUnavailable) != unknown || !unknown && err != nil || away.looks > 0 {
			t.Errorf("away for %d looks: %+v, %v", looks, a, err)
		}
	}
}
