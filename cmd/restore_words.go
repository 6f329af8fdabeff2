package cmd

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/cmd/flags"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// restoreResult is the end of a restore for scripts. Keys are the first of each
// outcome that needs a look, as they are shown to people.
type restoreResult struct {
	Target  etcdwalk.Info   `json:"target"`
	Plan    replay.Tally    `json:"plan"`
	Applied *replay.Summary `json:"applied,omitempty"`
	Steps   steps           `json:"steps"`
	Keys    []line          `json:"keys,omitempty"`
	// Back is absent if nothing was read back.
	Back *ferry.Aftermath `json:"read_back,omitempty"`
	// Watched is absent if nothing was looked at again.
	Watched *ferry.Aftermath `json:"watched,omitempty"`
}

// show prints the plan, with the target it is for.
func (o *restoreOptions) show(cluster *flags.Cluster, planned *ferry.Planned) {
	o.s.Result = restoreResult{Target: planned.Target, Plan: planned.Tally, Steps: o.steps, Keys: noteworthy(planned.Tally)}
	say := o.s.Data
	if !o.yes && !o.dryRun && planned.Counts[replay.Created]+planned.Counts[replay.Replaced] > 0 { // a question follows, and nobody is to answer it blindly
		say = o.s.Notice
	}
	say("Target: %s", target(cluster, planned.Target))
	if planned.Confirmed {
		o.s.Warn("nothing proves that the archive is of this cluster; that it is meant says --cluster-is (from %s)", o.s.Origin("cluster-is"))
	}
	if len(o.rules.ClusterIs) > 0 && o.rules.Scenario == kube.ScenarioNew {
		o.s.Warn("--cluster-is (from %s) does not count with --scenario=new: a fresh cluster is none yet", o.s.Origin("cluster-is"))
	}
	if planned.Counts.Total() == 0 {
		return
	}
	say("Plan:   %s; %s to write", countsText(planned.Counts), console.Bytes(planned.Bytes))
	for _, doubt := range planned.Doubts {
		o.s.Warn("%s", doubt)
	}
	if n := len(planned.Along); n > 0 {
		say("  along     %s that the selection did not name, such as %s", console.Count(int64(n), "key"), console.Printable(string(planned.Along[0])))
	}
	if planned.Unknown > 0 {
		say("  unknown   what %s may need, whose metadata cannot be read", console.Count(planned.Unknown, "object"))
	}
	o.examples(say, planned.Tally)
	named(say, planned.Tally, replay.Created)
}

// target names the cluster.
func target(cluster *flags.Cluster, info etcdwalk.Info) string {
	return fmt.Sprintf("%s, etcd cluster %s, kube-system UID %s", cluster.Address, info.ClusterID, identityText(info))
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

// telling are the outcomes of which the number does not say it all, those that hurt first.
func telling() []replay.Fate {
	return []replay.Fate{replay.Refused, replay.Conflicting, replay.Failure, replay.Unsure, replay.Replaced, replay.Skipped, replay.Expired, replay.Excluded}
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
func (o *restoreOptions) examples(say func(format string, args ...any), t replay.Tally) {
	for _, outcome := range telling() {
		if outcome == replay.Excluded {
			leftOut(say, t)
			continue
		}
		named(say, t, outcome)
	}
}

// named names the first keys of an outcome.
func named(say func(format string, args ...any), t replay.Tally, outcome replay.Fate) {
	for _, r := range t.Examples[outcome] {
		say("  %-9s %s%s", outcome, console.Printable(string(r.Key)), because(r.Reason))
	}
	if more := t.Counts[outcome] - int64(len(t.Examples[outcome])); len(t.Examples[outcome]) > 0 && more > 0 {
		say("  %-9s … and %d more; --report FILE lists them all", outcome, more)
	}
}

// leftOut counts what is excluded by its reasons; one alone is named.
func leftOut(say func(format string, args ...any), t replay.Tally) {
	for _, reason := range slices.Sorted(maps.Keys(t.Reasons)) {
		what := console.Count(t.Reasons[reason], "key")
		for _, r := range t.Examples[replay.Excluded] {
			if t.Reasons[reason] == 1 && r.Reason == reason {
				what = console.Printable(string(r.Key))
			}
		}
		say("  %-9s %s: %s", replay.Excluded, what, reason)
	}
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
