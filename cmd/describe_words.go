package cmd

import (
	"fmt"
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
		{"Created:", h.Created.Local().Format(time.RFC1123Z)},
		{"Cluster:", h.Cluster},
		{"Kube-system UID:", identityText(info)},
		{"Etcd cluster id:", info.ClusterID.String()},
		{"Etcd version:", console.OrNone(info.ServerVersion)},
		{"Revision:", strconv.FormatInt(info.Revision, 10)},
		{"Selection:", selectionText(h.Selection)},
		{"One moment:", strconv.FormatBool(m.Outcome.Consistent)},
		{"Keys:", strconv.FormatInt(m.Totals.Keys, 10)},
		{"Size:", console.Bytes(m.Totals.Bytes)},
		{"Encrypted:", strconv.FormatBool(a.Encrypted)},
		{"Made by:", fmt.Sprintf("kubeferry %s on %s", h.ToolVersion, h.Host)},
	}
	if a.Corrupt() {
		rows = append(rows, []string{"Source:", "corrupt, and taken on request"})
		for _, doubt := range m.Outcome.Doubts {
			rows = append(rows, []string{"", doubt})
		}
	}
	if o := m.Outside; o != nil && o.Keys > 0 {
		rows = append(rows, []string{"Not taken:", console.Count(o.Keys, "key") + " beside these prefixes"})
	}
	if a.Receipt == nil {
		rows = append(rows, []string{"Receipt:", "none beside it"})
	}
	return rows
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

func selectionText(s archive.Selection) string {
	if s.Whole {
		return "whole"
	}
	var parts []string
	for _, part := range []struct {
		name  string
		words []string
	}{{"", s.Include}, {"--exclude ", s.Exclude}, {"-n ", s.Namespaces}, {"--prefix ", s.Prefixes}} {
		if len(part.words) > 0 {
			parts = append(parts, part.name+strings.Join(part.words, ","))
		}
	}
	return strings.Join(parts, " ")
}
