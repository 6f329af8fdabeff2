package main

import (
	"math"
	"testing"
)

func TestSpread(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name   string
		values []float64
		want   spread
	}{
		{"odd", []float64{3, 1, 2}, spread{2, 1, 3, 3}},
		{"even takes the middle of two", []float64{4, 1, 2, 3}, spread{2.5, 1, 4, 4}},
		{"rounds without a figure do not count", []float64{nan, 5, math.Inf(1), 7, 6}, spread{6, 5, 7, 3}},
		{"one", []float64{9}, spread{9, 9, 9, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := spreadOf(c.values); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
	if got := spreadOf(nil); got.N != 0 || !math.IsNaN(got.Median) {
		t.Errorf("of nothing: %v", got)
	}
}

func TestPairwiseDividesRoundByRound(t *testing.T) {
	// The machine was ten times slower in the last round: the ratios do not care.
	got := pairwise([]float64{1, 2, 10}, []float64{2, 4, 40})
	if want := (spread{0.5, 0.25, 0.5, 3}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	got = pairwise([]float64{1, math.NaN(), 3, 4}, []float64{2, 1, 3})
	if want := (spread{0.75, 0.5, 1, 2}); got != want {
		t.Errorf("with rounds missing: got %v, want %v", got, want)
	}
	if got := pairwise(nil, []float64{1}); got.N != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

func TestPercentile(t *testing.T) {
	values := make([]float64, 200)
	for i := range values {
		values[i] = float64(200 - i)
	}
	for p, want := range map[float64]float64{0: 1, 50: 100, 99: 198, 100: 200} {
		if got := percentile(values, p); got != want {
			t.Errorf("p%.0f: got %v, want %v", p, got, want)
		}
	}
	if got := percentile(nil, 50); !math.IsNaN(got) {
		t.Errorf("of nothing: %v", got)
	}
}
