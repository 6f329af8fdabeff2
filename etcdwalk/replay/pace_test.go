package replay

import (
	"testing"
	"time"
)

const (
	quick = 4 * time.Millisecond
	slow  = 40 * time.Millisecond
)

func TestPace(t *testing.T) {
	for _, tt := range []struct {
		name  string
		took  []time.Duration
		keys  int
		pause time.Duration
	}{
		{"quick batches grow, one by one", []time.Duration{quick, quick}, 36, quick},
		{"a slow one halves the next", []time.Duration{quick, quick, slow}, 18, slow},
		{"a batch of which nothing was written changes nothing", []time.Duration{quick, 0}, 34, 0},
		{"the next is never smaller than the least", repeat(slow, 9), keysLeast, slow},
		{"nor larger than a full one, which no pause follows", repeat(quick, 99), batchKeys, 0},
		{"a batch that is nearly full is followed by a short pause", repeat(quick, 32), 96, quick / 3},
		{"after a slow one it takes long to be full again", append(repeat(quick, 99), slow, quick), 66, quick * 62 / 66},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPace()
			var pause time.Duration
			for _, took := range tt.took {
				pause = p.note(took)
			}
			keys, bytes := p.limits()
			if keys != tt.keys || pause != tt.pause || bytes != int64(keys)*8192 {
				t.Errorf("got %d keys, %d bytes, a pause of %v; want %d keys, 8 KiB each, a pause of %v", keys, bytes, pause, tt.keys, tt.pause)
			}
		})
	}
}

func repeat(d time.Duration, n int) []time.Duration {
	all := make([]time.Duration, n)
	for i := range all {
		all[i] = d
	}
	return all
}

func TestWithoutAPaceBatchesAreFull(t *testing.T) {
	var none *pace
	if pause := none.note(slow); pause != 0 {
		t.Errorf("a pause of %v, want none", pause)
	}
	if keys, bytes := none.limits(); keys != batchKeys || bytes != batchBytes {
		t.Errorf("%d keys and %d bytes, want full batches", keys, bytes)
	}
}
