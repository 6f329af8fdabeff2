package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// everything has a figure for each contender of each group.
func everything() *results {
	r := &results{Skipped: map[string]string{}, Facts: map[string]float64{"s keys": 1, "m keys": 10, "m configmaps share": 0.5}}
	for _, g := range allGroups() {
		for _, c := range []string{ours, configMaps, pipeFiles, piped, snapshot, restoreFast, restoreDefault, restoreLiving, restorePlain, mirror, bareOne, bareMany, idle, dryRun, oursToS3, oursListed, getAll, getOne, listOne, walkAll, walkLabels, versionRun, etcdctlRun} {
			for round := range 3 {
				f := figures{applyRate: 1}
				for _, column := range columns {
					f[column.figure] = float64(round + 1)
				}
				r.add(measurement{Group: g.name, Contender: c, Round: round, Figures: f})
			}
		}
	}
	return r
}

func TestEveryGoalFindsItsFigures(t *testing.T) {
	all := judge(everything())
	if len(all) < 30 {
		t.Errorf("%d goals", len(all))
	}
	for _, v := range all {
		if v.Measured == nil {
			t.Errorf("%s: %s", v.Figure, v.Verdict)
		}
	}
}

func TestNoGoalIsMetByNothing(t *testing.T) {
	for _, v := range judge(&results{Skipped: map[string]string{}}) {
		if want := "skipped: not measured"; v.Verdict != want || v.Measured != nil {
			t.Errorf("%s: got %q, want %q", v.Figure, v.Verdict, want)
		}
	}
}

func TestGoalsAreMet(t *testing.T) {
	most, least, none := goal{limit: 0.6}, goal{limit: 20, atLeast: true}, goal{limit: 0}
	for _, c := range []struct {
		name          string
		goal          goal
		figure, slack float64
		want          bool
	}{
		{"at the limit", most, 0.6, 0, true},
		{"above the limit", most, 0.61, 0, false},
		{"within the slack", most, 0.68, 0.15, true},
		{"beyond the slack", most, 0.70, 0.15, false},
		{"at least the limit", least, 20, 0, true},
		{"less than the limit", least, 19, 0, false},
		{"less, within the slack", least, 18, 0.15, true},
		{"less, beyond the slack", least, 17, 0.15, false},
		{"none allowed, none seen", none, 0, 0, true},
		{"none allowed, slack or not", none, 1, 0.15, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.goal.met(c.figure, c.slack); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestTheFasterBareLoadIsTheCeiling(t *testing.T) {
	r := &results{}
	for round, rates := range [][3]float64{{50, 100, 80}, {50, 60, 100}} {
		for i, c := range []string{restoreFast, bareOne, bareMany} {
			r.add(measurement{"restore-s", c, round, figures{rate: rates[i]}})
		}
	}
	g := faster("", 1, ratioOf, rate, bareMany, bareOne)
	if got, want := g.measure(r), (spread{0.5, 0.5, 0.5, 2}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestSizeOfTheDataIsDividedAway(t *testing.T) {
	r := &results{Facts: map[string]float64{"s keys": 20, "m keys": 200, "m configmaps share": 0.2}}
	r.add(measurement{"backup-s-3.6", ours, 0, figures{wall: 1}})
	r.add(measurement{"backup-m-3.6", ours, 0, figures{wall: 11}})
	r.add(measurement{"backup-m-3.6", configMaps, 0, figures{wall: 3.3}})
	if got := perKey("", "3.6").measure(r).Median; got < 1.099 || got > 1.101 {
		t.Errorf("per key: got %v, want 1.1", got)
	}
	if got := inProportion().measure(r).Median; got < 1.499 || got > 1.501 {
		t.Errorf("configmaps over their share: got %v, want 1.5", got)
	}
}

func TestReportTellsAll(t *testing.T) {
	r := report{results: *everything()}
	r.skip("backup-h-3.6", "for a reason")
	r.fail("live-m-3.6", idle, bytes.ErrTooLarge)
	r.Goals = judge(&r.results)
	var out bytes.Buffer
	if err := r.write(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"backup wall", pipeFiles, "make-mirror", "for a reason", "too large"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report does not tell %q:\n%s", want, &out)
		}
	}
	if _, err := json.Marshal(&r); err != nil {
		t.Error(err)
	}
}
