package catalog

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// ErrDoubt: what a store holds is not understood well enough to remove any of it.
var ErrDoubt = errors.New("in doubt, nothing is removed")

// A Verdict says whether an archive stays, and why. What goes has no reason.
type Verdict struct {
	Item
	Keep    bool     `json:"keep"`
	Reasons []string `json:"reasons,omitempty"`
}

// A Group is a series that a policy was applied to.
type Group struct {
	Series

	Verdicts []Verdict `json:"verdicts"` // the newest first
}

// Retain says of each archive of the listing whether the policy keeps it, as of
// now. The policy is applied to each series by itself. The newest good archive of
// a series stays whatever the policy says, and so does what is broken, locked, of
// the future, or of nobody knows which cluster. A receipt that cannot be read, or
// two archives of one id, are an [ErrDoubt].
func (l Listing) Retain(p Policy, now time.Time) ([]Group, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	named := map[string]string{} // archives by id
	for _, item := range l.Items {
		r := item.Receipt
		switch {
		case item.Err != nil:
			return nil, fmt.Errorf("%w: %w", ErrDoubt, item.Err)
		case r.Name == "":
			return nil, fmt.Errorf("%s: %s: %w", item.Name, item.Broken, ErrDoubt)
		}
		if other, twice := named[r.ArchiveID]; twice {
			return nil, fmt.Errorf("%s and %s have the same id: %w", other, item.Name, ErrDoubt)
		}
		named[r.ArchiveID] = item.Name
	}
	var groups []Group
	for _, s := range l.Series() {
		if s.Doubt != "" {
			groups = append(groups, Group{s, doubted(s)})
		} else {
			groups = append(groups, Group{s, p.judge(s.Items, now)})
		}
	}
	return groups, nil
}

// doubted keeps archives of nobody knows which cluster.
func doubted(s Series) []Verdict {
	verdicts := make([]Verdict, len(s.Items))
	for i, item := range s.Items {
		verdicts[i].Item = item
		verdicts[i].keep("its cluster is not known: " + s.Doubt)
	}
	return verdicts
}

// judge applies the policy to the archives of one series, the newest first.
func (p Policy) judge(items []Item, now time.Time) []Verdict {
	verdicts := make([]Verdict, len(items))
	var eligible []*Verdict // what the rules are about
	for i, item := range items {
		v := &verdicts[i]
		v.Item = item
		switch {
		case item.Broken != "":
			v.keep("broken: " + item.Broken)
		case item.Receipt.Created.After(now):
			v.keep("its time is in the future")
		default:
			eligible = append(eligible, v)
		}
		if until := item.Receipt.RetainUntil; until.After(now) {
			v.keep("locked until " + until.Format(time.RFC3339))
		}
	}
	if len(eligible) == 0 {
		return verdicts
	}
	for _, r := range p.rules() {
		r.apply(eligible, cmp.Or(p.Zone, time.UTC))
	}
	if newest := eligible[0]; !newest.Keep {
		newest.keep("the newest good one")
	}
	return verdicts
}

func (v *Verdict) keep(reason string) { v.Keep, v.Reasons = true, append(v.Reasons, reason) }

// apply keeps what one rule keeps of archives of which the newest comes first. The
// oldest stands for a period that is not over yet, as in restic, if the count is
// not used up.
func (r rule) apply(newestFirst []*Verdict, zone *time.Location) {
	since := r.within.before(newestFirst[0].Receipt.Created.In(zone))
	left, last := r.count, ""
	for i, v := range newestFirst {
		created := v.Receipt.Created.In(zone)
		if left == 0 || r.within != (Span{}) && !created.After(since) {
			return
		}
		begins := true
		if r.period != nil {
			period := r.period(created)
			begins, last = period != last, period
		}
		if oldest := i == len(newestFirst)-1; !begins && !oldest {
			continue
		}
		v.keep(r.reason(!begins))
		if left > 0 {
			left--
		}
	}
}

// reason names a rule as restic does.
func (r rule) reason(oldest bool) string {
	switch {
	case r.within != (Span{}) && r.period == nil:
		return "within " + r.within.String()
	case r.within != (Span{}):
		return r.word + " within " + r.within.String()
	case oldest:
		return "oldest " + r.word
	}
	return r.word
}
