package main

import (
	"fmt"
	"math"
	"strings"
)

// A goal is a promise about one figure.
type goal struct {
	figure  string
	limit   float64
	atLeast bool // or else at most
	unit    unit
	// Of whom the figure is, to tell why there is none.
	group, contender string
	measure          func(*results) spread
}

// A unit is how a figure is shown.
type unit struct {
	scale  float64
	format string
}

func (u unit) show(v float64) string { return fmt.Sprintf(u.format, v*u.scale) }

var (
	ratioOf = unit{1, "%.2f"}
	times   = unit{1, "%.1f ×"}
	mib     = unit{1.0 / (1 << 20), "%.0f MiB"}
	ms      = unit{1000, "%.1f ms"}
	seconds = unit{1, "%.2f s"}
	lines   = unit{1, "%.0f"}
	percent = unit{100, "%.1f %%"}
	mbs     = unit{1e-6, "%.0f MB/s"}
	mb      = unit{1e-6, "%.1f MB"}
)

// allGoals are the goals of the product, the same figures on other data beside them.
func allGoals() []goal {
	return []goal{
		against("backup wall / (snapshot; zstd -3; age), S on 3.6", 0.60, "backup-s-3.6", pipeFiles, wall),
		against("backup wall / (snapshot; zstd -3; age), H on 3.6", 0.15, "backup-h-3.6", pipeFiles, wall),
		against("backup wall / (snapshot; zstd -3; age), M on 3.6", 0.65, "backup-m-3.6", pipeFiles, wall),
		against("backup wall / (snapshot; zstd -3; age), M on 3.7", 0.45, "backup-m-3.7", pipeFiles, wall),
		against("backup wall / snapshot save alone, M on 3.6", 0.95, "backup-m-3.6", snapshot, wall),
		against("backup wall / snapshot save alone, H on 3.6", 0.25, "backup-h-3.6", snapshot, wall),
		against("archive size / (snapshot; zstd -3; age), S", 0.76, "backup-s-3.6", pipeFiles, out),
		against("archive size / (snapshot; zstd -3; age), H", 0.16, "backup-h-3.6", pipeFiles, out),
		against("archive size / (snapshot; zstd -3; age), M", 0.72, "backup-m-3.6", pipeFiles, out),
		plain("peak RSS, backup of M on 3.6", 96<<20, mib, "backup-m-3.6", ours, rss),
		plain("peak RSS, backup of M on 3.7", 96<<20, mib, "backup-m-3.7", ours, rss),
		plain("peak RSS, default restore of M", 96<<20, mib, "live-restore-m", restoreDefault, rss),
		plain("peak RSS, restore of M, 16 in flight", 96<<20, mib, "restore-m", restoreFast, rss),
		plain("peak RSS, restore of M into a cluster that lives", 128<<20, mib, "living-m", restoreLiving, rss),
		growing("peak RSS, M / S, backup on 3.6", 1.2, "backup-s-3.6", "backup-m-3.6", ours, rss),
		growing("peak RSS, M / S, backup on 3.7", 1.2, "backup-s-3.7", "backup-m-3.7", ours, rss),
		growing("peak RSS, M / S, default restore", 1.2, "restore-s", "live-restore-m", restoreDefault, rss),
		plain("server memory growth, backup of M on 3.6", 32<<20, mib, "growth-m-3.6", ours, growth),
		plain("server memory growth, backup of M on 3.7", 32<<20, mib, "growth-m-3.7", ours, growth),
		perKey("backup wall per key, M / S, 3.6", "3.6"),
		perKey("backup wall per key, M / S, 3.7", "3.7"),
		calm("live put p50 / idle, beside a backup of M on 3.6", "live-m-3.6"),
		plain("live put p99, beside a backup of M on 3.6", 0.008, ms, "live-m-3.6", ours, putP99),
		calm("live put p50 / idle, beside a backup of M on 3.7", "live-m-3.7"),
		plain("live put p99, beside a backup of M on 3.7", 0.008, ms, "live-m-3.7", ours, putP99),
		faster("restore keys/s, apply / make-mirror, S", 20, times, applyRate, mirror),
		faster("restore keys/s, whole / make-mirror, S", 15, times, rate, mirror),
		faster("restore keys/s, apply / bare load, S", 0.90, ratioOf, applyRate, bareMany, bareOne),
		faster("restore keys/s, whole / bare load, S", 0.70, ratioOf, rate, bareMany, bareOne),
		{"restore wall, with order and rules / without, S", 1.20, false, ratioOf, "living-s", restoreLiving, func(r *results) spread { return r.ratio("living-s", restoreLiving, restorePlain, wall) }},
		{"restore wall, bound to its plan / before, S", 1.10, false, ratioOf, "bound-s", restoreBefore, func(r *results) spread { return r.ratio("bound-s", restoreNow, restoreBefore, wall) }},
		{"plan wall over what is there / before, M", 2, false, ratioOf, "plan-m", planBefore, func(r *results) spread { return r.ratio("plan-m", planNow, planBefore, wall) }},
		plain("file of a plan, bytes a key, M", 160, lines, "plan-m", planNow, perKeyBytes),
		readingBack("s"),
		readingBack("m"),
		plain("live put p99, beside a default restore of M", 0.025, ms, "live-restore-m", restoreDefault, putP99),
		plain("\"took too long\" lines, default restore of M", 0, lines, "live-restore-m", restoreDefault, slow),
		inProportion(),
		{
			figure: "backup wall, S3 on loopback / folder, M on 3.6", limit: 1.3, unit: ratioOf, group: "s3-m-3.6", contender: oursToS3,
			measure: func(r *results) spread {
				return pairwise(r.series("s3-m-3.6", oursToS3, wall), r.series("s3-m-3.6", ours, wall))
			},
		},
		plain("peak RSS, backup of M to S3", 200<<20, mib, "s3-m-3.6", oursToS3, rss),
		{"stored values a second, get -A -o json of S", 60e6, true, mbs, "look-s", getAll, func(r *results) spread { return r.spread("look-s", getAll, flow) }},
		{"walk of S selected by labels / of all", 2, false, ratioOf, "look-s", walkLabels, func(r *results) spread { return r.ratio("look-s", walkLabels, walkAll, wall) }},
		plain("one ConfigMap of M, get", 0.3, seconds, "look-m", getOne, wall),
		plain("one ConfigMap of M, describe --keys", 0.3, seconds, "look-m", listOne, wall),
		plain("bytes of the archive read for one ConfigMap of M", 1<<20, mib, "look-m", getOne, read),
		lessIsLess("3.6"),
		lessIsLess("3.7"),
		plain("the program", 60e6, mb, "program", versionRun, out),
		// It was 12 ms before the types of Kubernetes were compiled in, which may cost 20.
		{"start, kubeferry version - etcdctl version", 0.032, false, ms, "program", versionRun, func(r *results) spread {
			return r.difference("program", versionRun, etcdctlRun, wall)
		}},
		plain("list of 2,500 archives in S3", 2, seconds, "s3-m-3.6", oursListed, wall),
		{
			figure: "archive bytes that the plan of 1 % of M decrypts", limit: 0.05, unit: percent, group: "namespace-m", contender: dryRun,
			measure: func(r *results) spread {
				return pairwise(r.series("namespace-m", dryRun, planned), r.series("namespace-m", dryRun, out))
			},
		},
	}
}

// against sets our backup against a peer's.
func against(text string, limit float64, group, peer, figure string) goal {
	return goal{text, limit, false, ratioOf, group, peer, func(r *results) spread { return r.ratio(group, ours, peer, figure) }}
}

// plain is one figure by itself.
func plain(text string, limit float64, u unit, group, contender, figure string) goal {
	return goal{text, limit, false, u, group, contender, func(r *results) spread { return r.spread(group, contender, figure) }}
}

// growing sets M against S. They did not run side by side, so this is a ratio of
// medians.
func growing(text string, limit float64, small, large, contender, figure string) goal {
	return goal{text, limit, false, ratioOf, large, contender, func(r *results) spread {
		s, m := r.spread(small, contender, figure), r.spread(large, contender, figure)
		if s.N == 0 {
			return spread{}
		}
		return m.scaled(1 / s.Median)
	}}
}

// perKey is the same for the wall of a backup by the number of keys.
func perKey(text, version string) goal {
	g := growing(text, 1.15, "backup-s-"+version, "backup-m-"+version, ours, wall)
	ofWall := g.measure
	g.measure = func(r *results) spread {
		s, m := r.Facts["s keys"], r.Facts["m keys"]
		if s == 0 || m == 0 {
			return spread{}
		}
		return ofWall(r).scaled(s / m)
	}
	return g
}

// calm sets the live puts beside our backup against those on an idle server.
func calm(text, group string) goal {
	return goal{text, 2, false, times, group, ours, func(r *results) spread { return r.ratio(group, ours, idle, putP50) }}
}

// faster sets our rate of keys against that of a peer, the fastest if there are
// several.
func faster(text string, limit float64, u unit, figure string, peers ...string) goal {
	const group = "restore-s"
	return goal{text, limit, true, u, group, restoreFast, func(r *results) spread {
		var best []float64
		for _, peer := range peers {
			for i, v := range r.series(group, peer, rate) {
				if i == len(best) {
					best = append(best, v)
				}
				best[i] = math.Max(best[i], v)
			}
		}
		return pairwise(r.series(group, restoreFast, figure), best)
	}}
}

// readingBack asks what it costs to read back what was written.
func readingBack(name string) goal {
	group := "restore-" + name
	return goal{"read back / apply, " + strings.ToUpper(name), 0.35, false, ratioOf, group, restoreFast, func(r *results) spread {
		return pairwise(r.series(group, restoreFast, back), r.series(group, restoreFast, apply))
	}}
}

// inProportion asks whether a part costs its part.
func inProportion() goal {
	const group = "backup-m-3.6"
	return goal{"wall of backup configmaps / whole, over its share of the bytes, M on 3.6", 1.5, false, ratioOf, group, configMaps, func(r *results) spread {
		return r.ratio(group, configMaps, ours, wall).scaled(1 / r.Facts["m configmaps share"])
	}}
}

// lessIsLess asks whether a part of a cluster that is far away costs no more than a few times
// the whole.
func lessIsLess(version string) goal {
	group := "far-" + version
	return goal{"backup -n shop / of everything, 1,500 custom kinds 20 ms away, " + version, 3, false, ratioOf, group, oursOfShop, func(r *results) spread {
		return r.ratio(group, oursOfShop, ours, wall)
	}}
}

// met tells whether a figure keeps a goal, with so much slack, such as 0.15.
func (g goal) met(figure, slack float64) bool {
	if g.atLeast {
		return figure >= g.limit/(1+slack)
	}
	return figure <= g.limit*(1+slack)
}
