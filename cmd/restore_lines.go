package cmd

import (
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// telling are the outcomes of which the number does not say it all, those that hurt first.
func telling() []replay.Fate {
	return []replay.Fate{replay.Refused, replay.Conflicting, replay.Moved, replay.Failure, replay.Unsure, replay.Deleted, replay.Replaced, replay.Skipped, replay.Expired, replay.Excluded}
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

// naming names keys as kubectl does.
type naming struct {
	say     func(format string, args ...any)
	planned interface{ Name(key []byte) string }
	deleted [][]byte // all keys that would be, which are named one by one; nil: they are not known
}

// examples shows the noteworthy keys.
func (n naming) examples(t replay.Tally) {
	for _, outcome := range telling() {
		switch {
		case outcome == replay.Excluded:
			n.leftOut(t)
		case outcome == replay.Deleted && n.deleted != nil:
			for _, key := range n.deleted {
				n.say("  %s %-9s %s", signs[outcome], wordOf(outcome), console.Printable(n.planned.Name(key)))
			}
		default:
			n.of(t, outcome)
		}
	}
}

// of names the first keys of an outcome.
func (n naming) of(t replay.Tally, outcome replay.Fate) {
	names, width := make([]string, len(t.Examples[outcome])), 0
	for i, line := range t.Examples[outcome] {
		names[i] = console.Printable(n.planned.Name(line.Key))
		if length := utf8.RuneCountInString(names[i]); length <= 40 { // longer ones push what is behind them aside
			width = max(width, length)
		}
	}
	for i, line := range t.Examples[outcome] {
		about := aboutLine(line)
		if about != "" {
			about = fmt.Sprintf("%*s", max(0, width-utf8.RuneCountInString(names[i]))+3+len(about), about)
		}
		n.say("  %s %-9s %s%s", signs[outcome], wordOf(outcome), names[i], about)
	}
	if more := t.Counts[outcome] - int64(len(names)); len(names) > 0 && more > 0 {
		n.say("  %s %-9s … and %d more; --report FILE lists them all", signs[outcome], wordOf(outcome), more)
	}
}

// leftOut counts what is excluded by its reasons; one alone is named.
func (n naming) leftOut(t replay.Tally) {
	for _, reason := range slices.Sorted(maps.Keys(t.Reasons)) {
		what := console.Count(t.Reasons[reason], "key")
		for _, line := range t.Examples[replay.Excluded] {
			if t.Reasons[reason] == 1 && line.Reason == reason {
				what = console.Printable(n.planned.Name(line.Key))
			}
		}
		n.say("  %s %-9s %s: %s", signs[replay.Excluded], wordOf(replay.Excluded), what, reason)
	}
}

// signs stand before the outcomes.
var signs = map[replay.Fate]string{
	replay.Created: "+", replay.Deleted: "-", replay.Replaced: "~", replay.Conflicting: "~", replay.Moved: "~", replay.Skipped: "·", replay.Excluded: "·", replay.Expired: "·",
	replay.Refused: "!", replay.Failure: "!", replay.Unsure: "?",
}

// wordOf is what people are told of an outcome; scripts have its own word.
func wordOf(outcome replay.Fate) string {
	switch outcome {
	case replay.Conflicting:
		return "conflict"
	case replay.Excluded:
		return "left out"
	}
	return string(outcome)
}

// aboutLine is what there is to say of a key: how much is written, which revisions differ,
// and why.
func aboutLine(line replay.Line) string {
	var about string
	switch line.Fate {
	case replay.Created:
		about = console.Bytes(line.Bytes)
	case replay.Replaced, replay.Conflicting, replay.Moved, replay.Skipped:
		if line.Since > 0 && line.Revision > 0 {
			about = fmt.Sprintf("archive r%d, cluster r%d", line.Since, line.Revision)
		}
	}
	switch {
	case about == "":
		return line.Reason
	case line.Reason == "":
		return about
	}
	return about + ": " + line.Reason
}
