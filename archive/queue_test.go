package archive

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

// delays makes jobs take between nothing and two milliseconds, as a seed wants.
type delays struct {
	mu     sync.Mutex
	random *rand.Rand
}

func newDelays(seed uint64) *delays { return &delays{random: rand.New(rand.NewPCG(seed, 0))} }

func (d *delays) wait() {
	d.mu.Lock()
	micros := d.random.IntN(2000) * d.random.IntN(2) // half of them none
	d.mu.Unlock()
	time.Sleep(time.Duration(micros) * time.Microsecond)
}

func TestAQueueKeepsOrderAndBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 5).Draw(t, "most")
		sizes := rapid.SliceOfN(rapid.Int64Range(1, 6*segmentSize), 0, 20).Draw(t, "sizes")
		slow := newDelays(rapid.Uint64().Draw(t, "seed"))
		fail := rapid.IntRange(0, 30).Draw(t, "the job that fails")
		q := queue[int]{most: most}
		seen := make(map[*int]bool)
		got, bytes, running := 0, int64(0), atomic.Int64{}
		take := func() {
			item, err := q.next()
			if *item != got || (err != nil) != (got == fail) {
				t.Fatalf("got item %d with error %v, want %d; %d fails", *item, err, got, fail)
			}
			bytes -= sizes[got]
			q.free(item, sizes[got])
			got++
		}
		for i, size := range sizes {
			for !q.room(size) || q.ready() {
				take()
			}
			item := q.item()
			seen[item], *item, bytes = true, i, bytes+size
			if inUse := i - got + 1; inUse > most || inUse > 1 && bytes > int64(most)*segmentSize {
				t.Fatalf("%d items of %d bytes are in use, want at most %d of %d", inUse, bytes, most, most*segmentSize)
			}
			q.start(item, size, func(*int) error {
				defer running.Add(-1)
				running.Add(1)
				slow.wait()
				if i == fail {
					return errors.New("failed")
				}
				return nil
			})
		}
		for rapid.Bool().Draw(t, "go on") && !q.empty() {
			take()
		}
		q.drain()
		if n := running.Load(); n != 0 || !q.empty() {
			t.Fatalf("%d jobs are left when all are done", n)
		}
		if len(seen) > most {
			t.Fatalf("%d items were made, want at most %d", len(seen), most)
		}
	})
}

func TestAQueueRunsJobsSideBySide(t *testing.T) {
	defer goleak.VerifyNone(t)
	q := queue[int]{most: 3}
	var meet sync.WaitGroup
	meet.Add(3)
	for range 3 {
		q.start(q.item(), 1, func(*int) error { meet.Done(); meet.Wait(); return nil })
	}
	if q.room(1) {
		t.Error("there is room for a fourth")
	}
	for range 3 {
		if _, err := q.next(); err != nil {
			t.Error(err)
		}
	}
	if !q.empty() || q.ready() {
		t.Error("there is something left in the queue")
	}
}

func TestWorkersAreFew(t *testing.T) {
	for cores, want := range map[int][2]int{1: {1, 1}, 2: {2, 1}, 4: {4, 3}, 64: {4, 4}} {
		before := runtime.GOMAXPROCS(cores)
		if got := [2]int{workers(), packers()}; got != want {
			t.Errorf("on %d cores: got %d and %d workers, want %d and %d", cores, got[0], got[1], want[0], want[1])
		}
		runtime.GOMAXPROCS(before)
	}
}

// eachNumberOfWorkers runs a test with 1 to 4 workers, and wants that no
// goroutine is left.
func eachNumberOfWorkers(t *testing.T, test func(t *testing.T, workers int)) {
	t.Helper()
	for n := 1; n <= 4; n++ {
		t.Run(fmt.Sprintf("%d workers", n), func(t *testing.T) {
			defer goleak.VerifyNone(t)
			test(t, n)
		})
	}
}
