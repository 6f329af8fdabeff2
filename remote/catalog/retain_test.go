package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// made is a good item, made at that time.
func made(n int, created time.Time) Item {
	return Item{Name: fmt.Sprintf("a%03d.zip.age", n), Receipt: Receipt{
		Name: fmt.Sprintf("a%03d.zip.age", n), ArchiveID: fmt.Sprintf("%032x", n),
		KubeSystemUID: "uid", Cluster: "prod", Whole: true, Created: created,
	}}
}

// specified is what a policy keeps, told by the words of the specification and
// not by the way it is done: each rule is a set of periods.
func specified(p Policy, created []time.Time, now time.Time) map[time.Time][]string {
	reasons := map[time.Time][]string{}
	var past []time.Time
	for _, t := range created {
		if t.After(now) {
			reasons[t] = append(reasons[t], "its time is in the future")
		} else {
			past = append(past, t)
		}
	}
	if len(past) == 0 {
		return reasons
	}
	newest, oldest := slices.MaxFunc(past, time.Time.Compare), slices.MinFunc(past, time.Time.Compare)
	keep := func(word string, count int, span Span, period func(time.Time) string) {
		heads := map[string]time.Time{} // the newest of each period
		for _, t := range past {
			if span != (Span{}) && !t.In(p.Zone).After(newest.In(p.Zone).AddDate(-span.Years, -span.Months, -span.Days).Add(-time.Duration(span.Hours)*time.Hour)) {
				continue
			}
			if k := period(t.In(p.Zone)); heads[k].Before(t) {
				heads[k] = t
			}
		}
		var all []time.Time
		for _, t := range heads {
			all = append(all, t)
		}
		slices.SortFunc(all, func(a, b time.Time) int { return b.Compare(a) })
		chosen := all
		if count >= 0 && len(chosen) > count {
			chosen = chosen[:count]
		}
		suffix := ""
		if span != (Span{}) {
			suffix = " within " + span.String()
		}
		for _, t := range chosen {
			reasons[t] = append(reasons[t], strings.TrimPrefix(word+suffix, "last "))
		}
		spare := count < 0 || len(all) < count
		within := span == (Span{}) || oldest.In(p.Zone).After(newest.In(p.Zone).AddDate(-span.Years, -span.Months, -span.Days).Add(-time.Duration(span.Hours)*time.Hour))
		if spare && within && !slices.ContainsFunc(all, oldest.Equal) {
			if suffix == "" {
				word = "oldest " + word
			}
			reasons[oldest] = append(reasons[oldest], word+suffix)
		}
	}
	each := func(t time.Time) string { return t.String() }
	byWeek := func(t time.Time) string { y, w := t.ISOWeek(); return fmt.Sprint(y, " ", w) }
	for _, r := range []struct {
		word   string
		count  int
		span   Span
		period func(time.Time) string
	}{
		{"last", p.Last, p.Within, each},
		{"hourly", p.Hourly, p.WithinHourly, func(t time.Time) string { return t.Format("2006-01-02T15-0700") }},
		{"daily", p.Daily, p.WithinDaily, func(t time.Time) string { return t.Format("2006-01-02") }},
		{"weekly", p.Weekly, p.WithinWeekly, byWeek},
		{"monthly", p.Monthly, p.WithinMonthly, func(t time.Time) string { return t.Format("2006-01") }},
		{"yearly", p.Yearly, p.WithinYearly, func(t time.Time) string { return t.Format("2006") }},
	} {
		if r.count != 0 {
			keep(r.word, r.count, Span{}, r.period)
		}
		if r.span != (Span{}) {
			keep(r.word, All, r.span, r.period)
		}
	}
	if len(reasons[newest]) == 0 {
		reasons[newest] = []string{"the newest good one"}
	}
	return reasons
}

// TestRetain: 30 calendars, with leap days, clock changes and dates in the future,
// under policies of all kinds: the reasons are those of the specification.
func TestRetain(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	starts := []time.Time{
		time.Date(2024, 2, 27, 22, 0, 0, 0, time.UTC),  // a leap day
		time.Date(2026, 3, 28, 20, 0, 0, 0, time.UTC),  // the clocks go forward in Berlin
		time.Date(2026, 10, 24, 20, 0, 0, 0, time.UTC), // and back
		time.Date(2025, 12, 28, 0, 0, 0, 0, time.UTC),  // ISO week 1 of 2026 begins in 2025
		time.Date(2020, 12, 30, 12, 0, 0, 0, time.UTC), // ISO week 53
	}
	steps := []time.Duration{20 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour, 9 * 24 * time.Hour, 40 * 24 * time.Hour}
	kept, gone, future := 0, 0, 0
	for i, start := range starts {
		for j, step := range steps {
			random := rand.New(rand.NewPCG(uint64(i), uint64(j)))
			var created []time.Time
			for n := range 60 {
				wobble := time.Duration(random.IntN(int(step/time.Second/4)+1)) * time.Second
				created = append(created, start.Add(time.Duration(n)*step+wobble).Truncate(time.Second))
			}
			now := created[len(created)-1-random.IntN(3)].Add(time.Second)
			p := Policy{
				Last: random.IntN(4) - 1, Hourly: random.IntN(5), Daily: random.IntN(6) - 1, Weekly: random.IntN(4), Monthly: random.IntN(4), Yearly: random.IntN(3),
				Zone: berlin,
			}
			if j%2 == 0 {
				p.Within, p.WithinDaily, p.WithinMonthly = Span{Hours: 5}, Span{Days: 3, Hours: 1}, Span{Months: 2}
				p.Last = 0
			}
			if j == 5 {
				p = Policy{Yearly: 10, Monthly: All, Zone: berlin}
			}
			var items []Item
			for n, c := range created {
				items = append(items, made(n, c))
			}
			random.Shuffle(len(items), func(a, b int) { items[a], items[b] = items[b], items[a] })
			groups, err := Listing{Items: items}.Retain(p, now)
			if err != nil || len(groups) != 1 || len(groups[0].Verdicts) != len(created) {
				t.Fatalf("%d groups, %v", len(groups), err)
			}
			want := specified(p, created, now)
			for _, v := range groups[0].Verdicts {
				c := v.Receipt.Created
				if !slices.Equal(v.Reasons, want[c]) || v.Keep != (len(want[c]) > 0) {
					t.Errorf("%s every %s, %+v: %s is kept %v for %q, want %q", start, step, p, c, v.Keep, v.Reasons, want[c])
				}
				switch {
				case c.After(now):
					future++
				case v.Keep:
					kept++
				default:
					gone++
				}
			}
		}
	}
	if kept < 100 || gone < 100 || future < 10 {
		t.Errorf("%d are kept, %d go, %d are of the future: that shows little", kept, gone, future)
	}
}

// TestRetainKeepsApart: clusters, labels, and whole and partial archives do not
// count for each other, and what is broken or locked stays.
func TestRetainKeepsApart(t *testing.T) {
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	var l Listing
	add := func(change func(*Item)) {
		n := len(l.Items)
		item := made(n, at.Add(time.Duration(n)*time.Hour))
		change(&item)
		l.Items = append(l.Items, item)
	}
	for range 2 {
		add(func(*Item) {})
		add(func(i *Item) { i.Receipt.KubeSystemUID = "other" })
		add(func(i *Item) { i.Receipt.Cluster = "prod-2" })
		add(func(i *Item) { i.Receipt.Whole = false })
		add(func(i *Item) { i.Receipt.KubeSystemUID, i.Receipt.ClusterID = "", "c1" })
	}
	add(func(i *Item) { i.Broken = "the archive is missing" })
	now := at.Add(1000 * time.Hour)
	l.Items[0].Receipt.RetainUntil = now.Add(time.Hour)
	groups, err := l.Retain(Policy{Last: 1}, now)
	if err != nil || len(groups) != 5 {
		t.Fatalf("%d groups, %v, want 5", len(groups), err)
	}
	var gone []string
	for _, g := range groups {
		for _, v := range g.Verdicts {
			if !v.Keep {
				gone = append(gone, v.Name)
			}
		}
	}
	slices.Sort(gone)
	if want := []string{"a001.zip.age", "a002.zip.age", "a003.zip.age", "a004.zip.age"}; !slices.Equal(gone, want) {
		t.Errorf("%v go, want %v", gone, want)
	}
}

// TestRetainInDoubt: C11, RT2.
func TestRetainInDoubt(t *testing.T) {
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	whole := Listing{Items: []Item{made(1, at), made(2, at.Add(time.Hour))}}
	unreadable := Listing{Items: append(slices.Clone(whole.Items), Item{Name: "x.zip.age", Broken: "no usable receipt"})}
	twice := Listing{Items: append(slices.Clone(whole.Items), made(1, at.Add(2*time.Hour)))}
	for name, tt := range map[string]struct {
		l    Listing
		p    Policy
		want error
	}{
		"a receipt that cannot be read": {unreadable, Policy{Last: 1}, ErrDoubt},
		"an id twice":                   {twice, Policy{Last: 1}, ErrDoubt},
		"a policy that keeps nothing":   {whole, Policy{}, ErrKeepsNothing},
	} {
		if groups, err := tt.l.Retain(tt.p, at.Add(time.Hour)); !errors.Is(err, tt.want) || groups != nil {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	if _, err := whole.Retain(Policy{Last: -2}, at); err == nil {
		t.Error("a count of -2 is taken")
	}
}

func TestSpanParsesItself(t *testing.T) {
	for text, want := range map[string]Span{
		"2y5m7d3h": {2, 5, 7, 3}, "3h2y": {2, 0, 0, 3}, "14d": {Days: 14}, "": {},
	} {
		var got Span
		if err := got.Set(text); err != nil || got != want {
			t.Errorf("%q is %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"7", "d", "7w", "1d2d", "-1d", "1 d", "99999999999999999999d", "10001d"} {
		var got Span
		if err := got.Set(text); err == nil {
			t.Errorf("%q is taken for %+v", text, got)
		}
	}
}

func TestFind(t *testing.T) {
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	items := []Item{made(0xabc3, at.Add(3*time.Hour)), made(0xabc2, at.Add(2*time.Hour)), made(0xabc1, at)}
	for i, id := range []string{"abcd3333", "abcd2222", "11110000"} {
		items[i].Receipt.ArchiveID = id + strings.Repeat("0", 24)
	}
	items[0].Broken = "the archive is missing"
	part := made(9, at.Add(4*time.Hour))
	part.Receipt.Whole = false
	l := Listing{Items: append([]Item{part}, items...)}
	for word, want := range map[string]any{
		"latest": items[1].Name, "latest~0": items[1].Name, "latest~1": items[2].Name, "latest~2": fs.ErrNotExist, "latest~x": "latest~1",
		"1111": items[2].Name, "abcd3": items[0].Name, "abcd": ErrAmbiguous, "111": fs.ErrNotExist, part.Name: part.Name, "nothing.zip.age": fs.ErrNotExist,
	} {
		got, err := l.Find(word, Query{})
		switch want := want.(type) {
		case error:
			if !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", word, err, want)
			}
		case string:
			if err != nil && !strings.Contains(err.Error(), want) || err == nil && got.Name != want {
				t.Errorf("%s: %s, %v, want %s", word, got.Name, err, want)
			}
		}
	}
	stranger := made(7, at)
	stranger.Receipt.KubeSystemUID = "other"
	l.Items = append(l.Items, stranger)
	if got, err := l.Find("latest", Query{}); !errors.Is(err, ErrAmbiguous) {
		t.Errorf("with two clusters: %s, %v, want %v", got.Name, err, ErrAmbiguous)
	}
}
