package ferry

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// A Restore carries the selected part of an archive into a cluster, in three
// steps that the caller makes one by one: verify the archive ([Archive.Verify]),
// Plan, Apply. Only the last one writes.
type Restore struct {
	Archive  *Archive
	Filter   kube.Filter // without prefixes: the archive's
	Pin      Pin         // of the target
	Target   etcdwalk.Target
	Policy   replay.Policy
	Scenario kube.Scenario
	// ClusterIs is what the user says the target is: the UID of its kube-system, or
	// where that cannot be read etcd's cluster id; several where it holds several
	// clusters. It stands in for a proof that the archive is of this cluster, and any
	// other target is refused. None: the user says nothing.
	ClusterIs  []string
	Regrant    bool // leases; else keys under a lease are passed over
	Raw        bool // values that no kube-apiserver would read are let through
	AllowEmpty bool
	InFlight   int                     // batches; see replay.Job
	Report     func(replay.Line) error // told of each key; may be nil
	Progress   Progress
}

// A Planned restore knows the target and what would become of each key.
type Planned struct {
	replay.Plan
	// Target is the cluster that would be written to.
	Target etcdwalk.Info
	// Confirmed: nothing proves that the archive is of it but ClusterIs.
	Confirmed bool

	job    replay.Job
	layout *kube.Layout
	total  int64
}

// Plan looks at the target and decides about each key. The guards of the
// scenario come first; the errors of replay say what forbids the restore, and
// Planned what was found until then.
func (r Restore) Plan(ctx context.Context) (*Planned, error) {
	r.Filter = r.Archive.Filter(r.Filter)
	sel, layout, err := r.Archive.Select(ctx, r.Filter)
	if err != nil {
		return nil, err
	}
	if !r.AllowEmpty {
		if err := r.Archive.Expected(ctx, r.Filter); err != nil {
			return nil, fmt.Errorf("looking into the archive: %w", err)
		}
	}
	view, err := r.Pin(ctx, layout.Scope())
	if err != nil {
		return nil, err
	}
	planned := &Planned{Target: view.Info(), layout: layout, total: r.total()}
	if planned.Target.Alarms, err = alarmsOf(ctx, view); err != nil {
		return planned, err
	}
	if err := soundTarget(planned.Target.Alarms); err != nil {
		return planned, err
	}
	ids, err := layout.Identities(ctx, view)
	if err != nil {
		return planned, err
	}
	planned.Target.Identify(ids)
	pairs, err := r.pairs(ctx, layout, sel, planned.Target)
	if err != nil {
		return planned, err
	}
	if planned.Confirmed, err = r.guard(ctx, layout, view, planned.Target, pairs); err != nil {
		return planned, err
	}
	planned.job = replay.Job{
		Source:     r.source(planned.Target.API),
		Selections: r.ranks(layout, sel),
		Target:     r.Target,
		Policy:     r.Policy,
		Regrant:    r.Regrant,
		Rule:       r.rule(layout, planned.Target.API, !r.Raw && !r.checked()),
		InFlight:   r.InFlight,
		Since:      planned.Target.Revision,
	}
	planned.job.Report = r.counting(Planning, planned.total)
	plan, err := planned.job.Plan(ctx)
	if err != nil {
		return planned, err // half a plan is none
	}
	planned.Plan = plan
	if planned.Counts.Total() == 0 && !r.AllowEmpty {
		return planned, fmt.Errorf("looking into the archive: %w", empty(r.Filter))
	}
	if all := planned.Counts.Total(); all > 0 && planned.Counts[replay.Leased] == all {
		return planned, fmt.Errorf("every key that is selected is under an etcd lease, which --leases=regrant brings back: %w", ErrIncomplete)
	}
	return planned, planned.Err()
}

// ranks are the ranks of a selection. The two that share ranges, custom resources
// and what has no rank of its own, are told which kinds of the archive are the
// other's, so that no segment is read for nothing.
func (r Restore) ranks(layout *kube.Layout, sel etcdwalk.Selection) []etcdwalk.Selection {
	ranks := layout.Ranks(sel)
	if sel.Match != nil {
		return ranks // a rank's Match tells more than its kinds
	}
	for i, rank := range ranks {
		if rank.Match == nil {
			continue
		}
		var others []etcdwalk.Range
		for _, s := range r.Archive.Manifest().Segments {
			class := layout.Classify(s.FirstKey)
			if class.Kind != "" && !rank.Match(etcdwalk.Entry{Key: s.FirstKey}) {
				others = append(others, class.Range)
			}
		}
		ranks[i].Ranges = rank.Ranges.Subtract(etcdwalk.Union(others...))
	}
	return ranks
}

// Apply does what was planned, as far as it still holds. The summary is true
// whatever the error.
func (r Restore) Apply(ctx context.Context, planned *Planned) (replay.Summary, error) {
	planned.job.Report = r.counting(Applying, planned.total)
	planned.job.Rule = r.rule(planned.layout, planned.Target.API, false) // the plan would have refused
	done, err := planned.job.Apply(ctx, planned.Plan)
	if err == nil && !done.Complete() {
		err = fmt.Errorf("some keys were not restored: %w", ErrIncomplete)
	}
	return done, err
}

// source is the archive as the target can take it.
func (r Restore) source(target etcdwalk.API) etcdwalk.View {
	if r.Archive.Info().API == etcdwalk.V2 && target != etcdwalk.V2 {
		return mortality{r.Archive}
	}
	return r.Archive
}

// total is the number of keys that a pass may look at; 0 if it is not known.
func (r Restore) total() int64 {
	if len(r.Filter.Include)+len(r.Filter.Exclude)+len(r.Filter.Namespaces) > 0 {
		return 0
	}
	return r.Archive.Manifest().Totals.Keys
}

// counting tells the progress of a pass, and the caller's Record of each key.
func (r Restore) counting(phase Phase, total int64) func(replay.Line) error {
	tell, done := told(r.Progress), int64(0)
	return func(line replay.Line) error {
		done++
		tell(phase, done, total)
		if r.Report == nil {
			return nil
		}
		return r.Report(line)
	}
}

// checked tells whether the archive was verified, and held then, under the same
// prefixes, no value that would break its resource.
func (r Restore) checked() bool {
	return r.Archive.storable && slices.Equal(r.Filter.Prefixes, r.Archive.Filter(kube.Filter{}).Prefixes)
}

// rule joins what Kubernetes forbids: keys that are never restored, keys that
// the scenario passes over, and, if they are to be looked at, values that would
// break their resource.
func (r Restore) rule(layout *kube.Layout, target etcdwalk.API, values bool) func(etcdwalk.Entry) (replay.Fate, string) {
	source := r.Archive.Info().API
	return func(e etcdwalk.Entry) (replay.Fate, string) {
		switch excluded, refused := across(source, target, e); {
		case excluded != "":
			return replay.Excluded, excluded
		case refused != "":
			return replay.Refused, refused
		}
		if verdict := layout.Judge(r.Scenario, e); verdict.Severity != kube.Allow {
			return replay.Excluded, verdict.Reason
		}
		if !values {
			return "", ""
		}
		if err := layout.CheckValue(e.Key, e.Value); err != nil {
			return replay.Refused, err.Error()
		}
		return "", ""
	}
}

// guard refuses what the scenario and the policy forbid (RS10). It tells whether
// only the user says that the target is the archive's cluster.
func (r Restore) guard(ctx context.Context, layout *kube.Layout, target Snapshot, info etcdwalk.Info, pairs []pair) (confirmed bool, err error) {
	if r.Policy == replay.Newer {
		if err := r.sameLineage(pairs, info); err != nil {
			return false, fmt.Errorf("--on-conflict=newer: %w", err)
		}
	}
	if r.Scenario == kube.ScenarioSame {
		return r.sameCluster(pairs, info)
	}
	return false, r.guardNew(ctx, layout, target)
}

// guardNew refuses a target that lives already, or holds what this archive
// would not have put there. What an interrupted restore has left is the
// archive's own, so it may be run again.
func (r Restore) guardNew(ctx context.Context, layout *kube.Layout, target Snapshot) error {
	for e, err := range target.Walk(ctx, etcdwalk.Selection{Ranges: layout.LiveSigns()}) {
		if err != nil {
			return err
		}
		return fmt.Errorf("a kube-apiserver uses the target, or did until seconds ago (key %q): stop it, or restore with --scenario=same: %w", e.Key, etcdwalk.ErrRefused)
	}
	key, found, err := replay.Foreign(ctx, target, r.Archive, etcdwalk.Selection{Ranges: layout.Scope()}, nil)
	if err != nil {
		return err
	}
	if found {
		return fmt.Errorf("the target is not new: it holds key %s, which this archive would not have put there: %w", quoted(key), etcdwalk.ErrRefused)
	}
	return nil
}

// quoted shows a key, readable if it can be.
func quoted(key []byte) string { return strings.Trim(fmt.Sprintf("%q", key), `"`) }
