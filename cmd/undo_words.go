package cmd

import (
	"fmt"
	"time"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/cmd/ferry/undo"
	"github.com/kubeferry/kubeferry/cmd/flags"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// undoResult is the end of an undo for scripts.
type undoResult struct {
	Change  string          `json:"change"`
	Made    time.Time       `json:"made"`
	Target  etcdwalk.Info   `json:"target"`
	Plan    replay.Tally    `json:"plan"`
	Applied *replay.Summary `json:"applied,omitempty"`
	Keys    []line          `json:"keys,omitempty"`
	// Undo is the name by which the undo can be taken back.
	Undo string `json:"undo,omitempty"`
	// Watched is absent if nothing was looked at again.
	Watched *undo.Aftermath `json:"watched,omitempty"`
}

// show prints the plan, with the target it is for.
func (o *undoOptions) show(cluster *flags.Cluster, p *undo.Planned) {
	o.s.Result = undoResult{Change: p.Change, Made: p.Made, Target: p.Target, Plan: p.Tally, Keys: noteworthy(p.Tally)}
	say := o.s.Data
	if !o.yes && !o.dryRun && p.Counts.Changes() > 0 { // a question follows, and nobody is to answer it blindly
		say = o.s.Notice
	}
	say("Target: %s", target(cluster, p.Target))
	say("Undo:   %s, made %s ago: %s", p.What(), console.Age(o.s.Now(), p.Made), countsText(p.Counts))
	names := naming{say: say, planned: p}
	names.examples(p.Tally)
	names.of(p.Tally, replay.Created)
}

// left tells of what was left alone, or could not be done.
func left(counts replay.Counts) error {
	if n := counts[replay.Moved]; n > 0 {
		return fmt.Errorf("%s left alone: somebody has written them since, or a rule protects them%.0w", console.Count(n, "key"), ferry.ErrIncomplete)
	}
	if !(replay.Summary{Tally: replay.Tally{Counts: counts}}).Complete() || counts[replay.Expired] > 0 {
		return fmt.Errorf("not all could be taken back%.0w", ferry.ErrIncomplete)
	}
	return nil
}
