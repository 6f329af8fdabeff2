package cmd

import (
	"errors"
	"testing"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// TestWhatCouldNotBeTakenBack: whatever is not as it was ends with 3, and a key that failed is
// not passed over for being none that somebody has moved.
func TestWhatCouldNotBeTakenBack(t *testing.T) {
	for name, c := range map[string]struct {
		counts replay.Counts
		want   error
	}{
		"all of it":    {replay.Counts{replay.Replaced: 1, replay.Deleted: 1, replay.Created: 1, replay.Unchanged: 1}, nil},
		"one moved":    {replay.Counts{replay.Replaced: 1, replay.Moved: 1}, ferry.ErrIncomplete},
		"one failed":   {replay.Counts{replay.Replaced: 1, replay.Failure: 1}, ferry.ErrIncomplete},
		"one unsure":   {replay.Counts{replay.Replaced: 1, replay.Unsure: 1}, ferry.ErrIncomplete},
		"one expired":  {replay.Counts{replay.Replaced: 1, replay.Expired: 1}, ferry.ErrIncomplete},
		"none reached": {replay.Counts{replay.Unreached: 1}, ferry.ErrIncomplete},
	} {
		if err := left(c.counts); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}
