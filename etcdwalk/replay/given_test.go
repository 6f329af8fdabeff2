package replay_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/replay/journal"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

// A plan that does not fit is told once for each batch that was under way, not for each key.
func TestAPlanThatDoesNotFitIsToldOnce(t *testing.T) {
	source := objects(2000)
	first := job(walktest.NewTarget(), replay.Overwrite, source...)
	mustPlan(t, first)
	for name, c := range map[string]struct {
		other []etcdwalk.Entry
		want  error
	}{
		"a key is missing": {source[1:], etcdwalk.ErrRefused},
		"other values": {func() []etcdwalk.Entry {
			other := objects(2000)
			for i := range other {
				other[i].Value = []byte("other")
			}
			return other
		}(), journal.ErrDamaged},
	} {
		j := job(walktest.NewTarget(), replay.Overwrite, c.other...)
		j.Given = first.File
		_, err := j.Plan(t.Context())
		if !errors.Is(err, c.want) {
			t.Fatalf("%s: %v", name, err)
		}
		if lines := strings.Count(err.Error(), "\n") + 1; lines > 1+j.InFlight {
			t.Errorf("%s: %d lines: %.300v", name, lines, err)
		}
	}
}
