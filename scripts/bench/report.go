package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// A column is a figure as it is shown in the tables of medians.
type column struct {
	figure, title string
	unit          unit
}

var columns = []column{
	{wall, "wall s", unit{1, "%.3f"}},
	{cpu, "cpu s", unit{1, "%.2f"}},
	{rss, "RSS MiB", unit{1.0 / (1 << 20), "%.0f"}},
	{out, "out MB", unit{1e-6, "%.2f"}},
	{keys, "keys", unit{1, "%.0f"}},
	{verify, "verify s", unit{1, "%.3f"}},
	{plan, "plan s", unit{1, "%.3f"}},
	{apply, "apply s", unit{1, "%.3f"}},
	{back, "back s", unit{1, "%.3f"}},
	{watched, "watch s", unit{1, "%.3f"}},
	{rate, "keys/s", unit{1, "%.0f"}},
	{planned, "planned MB", unit{1e-6, "%.2f"}},
	{read, "read MB", unit{1e-6, "%.2f"}},
	{flow, "MB/s", unit{1e-6, "%.0f"}},
	{putP50, "put p50 ms", unit{1000, "%.2f"}},
	{putP99, "put p99 ms", unit{1000, "%.1f"}},
	{getP50, "get p50 ms", unit{1000, "%.2f"}},
	{getP99, "get p99 ms", unit{1000, "%.1f"}},
	{growth, "server + MiB", unit{1.0 / (1 << 20), "%.0f"}},
	{slow, "too long", unit{1, "%.0f"}},
}

// A verdict is what became of a goal.
type verdict struct {
	Figure   string  `json:"figure"`
	Limit    float64 `json:"limit"`
	AtLeast  bool    `json:"at_least,omitempty"`
	Measured *spread `json:"measured,omitempty"` // nil: not measured
	Verdict  string  `json:"verdict"`

	unit unit
}

// judge compares all goals with what was measured.
func judge(r *results) []verdict {
	var all []verdict
	for _, g := range allGoals() {
		v := verdict{Figure: g.figure, Limit: g.limit, AtLeast: g.atLeast, unit: g.unit}
		s := g.measure(r)
		switch {
		case s.N == 0:
			v.Verdict = "skipped: " + r.whyNot(g.group, g.contender)
		case g.met(s.Median, 0):
			v.Verdict, v.Measured = "met", &s
		case g.met(s.Median, slack):
			v.Verdict, v.Measured = "missed, nearly", &s
		default:
			v.Verdict, v.Measured = "missed", &s
		}
		all = append(all, v)
	}
	return all
}

// slack is what a goal may be missed by before -check fails: the machine, too,
// has its days.
const slack = 0.15

// A report is all that there is to tell of a run.
type report struct {
	Machine  machine           `json:"machine"`
	Versions map[string]string `json:"versions"`
	Begun    time.Time         `json:"begun"`
	Seconds  float64           `json:"seconds"`
	Seed     uint64            `json:"seed"`
	Keys     [2]int            `json:"keys"` // of S and M
	Rounds   int               `json:"rounds"`
	Goals    []verdict         `json:"goals"`
	results
}

// write shows the report to people.
func (r *report) write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d cores, %s, %s\n", r.Machine.CPU, r.Machine.Cores, r.Machine.Kernel, r.Machine.Go)
	for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
		fmt.Fprintf(&b, "  %-12s %s\n", name, r.Versions[name])
	}
	fmt.Fprintf(&b, "S = %d keys, M = %d keys, seed %d, %d rounds, %.0f s in all\n\n", r.Keys[0], r.Keys[1], r.Seed, r.Rounds, r.Seconds)
	r.writeGoals(&b)
	for _, g := range allGroups() {
		r.writeGroup(&b, g)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Skipped)) {
		if why := r.Skipped[name]; why != notAsked {
			fmt.Fprintf(&b, "skipped: %s: %s\n", name, why)
		}
	}
	for _, f := range r.Failures {
		fmt.Fprintf(&b, "failed: %s %s: %s\n", f.Group, f.Contender, f.Error)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *report) writeGoals(b *strings.Builder) {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	left := 0
	fmt.Fprintln(t, "figure\tgoal\tmeasured\tmin … max (rounds)\tverdict")
	for _, v := range r.Goals {
		if v.Verdict == "skipped: "+notAsked || v.Verdict == "skipped: "+onlySmall {
			left++
			continue
		}
		sign := "≤"
		if v.AtLeast {
			sign = "≥"
		}
		measured, span := "–", "–"
		if s := v.Measured; s != nil {
			measured = v.unit.show(s.Median)
			span = fmt.Sprintf("%s … %s (%d)", v.unit.show(s.Min), v.unit.show(s.Max), s.N)
		}
		fmt.Fprintf(t, "%s\t%s %s\t%s\t%s\t%s\n", v.Figure, sign, v.unit.show(v.Limit), measured, span, v.Verdict)
	}
	t.Flush()
	if left > 0 {
		fmt.Fprintf(b, "%d more goals are about data that this run was not to measure\n", left)
	}
}

// writeGroup shows the medians of a group, in the columns that it has.
func (r *report) writeGroup(b *strings.Builder, g group) {
	contenders := r.contenders(g.name)
	if len(contenders) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s: %s; medians\n", g.name, g.about)
	has := slices.DeleteFunc(slices.Clone(columns), func(c column) bool {
		return !slices.ContainsFunc(contenders, func(name string) bool { return r.spread(g.name, name, c.figure).N > 0 })
	})
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "n\t")
	for _, c := range has {
		fmt.Fprint(t, c.title+"\t")
	}
	fmt.Fprintln(t, "  ")
	for _, name := range contenders {
		fmt.Fprintf(t, "%d\t", r.spread(g.name, name, wall).N)
		for _, c := range has {
			cell := "–"
			if s := r.spread(g.name, name, c.figure); s.N > 0 {
				cell = c.unit.show(s.Median)
			}
			fmt.Fprint(t, cell+"\t")
		}
		fmt.Fprintln(t, "  "+name)
	}
	t.Flush()
}

// save writes the report for programs.
func (r *report) save(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("save the report: %w", err)
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// missed lists the goals that were missed by more than the slack.
func (r *report) missed() []string {
	var names []string
	for _, v := range r.Goals {
		if v.Verdict == "missed" {
			names = append(names, v.Figure)
		}
	}
	return names
}
