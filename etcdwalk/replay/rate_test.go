package replay_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// R21: so many writes a second, within 10 % over 30 s, whatever is in flight.
func TestWritesAreLimited(t *testing.T) {
	for _, qps := range []int{1, 50, 400} {
		for _, inFlight := range []int{0, 8} {
			synctest.Test(t, func(t *testing.T) {
				target := walktest.NewTarget()
				seconds := map[int]int{} // writes, by the second
				begun := time.Now()
				target.BeforeApply = func(_ int, writes []etcdwalk.Write) { seconds[int(time.Since(begun)/time.Second)] += len(writes) }
				j := job(target, replay.Fail, objects(30*qps)...)
				j.QPS, j.InFlight = qps, inFlight
				plan := mustPlan(t, j)
				summary, err := j.Apply(t.Context(), plan)
				took := time.Since(begun)
				if err != nil || summary.Counts[replay.Created] != int64(30*qps) || took < 27*time.Second || took > 33*time.Second {
					t.Errorf("%d a second: %v, %v after %v", qps, summary.Counts, err, took)
				}
				for second, n := range seconds {
					if n > qps+qps/10+1 {
						t.Errorf("%d a second, %d in flight: %d in second %d", qps, inFlight, n, second)
					}
				}
			})
		}
	}
}

func TestALimitDoesNotHoldUpAnInterrupt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		j := job(walktest.NewTarget(), replay.Fail, objects(1000)...)
		j.QPS = 1
		plan := mustPlan(t, j)
		begun := time.Now()
		summary, err := j.Apply(ctx, plan)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) > 6*time.Second || summary.Counts.Total() != 1000 || summary.Counts[replay.Created] > 6 {
			t.Errorf("%v, %v after %v", summary.Counts, err, time.Since(begun))
		}
	})
}
