package cmd

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
)

// facts are the lines about the archive as a whole.
func facts(a *ferry.Archive) [][]string {
	h, m, info := a.Header(), a.Manifest(), a.Info()
	rows := [][]string{
		{"Archive:", h.ArchiveID},
		{"Created:", h.Created.UTC().Format(time.RFC3339)},
		{"Cluster:", h.Cluster},
		{"Kube-system UID:", identityText(info)},
		{"Etcd cluster id:", clusterIDText(info.ClusterID)},
		{"Etcd version:", console.OrNone(info.ServerVersion)},
		{"Selection:", selectionText(h.Selection)},
		{"Consistent:", consistency(m.Outcome, info.Revision)},
		{"Keys:", strconv.FormatInt(m.Totals.Keys, 10)},
		{"Size:", console.Bytes(m.Totals.Bytes)},
		{"Archive encrypted:", yesNo(a.Encrypted)},
		{"Values sealed at rest:", sealedFact(m)},
		{"Made by:", fmt.Sprintf("kubeferry %s on %s", h.ToolVersion, h.Host)},
	}
	if a.Corrupt() {
		rows = append(rows, []string{"Source:", "corrupt, backed up on request"})
		for _, doubt := range m.Outcome.Doubts {
			rows = append(rows, []string{"", doubt})
		}
	}
	if o := m.Outside; o != nil && o.Keys > 0 {
		rows = append(rows, []string{"Not backed up:", console.Count(o.Keys, "key") + " outside these prefixes"})
	}
	if a.Receipt == nil {
		rows = append(rows, []string{"Receipt:", "missing"})
	}
	return rows
}

// consistency says whether the keys are of one moment. API v2 reads no past: there
// they may be of more than one.
func consistency(o etcdwalk.Outcome, revision int64) string {
	if o.Consistent {
		return fmt.Sprintf("yes (revision %d)", revision)
	}
	return fmt.Sprintf("no (written to between index %d and %d)", o.FirstIndex, o.LastIndex)
}

// clusterIDText is etcd's id of a cluster; kine and bare files have none.
func clusterIDText(id etcdwalk.ClusterID) string {
	if id == 0 {
		return "<none>"
	}
	return id.String()
}

// sealedFact tells of values that the API server encrypted, whether or not the archive is.
func sealedFact(m archive.Manifest) string {
	if m.Sealed == nil {
		return "not counted"
	}
	return console.OrNone(sealedText(m.Sealed))
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// identityText shows which cluster a view is of, with the prefixes where it holds
// several.
func identityText(info etcdwalk.Info) string {
	var known []etcdwalk.Identity
	for _, id := range info.Identities {
		if id.State != etcdwalk.IdentityNone {
			known = append(known, id)
		}
	}
	if len(known) < 2 {
		return console.OrNone(info.Identity().String())
	}
	var parts []string
	for _, id := range known {
		parts = append(parts, fmt.Sprintf("%s (%s)", id, id.Prefix))
	}
	return strings.Join(parts, ", ")
}

// largest are the ten kinds with the most bytes, and the number of the others.
func largest(m archive.Manifest) (rows [][]string, more int) {
	sums := map[string]*archive.KindTotal{}
	for _, k := range m.Kinds {
		if sums[k.Kind] == nil {
			sums[k.Kind] = &archive.KindTotal{Kind: k.Kind}
		}
		sums[k.Kind].Keys += k.Keys
		sums[k.Kind].Bytes += k.Bytes
	}
	kinds := slices.SortedFunc(maps.Values(sums), func(a, b *archive.KindTotal) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Kind, b.Kind))
	})
	rows = [][]string{{"KIND", "KEYS", "SIZE"}}
	for _, k := range kinds[:min(10, len(kinds))] {
		rows = append(rows, []string{kindText(k.Kind), strconv.FormatInt(k.Keys, 10), console.Bytes(k.Bytes)})
	}
	return rows, max(0, len(kinds)-10)
}

// totals are the kinds and namespaces; apart for each prefix where there are
// several, since a namespace of one is not that of another.
func totals(m archive.Manifest) [][]string {
	cells := func(k archive.KindTotal) []string {
		return []string{kindText(k.Kind), console.OrNone(k.Namespace), strconv.FormatInt(k.Keys, 10), console.Bytes(k.Bytes)}
	}
	rows := [][]string{{"KIND", "NAMESPACE", "KEYS", "SIZE"}}
	for _, k := range m.Kinds {
		rows = append(rows, cells(k))
	}
	if len(m.Prefixes) == 0 {
		return rows
	}
	rows = [][]string{{"PREFIX", "KIND", "NAMESPACE", "KEYS", "SIZE"}}
	for _, p := range m.Prefixes {
		for _, k := range p.Kinds {
			rows = append(rows, append([]string{console.OrNone(p.Prefix)}, cells(k)...))
		}
	}
	return rows
}
