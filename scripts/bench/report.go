package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"text/tabwriter"
	"time"
)

// A column is a figure as it is shown in the tables of medians.
type column struct {
	figure, title string
	scale         float64
	format        string
}

func (c column) show(v float64) string { return fmt.Sprintf(c.format, v*c.scale) }

var columns = []column{
	{wall, "wall s", 1, "%.3f"},
	{cpu, "cpu s", 1, "%.2f"},
	{rss, "RSS MiB", 1.0 / (1 << 20), "%.0f"},
	{out, "out MB", 1e-6, "%.2f"},
	{keys, "keys", 1, "%.0f"},
	{verify, "verify s", 1, "%.3f"},
	{plan, "plan s", 1, "%.3f"},
	{apply, "apply s", 1, "%.3f"},
	{rate, "keys/s", 1, "%.0f"},
	{planned, "planned MB", 1e-6, "%.2f"},
	{putP50, "put p50 ms", 1000, "%.2f"},
	{putP99, "put p99 ms", 1000, "%.1f"},
	{getP50, "get p50 ms", 1000, "%.2f"},
	{getP99, "get p99 ms", 1000, "%.1f"},
	{growth, "server + MiB", 1.0 / (1 << 20), "%.0f"},
	{slow, "too long", 1, "%.0f"},
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
	fmt.Fprintf(w, "%s, %d cores, %s, %s\n", r.Machine.CPU, r.Machine.Cores, r.Machine.Kernel, r.Machine.Go)
	for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
		fmt.Fprintf(w, "  %-12s %s\n", name, r.Versions[name])
	}
	fmt.Fprintf(w, "S = %d keys, M = %d keys, seed %d, %d rounds, %.0f s in all\n\n", r.Keys[0], r.Keys[1], r.Seed, r.Rounds, r.Seconds)
	if err := r.writeGoals(w); err != nil {
		return err
	}
	for _, g := range allGroups() {
		if err := r.writeGroup(w, g); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Skipped)) {
		if why := r.Skipped[name]; why != notAsked {
			fmt.Fprintf(w, "skipped: %s: %s\n", name, why)
		}
	}
	for _, f := range r.Failures {
		fmt.Fprintf(w, "failed: %s %s: %s\n", f.Group, f.Contender, f.Error)
	}
	return nil
}

func (r *report) writeGoals(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
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
		show := func(f float64) string { return fmt.Sprintf(v.unit.format, f*v.unit.scale) }
		measured, span := "–", "–"
		if v.Measured != nil {
			measured = show(v.Measured.Median)
			span = fmt.Sprintf("%s … %s (%d)", show(v.Measured.Min), show(v.Measured.Max), v.Measured.N)
		}
		fmt.Fprintf(t, "%s\t%s %s\t%s\t%s\t%s\n", v.Figure, sign, show(v.Limit), measured, span, v.Verdict)
	}
	if err := t.Flush(); err != nil || left == 0 {
		return err
	}
	_, err := fmt.Fprintf(w, "%d more goals are about data that this run was not to measure\n", left)
	return err
}

// writeGroup shows the medians of a group, in the columns that it has.
func (r *report) writeGroup(w io.Writer, g group) error {
	contenders := r.contenders(g.name)
	if len(contenders) == 0 {
		return nil
	}
	fmt.Fprintf(w, "\n%s: %s; medians\n", g.name, g.about)
	has := slices.DeleteFunc(slices.Clone(columns), func(c column) bool {
		return !slices.ContainsFunc(contenders, func(name string) bool { return r.spread(g.name, name, c.figure).N > 0 })
	})
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
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
				cell = c.show(s.Median)
			}
			fmt.Fprint(t, cell+"\t")
		}
		fmt.Fprintln(t, "  "+name)
	}
	return t.Flush()
}

// save writes the report for programs.
func (r *report) save(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("saving the report: %w", err)
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
