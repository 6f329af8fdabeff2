package catalog

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ErrKeepsNothing: a policy by which every archive would go.
var ErrKeepsNothing = errors.New("the policy keeps nothing")

// All is a count of a Policy that keeps one of every period that there is.
const All = -1

// A Policy says which archives of one group stay, in restic's words and with
// restic's meaning (doc/060_forget.rst): of each period that has an archive the
// newest one, for so many periods, the newest first; and whatever is younger than
// a span. What any rule keeps is kept. Periods are those of the calendar in Zone.
type Policy struct {
	Last, Hourly, Daily, Weekly, Monthly, Yearly int // 0: none; All: every one

	Within                                                               Span // any archive
	WithinHourly, WithinDaily, WithinWeekly, WithinMonthly, WithinYearly Span // one of each period

	Zone *time.Location // nil: UTC
}

// A Span is a length of time by the calendar, counted back from the newest archive. It
// is a flag value that parses itself.
type Span struct{ Years, Months, Days, Hours int }

// Set takes a span such as 2y5m7d3h: each unit at most once, in any order.
func (s *Span) Set(text string) error {
	var span Span
	rest, given := text, map[byte]bool{}
	for rest != "" {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		n, err := strconv.Atoi(rest[:digits])
		if err != nil || digits == len(rest) || n > 10_000 || given[rest[digits]] {
			return badSpan(text)
		}
		unit := rest[digits]
		given[unit], rest = true, rest[digits+1:]
		switch unit {
		case 'y':
			span.Years = n
		case 'm':
			span.Months = n
		case 'd':
			span.Days = n
		case 'h':
			span.Hours = n
		default:
			return badSpan(text)
		}
	}
	*s = span
	return nil
}

// Type returns the word for the value in help texts.
func (*Span) Type() string { return "span" }

func badSpan(text string) error {
	return fmt.Errorf("%.40q is not a span of time: it takes years, months, days and hours, such as 2y5m7d3h", text)
}

func (s Span) String() string {
	var b strings.Builder
	for _, u := range []struct {
		n    int
		unit byte
	}{{s.Years, 'y'}, {s.Months, 'm'}, {s.Days, 'd'}, {s.Hours, 'h'}} {
		if u.n != 0 {
			fmt.Fprintf(&b, "%d%c", u.n, u.unit)
		}
	}
	return b.String()
}

// before is the moment that lies a span before t.
func (s Span) before(t time.Time) time.Time {
	return t.AddDate(-s.Years, -s.Months, -s.Days).Add(-time.Duration(s.Hours) * time.Hour)
}

// After is the moment that lies a span after t.
func (s Span) After(t time.Time) time.Time {
	return t.AddDate(s.Years, s.Months, s.Days).Add(time.Duration(s.Hours) * time.Hour)
}

// A rule keeps the newest archive of each period.
type rule struct {
	word   string // as reasons name it
	count  int
	within Span
	period func(t time.Time) string // nil: every archive is a period of its own
}

// rules are the rules of the policy that keep anything.
func (p Policy) rules() []rule {
	var given []rule
	for _, r := range []rule{
		{"last", p.Last, p.Within, nil},
		{"hourly", p.Hourly, p.WithinHourly, hour},
		{"daily", p.Daily, p.WithinDaily, day},
		{"weekly", p.Weekly, p.WithinWeekly, week},
		{"monthly", p.Monthly, p.WithinMonthly, month},
		{"yearly", p.Yearly, p.WithinYearly, year},
	} {
		if r.count != 0 {
			given = append(given, rule{r.word, r.count, Span{}, r.period})
		}
		if r.within != (Span{}) {
			given = append(given, rule{r.word, All, r.within, r.period})
		}
	}
	return given
}

// The periods of the calendar. An hour that a clock change repeats is two, since
// its offset differs.
func hour(t time.Time) string  { return t.Format("2006-01-02 15 -0700") }
func day(t time.Time) string   { return t.Format(time.DateOnly) }
func month(t time.Time) string { return t.Format("2006-01") }
func year(t time.Time) string  { return t.Format("2006") }

func week(t time.Time) string {
	y, w := t.ISOWeek()
	return fmt.Sprintf("%d-W%02d", y, w)
}

// Check tells what is wrong with the policy: an [ErrKeepsNothing], or a count that
// is none.
func (p Policy) Check() error {
	for _, n := range []int{p.Last, p.Hourly, p.Daily, p.Weekly, p.Monthly, p.Yearly} {
		if n < All {
			return fmt.Errorf("%d archives cannot be kept; %d keeps all", n, All)
		}
	}
	if len(p.rules()) == 0 {
		return ErrKeepsNothing
	}
	return nil
}
