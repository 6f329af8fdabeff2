package cmd

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/cmd/ferry/doctor"
	"github.com/kubeferry/kubeferry/cmd/flags"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd3"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/health"
)

// doctorFacts are the lines about what was looked at.
func doctorFacts(source *flags.Readable, r doctor.Report) [][]string {
	what := "Cluster:"
	if _, is := source.Source.(*ferry.Archive); is {
		what = "Archive:"
	}
	rows := [][]string{{what, source.Name}}
	if r.Info.API == "" {
		return append(rows, memberRows(r.Members)...) // more may not be read
	}
	version := console.OrNone(r.Info.ServerVersion) + " (API " + string(r.Info.API) + ")"
	rows = append(rows, []string{"Kube-system UID:", identityText(r.Info)}, []string{"Etcd cluster id:", clusterIDText(r.Info.ClusterID)}, []string{"Etcd version:", version})
	rows = append(rows, memberRows(r.Members)...)
	alarms := make([]string, len(r.Info.Alarms))
	for i, alarm := range r.Info.Alarms {
		alarms[i] = string(alarm)
	}
	rows = append(rows, []string{"Alarms:", console.OrNone(strings.Join(alarms, ", "))}, []string{"Revision:", revisionText(r)})
	prefixes := "1 prefix"
	if n := len(r.Prefixes); n != 1 {
		prefixes = fmt.Sprintf("%d prefixes", n)
	}
	keys := fmt.Sprintf("%s (%s) under %s", console.Count(r.Keys, "key"), console.Bytes(r.Bytes), prefixes)
	if r.Outside != nil && r.Outside.Keys > 0 {
		keys += ", and " + strconv.FormatInt(r.Outside.Keys, 10) + " outside"
	}
	return append(rows, []string{"Keys:", keys},
		[]string{"Encryption at rest:", sealsText(r.Sealed)},
		[]string{"API servers alive:", aliveText(r.Alive)})
}

// memberRows are a line for each endpoint and member.
func memberRows(members []etcd3.Standing) (rows [][]string) {
	for i, m := range members {
		head := ""
		if i == 0 {
			head = "Members:"
		}
		rows = append(rows, []string{head, memberText(m)})
	}
	return rows
}

// memberText says how a member does.
func memberText(m etcd3.Standing) string {
	name := cmp.Or(m.Endpoint, m.Name, m.Member)
	if m.Problem != "" {
		return name + ": not reached"
	}
	role := "follower"
	switch {
	case m.Leader:
		role = "leader"
	case m.Learner:
		role = "learner"
	}
	quota := "quota not told"
	if m.Quota > 0 {
		quota = fmt.Sprintf("%d%% of its quota of %s", m.Size*100/m.Quota, console.Bytes(m.Quota))
	}
	return fmt.Sprintf("%s: %s, %s, %s, %s in use, %s", name, role, m.Version, console.Bytes(m.Size), console.Bytes(m.InUse), quota)
}

// revisionText says how much of the past there is.
func revisionText(r doctor.Report) string {
	switch {
	case r.Compacted == nil:
		return strconv.FormatInt(r.Info.Revision, 10)
	case r.Compacted.Revision == 0:
		return fmt.Sprintf("%d, never compacted", r.Info.Revision)
	}
	return fmt.Sprintf("%d, %d since the compaction at %d", r.Info.Revision, r.Compacted.Lag, r.Compacted.Revision)
}

// sealedTotals are counts as an archive has them.
func sealedTotals(counts []health.Sealed) []archive.SealedTotal {
	totals := make([]archive.SealedTotal, len(counts))
	for i, c := range counts {
		totals[i] = archive.SealedTotal(c)
	}
	return totals
}
