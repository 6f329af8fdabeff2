package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

type restoreOptions struct {
	connection connection
	selecting  selecting
	opening    opening
	from       string
	policy     replay.Policy
	scenario   kube.Scenario
	clusterIs  []string
	leases     string
	report     string
	inFlight   int
	raw        bool
	allowEmpty bool
	dryRun     bool
	yes        bool

	steps steps // taken so far
}

func newRestore(p *printer, s *settings) *cobra.Command {
	o := &restoreOptions{}
	c := &cobra.Command{
		Use:   "restore [TYPE | TYPE/NAME]... --from ARCHIVE",
		Short: "Put the keys of an archive, or some of them, back into a cluster",
		Long: `Verifies the whole archive, plans, shows the plan, asks, and only then writes:
each key under a guard, so that nothing that somebody else writes meanwhile is
overwritten unseen. It adds and replaces keys; it never deletes any. Running it
again is harmless.

The target is the cluster that the connection flags name. UIDs, owners and
status stay as they were. Keys under an etcd lease, in practice events, are left
out unless --leases=regrant grants their remaining time again. What an API
server writes for itself (masterleases, peerserverleases) is never restored.` +
			ends(exitIncomplete, exitNotFound, exitKey, exitIntegrity, exitPolicy, exitCluster, exitStore, exitDenied, exitConflict, exitGuard, exitNoSpace),
		Example: `  # what would happen
  kubeferry restore --from prod.zip.age -i kubeferry.identity --dry-run

  # one ConfigMap, over what is there now
  kubeferry restore cm/settings -n shop --from prod.zip.age -i kubeferry.identity --on-conflict=overwrite

  # everything, into an empty etcd whose API server is not started yet
  kubeferry restore --from prod.zip.age -i kubeferry.identity --scenario=new --yes`,
		ValidArgsFunction: completeKinds,
		RunE: func(cmd *cobra.Command, words []string) error {
			if err := o.validate(s); err != nil {
				return err
			}
			query, err := o.selecting.query(words)
			if err != nil {
				return err
			}
			return o.run(cmd.Context(), p, s, query)
		},
	}
	flags := c.Flags()
	flags.StringVar(&o.from, "from", "", "archive to restore from")
	flags.Var(&o.policy, "on-conflict", "when the target holds another value: fail (nothing at all is written), skip, overwrite, newer")
	flags.Var(&o.scenario, "scenario", "same: undo an accident in the same cluster; new: fill a fresh one, its API server stopped")
	flags.StringSliceVar(&o.clusterIs, "cluster-is", nil, "what the target is, as the plan shows it: the UID of its kube-system, or its etcd cluster id where that cannot be read; another target is refused")
	flags.StringVar(&o.leases, "leases", "skip", "keys under an etcd lease: skip, or regrant their remaining time")
	flags.IntVar(&o.inFlight, "max-in-flight", 0, "batches of up to 128 keys on the way at once, 1 to 32; 16 suits an empty target. Without it one, made smaller while the cluster answers slowly, so that a live cluster does not feel it")
	flags.StringVar(&o.report, "report", "", "file for the outcome of each key, as JSON lines")
	flags.BoolVar(&o.raw, "raw", false, "write values too that no API server could read")
	flags.BoolVar(&o.allowEmpty, "allow-empty", false, "an empty selection is no error")
	dryRun := newDryRun(&o.dryRun)
	flags.Var(dryRun, "dry-run", "show the plan and write nothing; exits as the real run would")
	flags.Lookup("dry-run").NoOptDefVal = "client"
	flags.BoolVar(&o.yes, "yes", false, "do not ask before writing")
	o.selecting.addFlags(flags)
	o.opening.addFlags(flags)
	o.connection.addFlags(flags)
	return c
}

// mostInFlight bounds --max-in-flight: more helps no target, and costs memory.
const mostInFlight = 32

func (o *restoreOptions) validate(s *settings) error {
	switch {
	case o.from == "":
		return usagef("--from is missing: name the archive to restore from; kubeferry list DIR shows them")
	case o.leases != "skip" && o.leases != "regrant":
		return usagef("--leases=%s: it takes skip or regrant", o.leases)
	case o.scenario == kube.ScenarioNew && s.typed("cluster-is"):
		return usagef("--cluster-is says which cluster the target is; with --scenario=new it is none yet")
	case s.origin("max-in-flight") != "default" && (o.inFlight < 1 || o.inFlight > mostInFlight):
		return usagef("--max-in-flight=%d: it takes 1 to %d", o.inFlight, mostInFlight)
	}
	return nil
}

// run verifies, plans, shows, asks, applies and reports, in this order: nothing
// connects to a cluster before the archive is known to be whole.
func (o *restoreOptions) run(ctx context.Context, p *printer, s *settings, query kube.Query) (err error) {
	watch := &stopwatch{now: p.sh.now, begun: p.sh.now()}
	o.opening.whole = true // verified, planned, applied
	a, err := o.opening.open(ctx, p, s, o.from)
	if err != nil {
		return err
	}
	defer a.Close()
	watch.read = a.BytesRead
	tell, stop := p.progress()
	defer stop()
	if _, err := a.Verify(ctx, tell); err != nil {
		return o.nothingWritten(p, err)
	}
	o.steps.Verify = watch.lap()
	if a.Receipt == nil {
		p.talk("There is no receipt beside %s: it may be unfinished business of somebody, or a copy.", o.from)
	}
	if query, err = query.Under(a.Prefixes()...); err != nil {
		return o.nothingWritten(p, err)
	}
	cluster, err := o.connection.dial(ctx, p, s, query.Layout())
	if err != nil {
		return err
	}
	defer cluster.close()
	report, err := openReport(o.report)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, report.close()) }()

	r := ferry.Restore{
		Source: a, Query: query,
		Cluster: cluster.source, Target: cluster.target,
		Policy: o.policy, Scenario: o.scenario, ClusterIs: o.clusterIs, Regrant: o.leases == "regrant",
		Raw: o.raw, AllowEmpty: o.allowEmpty, InFlight: o.inFlight,
		Report: report.add, Progress: tell,
	}
	watch.lap() // connecting is nobody's step
	planned, err := r.Plan(ctx)
	o.steps.Plan = watch.lap()
	stop()
	if planned != nil {
		o.show(p, s, planned)
	}
	if err != nil || o.dryRun {
		return o.nothingWritten(p, err)
	}
	return o.apply(ctx, p, s, r, planned, report, watch)
}

// nothingWritten ends a run that has only looked.
func (o *restoreOptions) nothingWritten(p *printer, err error) error {
	if err != nil {
		return fmt.Errorf("nothing was written: %w", err)
	}
	p.talk("Nothing was written. The same command without --dry-run applies the plan.")
	return nil
}

func (o *restoreOptions) apply(ctx context.Context, p *printer, s *settings, r ferry.Restore, planned *ferry.Planned, report *report, watch *stopwatch) error {
	writes := planned.Counts[replay.Created] + planned.Counts[replay.Replaced]
	if !o.yes && writes > 0 {
		question := fmt.Sprintf("Create %d and replace %d keys in %s?", planned.Counts[replay.Created], planned.Counts[replay.Replaced], o.target(s, planned.Target))
		sure, err := s.confirm(ctx, question)
		if err != nil {
			return o.nothingWritten(p, err)
		}
		if !sure {
			return o.nothingWritten(p, fmt.Errorf("the answer was not yes: %w", errInterrupted))
		}
	}
	if p.err != nil {
		return o.nothingWritten(p, p.err) // nobody has seen the plan
	}
	// The plan's lines give way to what really becomes of each key.
	if err := report.restart(); err != nil {
		return o.nothingWritten(p, err)
	}
	tell, stop := p.progress()
	defer stop()
	r.Progress = tell
	watch.lap() // nor is waiting for an answer
	done, err := r.Apply(ctx, planned)
	o.steps.Apply = watch.lap()
	stop()
	written := done.Counts[replay.Created] + done.Counts[replay.Replaced]
	p.result = restoreResult{Target: planned.Target, Plan: planned.Tally, Applied: &done, Steps: o.steps, Keys: noteworthy(done.Tally)}
	if err != nil {
		return o.explain(p, done, written, err)
	}
	p.data("Done:   %s", countsText(done.Counts))
	p.talk("%d keys written, %s in %s; %d leases granted.", written, bytesText(done.Bytes), o.steps.Apply.took.Round(time.Millisecond), done.Leases)
	return nil
}

// explain tells the state that an apply was left in.
func (o *restoreOptions) explain(p *printer, done replay.Summary, written int64, err error) error {
	p.data("Done:   %s", countsText(done.Counts))
	examples(p, done.Tally)
	if unsure := done.Counts[replay.Unsure]; unsure > 0 {
		return fmt.Errorf("%d keys were written, and perhaps %d more whose answers were lost; running the same command again finds out: %w", written, unsure, err)
	}
	if written == 0 {
		return fmt.Errorf("nothing was written: %w", err)
	}
	return fmt.Errorf("%d keys were written; running the same command again finishes the rest: %w", written, err)
}

// restoreResult is the end of a restore for scripts. Keys are the first of each
// outcome that needs a look, as they are shown to people.
type restoreResult struct {
	Target  etcdwalk.Info   `json:"target"`
	Plan    replay.Tally    `json:"plan"`
	Applied *replay.Summary `json:"applied,omitempty"`
	Steps   steps           `json:"steps"`
	Keys    []line          `json:"keys,omitempty"`
}

// show prints the plan, with the target it is for.
func (o *restoreOptions) show(p *printer, s *settings, planned *ferry.Planned) {
	p.result = restoreResult{Target: planned.Target, Plan: planned.Tally, Steps: o.steps, Keys: noteworthy(planned.Tally)}
	p.data("Target: %s", o.target(s, planned.Target))
	if planned.Confirmed {
		p.warn("nothing proves that the archive is of this cluster; that it is meant says --cluster-is (from %s)", s.origin("cluster-is"))
	}
	if len(o.clusterIs) > 0 && o.scenario == kube.ScenarioNew {
		p.warn("--cluster-is (from %s) does not count with --scenario=new: a fresh cluster is none yet", s.origin("cluster-is"))
	}
	if planned.Counts.Total() == 0 {
		return
	}
	p.data("Plan:   %s; %s to write", countsText(planned.Counts), bytesText(planned.Bytes))
	examples(p, planned.Tally)
}

// target names the cluster, and where its name came from: a forgotten variable
// must be seen before it hurts.
func (o *restoreOptions) target(s *settings, info etcdwalk.Info) string {
	return fmt.Sprintf("%s (from %s), etcd cluster %s, kube-system UID %s",
		strings.Join(o.connection.endpoints, ","), s.origin("endpoints"), info.ClusterID, identityText(info))
}

// outcomes are all outcomes in the order in which they are told.
var outcomes = []replay.Fate{
	replay.Created, replay.Replaced, replay.Unchanged, replay.Skipped, replay.Leased, replay.Expired,
	replay.Excluded, replay.Refused, replay.Conflicting, replay.Failure, replay.Unsure, replay.Unreached,
}

// countsText lists the outcomes that occurred.
func countsText(counts replay.Counts) string {
	var parts []string
	for _, outcome := range outcomes {
		if n := counts[outcome]; n > 0 {
			part := fmt.Sprintf("%d %s", n, outcome)
			if outcome == replay.Leased {
				part += " (left out; --leases=regrant brings them back)"
			}
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

// telling are the outcomes of which the number does not say it all.
func telling() []replay.Fate {
	return slices.DeleteFunc(slices.Clone(outcomes), func(o replay.Fate) bool {
		return o == replay.Leased || o == replay.Unreached
	})
}

// noteworthy are the first keys of each outcome that needs a look.
func noteworthy(t replay.Tally) []line {
	var lines []line
	for _, outcome := range telling() {
		for _, r := range t.Examples[outcome] {
			lines = append(lines, newLine(r))
		}
	}
	return lines
}

// examples shows the noteworthy keys.
func examples(p *printer, t replay.Tally) {
	for _, outcome := range telling() {
		for _, r := range t.Examples[outcome] {
			p.data("  %-9s %s%s", outcome, printable(string(r.Key)), because(r.Reason))
		}
		if more := t.Counts[outcome] - int64(len(t.Examples[outcome])); len(t.Examples[outcome]) > 0 && more > 0 {
			p.data("  %-9s … and %d more; --report FILE lists them all", outcome, more)
		}
	}
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
