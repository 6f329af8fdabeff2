package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// A measurement is what one contender gave in one round.
type measurement struct {
	Group     string  `json:"group"`
	Contender string  `json:"contender"`
	Round     int     `json:"round"`
	Figures   figures `json:"figures"`
}

// A failure is a contender, or a whole group, that gave no figures.
type failure struct {
	Group     string `json:"group"`
	Contender string `json:"contender,omitempty"`
	Error     string `json:"error"`
}

// Results are all that a run has given.
type results struct {
	Measurements []measurement      `json:"measurements"`
	Failures     []failure          `json:"failures,omitempty"`
	Skipped      map[string]string  `json:"skipped,omitempty"` // group, or group and contender: why
	Facts        map[string]float64 `json:"facts"`             // of the data, such as shares
}

func (r *results) add(m measurement) { r.Measurements = append(r.Measurements, m) }

func (r *results) fail(group, contender string, err error) {
	say("%s %s failed: %v", group, contender, err)
	r.Failures = append(r.Failures, failure{group, contender, err.Error()})
}

// skip notes why a group, or a contender of it, was not run.
func (r *results) skip(name, why string) {
	if why != notAsked {
		say("%s is skipped: %s", name, why)
	}
	r.Skipped[name] = why
}

// series are the values of a figure, round by round; NaN where there is none.
func (r *results) series(group, contender, figure string) []float64 {
	var values []float64
	for _, m := range r.Measurements {
		if m.Group != group || m.Contender != contender {
			continue
		}
		for len(values) <= m.Round {
			values = append(values, math.NaN())
		}
		if v, ok := m.Figures[figure]; ok {
			values[m.Round] = v
		}
	}
	return values
}

// spread sums up a figure.
func (r *results) spread(group, contender, figure string) spread {
	return spreadOf(r.series(group, contender, figure))
}

// ratio sets two contenders of a group against each other.
func (r *results) ratio(group, over, under, figure string) spread {
	return pairwise(r.series(group, over, figure), r.series(group, under, figure))
}

// difference is what one contender has more than another of a figure, round by round.
func (r *results) difference(group, one, other, figure string) spread {
	a, b := r.series(group, one, figure), r.series(group, other, figure)
	more := make([]float64, min(len(a), len(b)))
	for i := range more {
		more[i] = a[i] - b[i]
	}
	return spreadOf(more)
}

// whyNot tells why a group, or its contender, gave no figures.
func (r *results) whyNot(group, contender string) string {
	for _, f := range r.Failures {
		if f.Group == group && (f.Contender == contender || f.Contender == "") {
			return "failed"
		}
	}
	return cmp.Or(r.Skipped[group+" "+contender], r.Skipped[group], "not measured")
}

// contenders are those of a group that gave figures, in the order they ran.
func (r *results) contenders(group string) []string {
	var names []string
	for _, m := range r.Measurements {
		if m.Group == group && !slices.Contains(names, m.Contender) {
			names = append(names, m.Contender)
		}
	}
	return names
}

// String shows figures in one line.
func (f figures) String() string {
	var parts []string
	for _, c := range columns {
		if v, ok := f[c.figure]; ok {
			parts = append(parts, fmt.Sprintf("%s %s", c.title, c.unit.show(v)))
		}
	}
	return strings.Join(parts, ", ")
}
