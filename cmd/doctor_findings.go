package cmd

import (
	"fmt"
	"strings"

	"github.com/kubeferry/kubeferry/cmd/ferry/doctor"
	"github.com/kubeferry/kubeferry/cmd/flags"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/health"
)

// show prints what was found: what it is, what is wrong with it, and what to do next.
func (o *doctorOptions) show(source *flags.Readable, r doctor.Report) {
	if o.s.Quiet {
		tellBroken(o.s.Notice, r)
		return
	}
	say := o.s.Data
	o.s.Table(doctorFacts(source, r))
	if o.details {
		say("")
		o.s.Table(prefixRows(r.Prefixes))
		if len(r.Sealed) > 0 {
			say("")
			o.s.Table(sealedRows(sealedTotals(r.Sealed)))
		}
	}
	say("")
	for _, f := range r.Findings {
		tellFinding(say, f)
	}
	if len(r.Findings) == 0 && r.Keys > 0 {
		say("Nothing wrong was found.")
	}
	for _, u := range r.Unseen {
		say("not looked at: %s, because %s", u.What, u.Why)
	}
	if r.Members != nil {
		say("\nNext steps:")
		for _, step := range doctorSteps(r) {
			say("  %s", step)
		}
	}
}

// mostTold is how many objects of a finding are shown; --json has more.
const mostTold = 5

// tellBroken shows what is broken in two lines each, which a mail of cron has room for.
func tellBroken(say func(format string, args ...any), r doctor.Report) {
	for _, f := range r.Findings {
		if f.Severity != health.Broken {
			continue
		}
		first := f.Objects[0].Name // a finding is about something
		if f.Count > 1 {
			first += fmt.Sprintf(" and %d more", f.Count-1)
		}
		say("%s  %s: %s: %s", strings.ToUpper(string(f.Severity)), f.Check, first, f.Reason)
		say("    → %s", f.Help)
	}
}

// tellFinding shows one finding.
func tellFinding(say func(format string, args ...any), f health.Finding) {
	say("%s  %s: %s", strings.ToUpper(string(f.Severity)), f.Check, f.Reason)
	for _, o := range f.Objects[:min(mostTold, len(f.Objects))] {
		if o.Why == "" {
			say("    %s", o.Name)
		} else {
			say("    %s: %s", o.Name, o.Why)
		}
	}
	if more := f.Count - int64(min(mostTold, len(f.Objects))); more > 0 {
		say("    … and %d more", more)
	}
	say("    → %s", f.Help)
}
