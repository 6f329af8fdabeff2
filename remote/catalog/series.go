package catalog

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// A Series is the archives that count for each other: of one cluster, under one
// label, of one selection. Retention, latest and checks go by series.
//
// Which cluster a receipt is of is known by the UID of its kube-system, or, where
// there is no such namespace, by etcd's cluster id. An identity that was
// unreadable joins the one cluster that has the same label and the same id of
// etcd, if the user gave the label; a label that was made does not do, since it
// is made of that very id, which clusters made from one template share. Else
// nothing tells whose the archive is: it is a series by itself, in Doubt.
type Series struct {
	// Cluster is the UID of kube-system, or etcd's cluster id where it is not
	// known.
	Cluster   string    `json:"cluster"`
	Label     string    `json:"label"`
	Whole     bool      `json:"whole"`
	Selection Selection `json:"selection"`
	// Doubt is why it cannot be told whose archive it is; empty: it can.
	Doubt string `json:"doubt,omitempty"`
	// Items are the newest first.
	Items []Item `json:"-"`

	key seriesKey
}

// A seriesKey tells series apart. The selection is "whole", a digest, or, for
// receipts of a time when they did not tell it, empty.
type seriesKey struct{ cluster, label, selection string }

// ShortID is the part of the archive's id that is shown, and that suffices to name the
// archive in its store if no other begins so.
func (r Receipt) ShortID() string { return r.ArchiveID[:min(8, len(r.ArchiveID))] }

// Scope names the selection of the archive for people.
func (r Receipt) Scope() string {
	switch {
	case r.Whole:
		return scopeWhole
	case r.Selection.Text == "":
		return scopePart
	}
	return r.Selection.Text
}

// Scopes of receipts that have no text of their own.
const (
	scopeWhole = "whole"
	scopePart  = "part"
)

// Series sorts the archives whose receipts can be read.
func (l Listing) Series() []Series {
	clusters := l.clusters()
	var all []Series
	at := map[seriesKey]int{}
	for _, item := range l.Items {
		r := item.Receipt
		if r.Name == "" {
			continue
		}
		cluster, doubt := clusters.of(r)
		key := seriesKey{cluster, r.Cluster, r.Selection.Digest}
		if r.Whole {
			key.selection = scopeWhole
		}
		i, known := at[key]
		if !known {
			i, at[key] = len(all), len(all)
			all = append(all, Series{
				Cluster: r.ClusterID, Label: r.Cluster, Whole: r.Whole,
				Selection: Selection{r.Selection.Digest, r.Scope()}, Doubt: doubt, key: key,
			})
			if uid, known := strings.CutPrefix(cluster, byUID); known {
				all[i].Cluster = uid
			}
		}
		all[i].Items = append(all[i].Items, item)
	}
	for i := range all {
		slices.SortFunc(all[i].Items, newestFirst)
	}
	slices.SortFunc(all, func(a, b Series) int {
		whole := func(s Series) int { return map[bool]int{true: 0, false: 1}[s.Whole] }
		return cmp.Or(
			cmp.Compare(min(len(a.Doubt), 1), min(len(b.Doubt), 1)),
			cmp.Compare(a.Label, b.Label), cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(whole(a), whole(b)),
			cmp.Compare(a.Selection.Text, b.Selection.Text), cmp.Compare(a.Selection.Digest, b.Selection.Digest),
			cmp.Compare(a.Items[0].Name, b.Items[0].Name),
		)
	})
	return all
}

// What a cluster is known by.
const (
	byUID     = "uid "
	byEtcd    = "etcd "
	byLabel   = "label "
	byNothing = "archive "
)

// clusters are those that receipts tell of by themselves, under each label and
// etcd's cluster id.
type clusters map[[2]string][]string

func (l Listing) clusters() clusters {
	known := clusters{}
	for _, item := range l.Items {
		r := item.Receipt
		if cluster := r.cluster(); cluster != "" && !slices.Contains(known[r.joint()], cluster) {
			known[r.joint()] = append(known[r.joint()], cluster)
		}
	}
	return known
}

// joint is what an unreadable identity can share with others.
func (r Receipt) joint() [2]string { return [2]string{r.Cluster, r.ClusterID} }

// cluster is what the receipt tells of its cluster by itself; empty if nothing.
// Before receipts told of identities, no UID meant none.
func (r Receipt) cluster() string {
	switch {
	case r.Name == "":
		return ""
	case r.KubeSystemUID != "":
		return byUID + r.KubeSystemUID
	case r.Identity == "", r.Identity == identityNone && r.hasClusterID():
		return byEtcd + r.ClusterID
	}
	return ""
}

// Unreadable tells whether there was a kube-system whose UID could not be read.
func (r Receipt) Unreadable() bool { return r.Identity == identityUnreadable }

// hasClusterID tells whether etcd's id is known: kine has none, and tells 0.
func (r Receipt) hasClusterID() bool { return r.ClusterID != "" && r.ClusterID != "0" }

// of is the cluster that a receipt belongs to, and why that is in doubt.
func (c clusters) of(r Receipt) (cluster, doubt string) {
	if own := r.cluster(); own != "" {
		return own, ""
	}
	switch {
	case !r.hasClusterID():
		return byNothing + r.Name, "it has neither a UID of kube-system nor an id of etcd"
	case !r.LabelTyped:
		return byNothing + r.Name, "its identity was unreadable, and backup had no --cluster"
	}
	if same := c[r.joint()]; len(same) == 1 {
		return same[0], ""
	}
	return byLabel + r.Cluster + " " + r.ClusterID, ""
}

// A Query says which series are meant.
type Query struct {
	// Cluster is a label, or what the cluster is known by; empty: each.
	Cluster string
	// Selection is the text of a selection, or the beginning of its digest, four
	// characters at least. Empty: of each cluster the whole; where it has none, what
	// has archives on several days.
	Selection string
}

// settledDays is on how many days a selection must have archives to count as
// what is made of its cluster: what somebody made once by hand does not.
const settledDays = 3

// Select picks series. Of a cluster that has archives of the whole under any
// label no others are meant; unless the whole was made on a few days only, and a
// settled selection since.
func (l Listing) Select(q Query) []Series {
	all := slices.DeleteFunc(l.Series(), func(s Series) bool { return q.Cluster != "" && s.Label != q.Cluster && s.Cluster != q.Cluster })
	if q.Selection != "" {
		return slices.DeleteFunc(all, func(s Series) bool { return !s.of(q.Selection) })
	}
	settled := settledIn(all)
	// Of each cluster: the newest of its settled selections, and its whole series.
	since, whole := map[string]time.Time{}, map[string]bool{}
	for _, s := range all {
		if !s.Whole && settled[s.practice()] && s.newest().After(since[s.key.cluster]) {
			since[s.key.cluster] = s.newest()
		}
	}
	counts := func(s Series) bool {
		return s.Whole && (settled[s.practice()] || !since[s.key.cluster].After(s.newest()))
	}
	for _, s := range all {
		whole[s.key.cluster] = whole[s.key.cluster] || counts(s)
	}
	return slices.DeleteFunc(all, func(s Series) bool {
		return !counts(s) && (s.Whole || whole[s.key.cluster] || !settled[s.practice()])
	})
}

// A practice is what is done again and again: under one label, with one selection.
// Archives of which nobody knows the cluster, which are series by themselves, have
// one together.
type practice struct{ cluster, label, selection string }

func (s Series) practice() practice {
	p := practice{s.key.cluster, s.Label, s.key.selection}
	if s.Doubt != "" {
		p.cluster = s.Cluster
	}
	return p
}

// settledIn are the practices of known selections that have archives on several days.
func settledIn(all []Series) map[practice]bool {
	days := map[practice]map[string]bool{}
	for _, s := range all {
		for _, item := range s.Items {
			if days[s.practice()] == nil {
				days[s.practice()] = map[string]bool{}
			}
			days[s.practice()][item.Receipt.Created.UTC().Format(time.DateOnly)] = true
		}
	}
	settled := map[practice]bool{}
	for p, on := range days {
		settled[p] = p.selection != "" && len(on) >= settledDays
	}
	return settled
}

// newest is when the newest archive was made.
func (s Series) newest() time.Time { return s.Items[0].Receipt.Created }

// of tells whether a word means the selection of the series.
func (s Series) of(word string) bool {
	return word == s.Selection.Text || len(word) >= minID && strings.HasPrefix(s.Selection.Digest, strings.ToLower(word))
}
