package cmd

import (
	"context"
	"fmt"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/cmd/flags"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// story is what the flags say of a restore.
func (o *restoreOptions) story(target reached, query kube.Query) ferry.Restore {
	r := o.bind.given
	r.Query, r.Cluster, r.Target, r.Begun = query, target.Source, target.Target, target.begun
	r.Policy, r.Scenario, r.ClusterIs, r.Allow, r.Regrant = o.rules.Policy, o.rules.Scenario, o.rules.ClusterIs, o.rules.Allow, o.rules.Regrant
	r.WithOwners, r.WithOwned, r.RetainVolumes, r.Quota, r.MaxMemory = o.rules.WithOwners, o.rules.WithOwned, o.rules.RetainVolumes, o.rules.Quota, o.rules.MaxMemory
	r.DeleteExtra = o.rules.DeleteExtra
	r.Raw, r.InFlight, r.QPS, r.AllowEmpty, r.Spool, r.PlanOut = o.rules.Raw, o.rules.InFlight, o.rules.QPS, o.allowEmpty, o.source.Spool(), o.bind.out
	if !o.watching.never {
		r.WatchSigns = o.watching.during
	}
	return r
}

func (o *restoreOptions) apply(ctx context.Context, cluster *flags.Cluster, r ferry.Restore, planned *ferry.Planned, report *report, watch *stopwatch) error {
	if err := o.confirm(ctx, cluster, planned.Counts); err != nil {
		return err
	}
	if o.s.Err() != nil {
		return o.nothingWritten(o.s.Err()) // nobody has seen the plan
	}
	// The plan's lines give way to what really becomes of each key.
	if err := report.restart(); err != nil {
		return o.nothingWritten(err)
	}
	tell, stop := progress(o.s)
	defer stop()
	r.Progress, r.Report = tell, report.add
	watch.lap() // nor is waiting for an answer
	done, err := r.Apply(ctx, planned)
	o.steps.Apply = watch.lap()
	stop()
	o.unmarked(planned)
	written := done.Counts.Changes()
	result := o.result(planned, done.Tally)
	result.Applied, result.Undo = &done, planned.Kept
	o.s.Result = result
	if err != nil {
		return o.explain(planned, done, written, err)
	}
	o.s.Data("Done:   %s", countsText(done.Counts))
	o.tellUndo(planned)
	o.s.Talk("%s written, %s, %.1f s, %s granted.", console.Count(written, "key"), console.Bytes(done.Bytes), o.steps.Apply.took.Seconds(), console.Count(int64(done.Leases), "lease"))
	if result.Back, err = o.readBack(ctx, r, planned, written); result.Back != nil {
		o.steps.Back = watch.lap()
	}
	if err == nil {
		result.Watched, err = o.watch(ctx, r, planned, written)
	}
	if result.Watched != nil {
		o.steps.Watch = watch.lap()
	}
	if err == nil {
		o.tellNext(&result)
	}
	result.Steps = o.steps
	o.s.Result = result
	return err
}

// explain tells the state that an apply was left in.
func (o *restoreOptions) explain(planned *ferry.Planned, done replay.Summary, written int64, err error) error {
	how := "Done:  "
	if done.Counts[replay.Unreached] > 0 {
		how = "Stopped:"
	}
	o.s.Data("%s %s", how, countsText(done.Counts))
	o.tellUndo(planned)
	naming{say: o.s.Data, planned: planned}.examples(done.Tally)
	if unsure := done.Counts[replay.Unsure]; unsure > 0 {
		return fmt.Errorf("%s written, and perhaps %d more whose answers were lost; run the same command again to find out: %w", wereKeys(written), unsure, err)
	}
	if moved := done.Counts[replay.Moved]; moved > 0 && done.Counts[replay.Unreached] == 0 {
		return fmt.Errorf("%s written, %d left to who wrote them since the plan was made; a restore with a new plan decides about them: %w", wereKeys(written), moved, err)
	}
	if written == 0 {
		return fmt.Errorf("nothing was written: %w", err)
	}
	return fmt.Errorf("%s written; run the same command again to finish the rest: %w", wereKeys(written), err)
}

// tellUndo says how the restore can be taken back.
func (o *restoreOptions) tellUndo(planned *ferry.Planned) {
	if planned.Kept != "" {
		o.s.Data("Undo:   kubeferry undo %s takes this back", planned.Kept)
	}
}

func wereKeys(n int64) string {
	if n == 1 {
		return "1 key was"
	}
	return console.Count(n, "key") + " were"
}

// nothingWritten ends a run that has only looked.
func (o *restoreOptions) nothingWritten(err error) error {
	if err != nil {
		return fmt.Errorf("nothing was written: %w", err)
	}
	how := "Run the same command without --dry-run to apply the plan."
	if o.bind.out != "" {
		how = fmt.Sprintf("restore --plan %s with this archive applies exactly this plan.", o.bind.out)
	}
	o.s.Talk("Nothing was written. %s", how)
	return nil
}
