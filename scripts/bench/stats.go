package main

import (
	"math"
	"slices"
)

// A spread is what some rounds gave: the middle, and how far they lay apart.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	N      int     `json:"n"`
}

// spreadOf sums up what the rounds gave: NaN, or a division by zero, is nothing.
func spreadOf(values []float64) spread {
	sorted := slices.DeleteFunc(slices.Clone(values), func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
	if len(sorted) == 0 {
		return spread{Median: math.NaN(), Min: math.NaN(), Max: math.NaN()}
	}
	slices.Sort(sorted)
	return spread{
		Median: (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2,
		Min:    sorted[0],
		Max:    sorted[len(sorted)-1],
		N:      len(sorted),
	}
}

// scaled multiplies all of a spread.
func (s spread) scaled(by float64) spread {
	return spread{Median: s.Median * by, Min: s.Min * by, Max: s.Max * by, N: s.N}
}

// pairwise divides round by round: two runs of one round stood side by side in
// time, and so share what the machine was doing meanwhile. A round that only
// one of them has counts for nothing.
func pairwise(over, under []float64) spread {
	ratios := make([]float64, min(len(over), len(under)))
	for i := range ratios {
		ratios[i] = over[i] / under[i]
	}
	return spreadOf(ratios)
}

// percentile is the smallest value that p percent of all do not exceed (the
// nearest rank). It sorts the values.
func percentile(values []float64, p float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	slices.Sort(values)
	rank := int(math.Ceil(p / 100 * float64(len(values))))
	return values[max(rank, 1)-1]
}
