package ferry

import (
	"context"
	"fmt"
	"slices"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/etcdwalk"
)

// soundSource refuses a source that calls itself corrupt (WK7).
func soundSource(alarms []etcdwalk.Alarm, accept bool) error {
	if slices.Contains(alarms, etcdwalk.AlarmCorrupt) && !accept {
		return fmt.Errorf("it has raised the alarm CORRUPT: its members hold different data, and nobody knows which is right%.0w", ErrCorrupt)
	}
	return nil
}

// soundTarget refuses a target that takes no writes.
func soundTarget(alarms []etcdwalk.Alarm) error {
	switch {
	case slices.Contains(alarms, etcdwalk.AlarmCorrupt):
		return fmt.Errorf("the target has raised the alarm CORRUPT, and takes no writes%.0w", ErrCorrupt)
	case slices.Contains(alarms, etcdwalk.AlarmNoSpace):
		return fmt.Errorf("the target has raised the alarm NOSPACE, and takes no writes%.0w", etcdwalk.ErrNoSpace)
	}
	return nil
}

// corrupt tells whether what an archive says of its source is that it is corrupt.
func corrupt(h archive.Header, m archive.Manifest) bool {
	return slices.Contains(h.Sources[0].Alarms, etcdwalk.AlarmCorrupt) || len(m.Outcome.Doubts) > 0
}

// Corrupt tells whether the archive was made of a corrupt source, on request.
func (a *Archive) Corrupt() bool { return corrupt(a.Header(), a.Manifest()) }

// remember keeps what a walk that failed has found against its source: another walk
// may look elsewhere.
func (b Backup) remember(c *choice, err error) error {
	doubts := outcomeOf(c.view).Doubts
	*b.found = append(*b.found, doubts...)
	if len(doubts) > 0 && !b.AcceptCorrupt {
		return fmt.Errorf("%s: %w; and %s", doubts[0], ErrCorrupt, err.Error()) // not to be tried again for another cause
	}
	return err
}

// doubts are what is known against the source after its walk.
func (b Backup) doubts(ctx context.Context, c *choice) ([]string, error) {
	doubts := append(slices.Clone(*b.found), outcomeOf(c.view).Doubts...)
	alarms, err := alarmsOf(ctx, c.view)
	if err != nil {
		return nil, err
	}
	if slices.Contains(alarms, etcdwalk.AlarmCorrupt) && !slices.Contains(c.alarms, etcdwalk.AlarmCorrupt) {
		doubts = append(doubts, "the alarm CORRUPT was raised while it was read")
	}
	if v, ok := c.view.(comparer); ok && b.VerifyMembers {
		compared, differ, err := v.CompareMembers(ctx)
		if err != nil {
			return nil, err
		}
		c.compared, doubts = compared, append(doubts, differ...)
	}
	if len(doubts) > 0 && !b.AcceptCorrupt {
		return nil, fmt.Errorf("%s%.0w", doubts[0], ErrCorrupt)
	}
	return doubts, nil
}
