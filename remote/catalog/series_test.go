package catalog

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

var seriesStart = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// A maker draws the archives of places that two clusters share.
type maker struct {
	*rand.Rand

	etcd   [2]string // their ids
	labels [2]string
}

var selections = []Selection{{}, {strings.Repeat("e1", 32), "everything but events"}, {strings.Repeat("e2", 32), "configmaps"}}

// draw makes the n-th archive of a place: of either cluster, as an old or a new
// kubeferry tells of it.
func (m *maker) draw(n int, onlyOld bool) Item {
	which := m.IntN(2)
	uid := fmt.Sprintf("uid-%d", which)
	item := made(n, seriesStart.Add(time.Duration(n)*6*time.Hour))
	r := &item.Receipt
	r.Format = Format{1, 1}
	r.ClusterID, r.Cluster, r.LabelTyped = m.etcd[which], m.labels[which], m.IntN(3) > 0
	if !r.LabelTyped {
		r.Cluster = "made-of-" + uid
	}
	chosen := m.IntN(3)
	r.Whole, r.Selection = chosen == 0, selections[chosen]
	if r.Whole {
		r.Selection = Selection{strings.Repeat("00", 32), "whole"}
	}
	r.Identity, r.KubeSystemUID = identityUID, uid
	switch m.IntN(5) {
	case 0:
		r.Identity, r.KubeSystemUID = identityNone, ""
	case 1, 2:
		r.Identity, r.KubeSystemUID = identityUnreadable, ""
		if !r.LabelTyped {
			r.Cluster = "made-of-" + r.ClusterID
		}
	}
	if onlyOld || m.IntN(3) == 0 { // an old one tells of a UID, or of none
		r.Format, r.Identity, r.LabelTyped, r.Selection = Format{1, 0}, "", false, Selection{}
	}
	return item
}

// places are 30 of them, of twins and of clusters of different etcds, with labels of
// their own and with one for both.
func places(t *testing.T, onlyOld bool, try func(t *testing.T, items []Item)) {
	t.Helper()
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m := &maker{rand.New(rand.NewPCG(seed, 11)), [2]string{"c1", "c1"}, [2]string{"prod", "test"}}
			switch seed % 4 {
			case 1:
				m.etcd[1] = "c2"
			case 2:
				m.labels[1] = "prod"
			case 3:
				m.etcd[0] = "0"
			}
			var items []Item
			for n := range 30 + m.IntN(40) {
				items = append(items, m.draw(n, onlyOld))
			}
			m.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
			try(t, items)
		})
	}
}

// model sorts archives by what is said of two of them at a time, and joins what is
// alike: nothing of how Series does it.
func model(items []Item) [][]Item {
	proper := func(r Receipt) string { // known without a label
		switch {
		case r.KubeSystemUID != "":
			return r.KubeSystemUID
		case r.Format.Minor == 0:
			return "etcd " + r.ClusterID
		case r.Identity == identityNone && r.ClusterID != "0":
			return "etcd " + r.ClusterID
		}
		return ""
	}
	claimants := func(r Receipt) int { // how many clusters have its label and etcd's id
		found := map[string]bool{}
		for _, item := range items {
			o := item.Receipt
			if p := proper(o); p != "" && o.Cluster == r.Cluster && o.ClusterID == r.ClusterID {
				found[p] = true
			}
		}
		return len(found)
	}
	joins := func(r Receipt) bool { return r.LabelTyped && r.ClusterID != "0" }
	alike := func(a, b Receipt) bool {
		if a.Cluster != b.Cluster || a.Whole != b.Whole || !a.Whole && a.Selection != b.Selection {
			return false
		}
		pa, pb := proper(a), proper(b)
		switch {
		case pa != "" && pb != "":
			return pa == pb
		case pa == "" && pb == "":
			return joins(a) && joins(b) && a.ClusterID == b.ClusterID
		case pa == "":
			return joins(a) && a.ClusterID == b.ClusterID && claimants(a) == 1
		}
		return joins(b) && a.ClusterID == b.ClusterID && claimants(b) == 1
	}
	group := make([]int, len(items))
	for i := range items {
		group[i] = i
		for j := range i {
			if alike(items[i].Receipt, items[j].Receipt) {
				old, to := group[i], group[j]
				for k := range i + 1 {
					if group[k] == old {
						group[k] = to
					}
				}
			}
		}
	}
	sets := map[int][]Item{}
	for i, item := range items {
		sets[group[i]] = append(sets[group[i]], item)
	}
	var all [][]Item
	for _, set := range sets {
		all = append(all, set)
	}
	return all
}

// oldModel sorts archives as it was done before receipts told more.
func oldModel(items []Item) [][]Item {
	sets := map[string][]Item{}
	for _, item := range items {
		r := item.Receipt
		key := fmt.Sprint(cmp.Or(r.KubeSystemUID, r.ClusterID), " ", r.Cluster, " ", r.Whole)
		sets[key] = append(sets[key], item)
	}
	var all [][]Item
	for _, set := range sets {
		all = append(all, set)
	}
	return all
}

// wantRetained holds what Retain keeps of a place against a model of its series.
func wantRetained(t *testing.T, items []Item, series [][]Item) (kept, gone int) {
	t.Helper()
	for last := 1; last <= 3; last++ {
		want := map[string]bool{}
		for _, set := range series {
			slices.SortFunc(set, func(a, b Item) int { return b.Receipt.Created.Compare(a.Receipt.Created) })
			for i, item := range set {
				want[item.Name] = i < last
			}
		}
		groups, err := Listing{Items: slices.Clone(items)}.Retain(Policy{Last: last}, seriesStart.AddDate(1, 0, 0))
		if err != nil || len(groups) != len(series) {
			t.Fatalf("%d series, %v, want %d", len(groups), err, len(series))
		}
		for _, g := range groups {
			for _, v := range g.Verdicts {
				if keep, known := want[v.Name]; !known || v.Keep != keep {
					t.Errorf("--keep-last %d: %s %+v is kept %t for %q, want %t", last, v.Name, v.Receipt, v.Keep, v.Reasons, keep)
				}
				delete(want, v.Name)
				if v.Keep {
					kept++
				} else {
					gone++
				}
			}
		}
		if len(want) > 0 {
			t.Errorf("nothing was said of %v", want)
		}
	}
	return kept, gone
}

// TestPruneOfSharedPlaces: 30 places of archives of two clusters, three selections,
// old and new receipts, against a model.
func TestPruneOfSharedPlaces(t *testing.T) {
	kept, gone := 0, 0
	places(t, false, func(t *testing.T, items []Item) {
		k, g := wantRetained(t, items, model(items))
		kept, gone = kept+k, gone+g
	})
	if kept < 500 || gone < 500 {
		t.Errorf("%d stay and %d go: that shows little", kept, gone)
	}
}

// TestRetentionOfOldReceiptsIsWhatItWas: a place that only an old kubeferry wrote to.
func TestRetentionOfOldReceiptsIsWhatItWas(t *testing.T) {
	kept, gone := 0, 0
	places(t, true, func(t *testing.T, items []Item) {
		k, g := wantRetained(t, items, oldModel(items))
		kept, gone = kept+k, gone+g
	})
	if kept < 300 || gone < 500 {
		t.Errorf("%d stay and %d go: that shows little", kept, gone)
	}
}

// TestSelect: what is meant where a place holds this or that.
func TestSelect(t *testing.T) {
	type add struct {
		uid, label string
		selection  int // 0: whole, 3: a part of which an old receipt does not tell more
		day        int
	}
	days := func(uid, label string, selection int, on ...int) (all []add) {
		for _, day := range on {
			all = append(all, add{uid, label, selection, day})
		}
		return all
	}
	for name, c := range map[string]struct {
		adds  [][]add
		query Query
		want  []string
	}{
		"nothing":                      {nil, Query{}, nil},
		"the whole":                    {[][]add{days("u", "prod", 0, 1)}, Query{}, []string{"prod u whole 1"}},
		"the whole before a series":    {[][]add{days("u", "prod", 0, 1, 2, 3), days("u", "prod", 1, 1, 2, 3, 4)}, Query{}, []string{"prod u whole 3"}},
		"a newer whole":                {[][]add{days("u", "prod", 0, 5), days("u", "prod", 1, 1, 2, 3, 4)}, Query{}, []string{"prod u whole 1"}},
		"a whole once, by hand":        {[][]add{days("u", "prod", 0, 1), days("u", "prod", 1, 1, 2, 3, 4)}, Query{}, []string{"prod u everything but events 4"}},
		"a series of three days":       {[][]add{days("u", "prod", 1, 1, 2, 3)}, Query{}, []string{"prod u everything but events 3"}},
		"two days":                     {[][]add{days("u", "prod", 1, 1, 1, 1, 2)}, Query{}, nil},
		"a part of an old receipt":     {[][]add{days("u", "prod", 3, 1, 2, 3, 4)}, Query{}, nil},
		"that, asked for":              {[][]add{days("u", "prod", 3, 1, 2)}, Query{Selection: "part"}, []string{"prod u part 2"}},
		"two series":                   {[][]add{days("u", "prod", 1, 1, 2, 3), days("u", "prod", 2, 1, 2, 3)}, Query{}, []string{"prod u configmaps 3", "prod u everything but events 3"}},
		"one by its text":              {[][]add{days("u", "prod", 1, 1, 2, 3), days("u", "prod", 2, 1)}, Query{Selection: "configmaps"}, []string{"prod u configmaps 1"}},
		"one by its digest":            {[][]add{days("u", "prod", 1, 1, 2, 3), days("u", "prod", 2, 1)}, Query{Selection: "E2e2"}, []string{"prod u configmaps 1"}},
		"too little of a digest":       {[][]add{days("u", "prod", 2, 1)}, Query{Selection: "e2e"}, nil},
		"no such selection":            {[][]add{days("u", "prod", 0, 1)}, Query{Selection: "pods"}, nil},
		"two clusters":                 {[][]add{days("u", "prod", 0, 1), days("v", "test", 0, 1)}, Query{}, []string{"prod u whole 1", "test v whole 1"}},
		"one by its label":             {[][]add{days("u", "prod", 0, 1), days("v", "test", 0, 1)}, Query{Cluster: "test"}, []string{"test v whole 1"}},
		"no such label":                {[][]add{days("u", "prod", 0, 1)}, Query{Cluster: "pro"}, nil},
		"a cluster without a whole":    {[][]add{days("u", "prod", 0, 1), days("v", "test", 1, 1, 2, 3)}, Query{}, []string{"prod u whole 1", "test v everything but events 3"}},
		"a whole under another label":  {[][]add{days("u", "prod", 0, 1, 2, 3), days("u", "shop", 2, 1, 2, 3, 4)}, Query{}, []string{"prod u whole 3"}},
		"one by its UID":               {[][]add{days("u", "prod", 0, 1), days("v", "prod", 0, 1)}, Query{Cluster: "v"}, []string{"prod v whole 1"}},
		"parts of nobody knows whom":   {[][]add{days("", "c1", 1, 1, 2, 3)}, Query{}, []string{"c1 c1 everything but events 1", "c1 c1 everything but events 1", "c1 c1 everything but events 1"}},
		"two days of that":             {[][]add{days("", "c1", 1, 1, 2)}, Query{}, nil},
		"that series by its own label": {[][]add{days("u", "prod", 0, 1), days("u", "shop", 2, 1, 2, 3)}, Query{Cluster: "shop"}, []string{"shop u configmaps 3"}},
	} {
		var l Listing
		for _, a := range slices.Concat(c.adds...) {
			item := made(len(l.Items), seriesStart.AddDate(0, 0, a.day))
			item.Receipt.KubeSystemUID, item.Receipt.Cluster, item.Receipt.Whole = a.uid, a.label, a.selection == 0
			if item.Receipt.ClusterID = "c1"; a.uid == "" {
				item.Receipt.Identity = identityUnreadable
			}
			if a.selection < 3 {
				item.Receipt.Selection = selections[a.selection]
			}
			l.Items = append(l.Items, item)
		}
		var got []string
		for _, s := range l.Select(c.query) {
			got = append(got, fmt.Sprint(s.Label, " ", s.Cluster, " ", s.Selection.Text, " ", len(s.Items)))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
