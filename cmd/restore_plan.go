package cmd

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/cmd/flags"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// show prints the plan, with the target it is for.
func (o *restoreOptions) show(cluster *flags.Cluster, planned *ferry.Planned) {
	o.s.Result = o.result(planned, planned.Tally)
	say := o.s.Data
	if write, remove := o.asks(planned.Counts); !o.dryRun && (write || remove) { // a question follows, and nobody is to answer it blindly
		say = o.s.Notice
	}
	age := ""
	if !planned.Taken.IsZero() {
		age = ", archive " + console.Age(o.s.Now(), planned.Taken) + " old"
	}
	say("Target: %s%s", target(cluster, planned.Target), age)
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
	tellRetained(say, planned)
	if n := len(planned.Along); n > 0 {
		say("  + along     %s that the selection did not name, such as %s", console.Count(int64(n), "key"), console.Printable(planned.Name(planned.Along[0])))
	}
	if len(planned.Ports) > 0 {
		say("  + ports     %s marked as taken once their Services are there", portsText(planned.Ports))
	}
	if planned.Unknown > 0 {
		say("  ? unknown   what %s may need, whose metadata cannot be read", console.Count(planned.Unknown, "object"))
	}
	names := naming{say, planned, planned.Deletions}
	names.examples(planned.Tally)
	for _, reason := range slices.Sorted(maps.Keys(planned.Left)) {
		left := planned.Left[reason]
		say("  · left      %s that the archive has not, such as %s: %s", console.Count(left.Count, "key"), console.Printable(planned.Name(left.First)), reason)
	}
	names.of(planned.Tally, replay.Created)
	o.tellShares(say, planned)
	o.tellSilence(planned)
}

// mostAlong bounds the keys that --json names.
const mostAlong = 1000

// result is what scripts are told of a plan and of what became of it so far.
func (o *restoreOptions) result(planned *ferry.Planned, of replay.Tally) restoreResult {
	r := restoreResult{Target: planned.Target, Plan: planned.Tally, Steps: o.steps, Keys: noteworthy(of), Shares: o.shares.sorted(), NodePorts: planned.Ports, Retained: keyTexts(planned.Retained), Deletions: keyTexts(planned.Deletions),
		Along: keyTexts(planned.Along[:min(mostAlong, len(planned.Along))])}
	for _, u := range planned.Unmarked {
		r.Unmarked = append(r.Unmarked, u.Ports...)
	}
	return r
}

// tellShares counts what is to be written, a namespace a line, where it is too much to be named.
func (o *restoreOptions) tellShares(say func(format string, args ...any), planned *ferry.Planned) {
	if planned.Counts[replay.Created] <= int64(len(planned.Examples[replay.Created])) && planned.Counts[replay.Replaced] <= int64(len(planned.Examples[replay.Replaced])) {
		return
	}
	const lines, kinds = 20, 6
	var namespaces []string
	of := map[string][]string{}
	for _, c := range o.shares.sorted() {
		if len(of[c.Namespace]) == 0 {
			namespaces = append(namespaces, c.Namespace)
		}
		of[c.Namespace] = append(of[c.Namespace], fmt.Sprintf("%s %d", cmp.Or(c.Kind, "other keys"), c.Created+c.Replaced))
	}
	for _, ns := range namespaces[:min(lines, len(namespaces))] {
		texts := of[ns]
		if len(texts) > kinds {
			texts = append(slices.Clone(texts[:kinds]), "and "+console.Count(int64(len(texts)-kinds), "kind")+" more")
		}
		say("  in %s: %s", console.Printable(cmp.Or(ns, "no namespace")), console.Printable(strings.Join(texts, ", ")))
	}
	if more := len(namespaces) - lines; more > 0 {
		say("  … and in %s more", console.Count(int64(more), "namespace"))
	}
}
