package doctor

import (
	"fmt"
	"slices"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd3"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/health"
)

// Bounds of what is well with a database: beyond a part of the quota there is no time left to
// think, and below a size nobody need care that most of it is empty.
const (
	nearlyFull = 80 // percent of the quota
	mostlyAir  = 50 // percent of the size
	small      = 100 << 20
)

// ail adds what is wrong with the members, and takes the alarms that they tell of.
func (r *Report) ail() {
	if r.Members == nil {
		return
	}
	alarms, silent, leaderless, full, airy := corruption(), unreachable(), headless(), crowded(), fragmented()
	space := outOfSpace()
	versions := map[string]bool{}
	for _, m := range r.Members {
		o := health.Object{Name: nameOf(m)}
		if m.Problem != "" {
			o.Why = m.Problem
			silent.Add(o)
			continue
		}
		versions[m.Version] = true
		r.Info.Alarms = append(r.Info.Alarms, m.Alarms...)
		if m.Leaderless {
			leaderless.Add(o)
		}
		if m.Quota > 0 && m.Size*100 >= m.Quota*nearlyFull {
			o.Why = fmt.Sprintf("%d MiB of %d MiB", m.Size>>20, m.Quota>>20)
			full.Add(o)
		}
		if m.Size >= small && (m.Size-m.InUse)*100 >= m.Size*mostlyAir {
			o.Why = fmt.Sprintf("%d MiB, of which %d MiB are in use", m.Size>>20, m.InUse>>20)
			airy.Add(o)
		}
	}
	slices.Sort(r.Info.Alarms)
	r.Info.Alarms = slices.Compact(r.Info.Alarms)
	for _, alarm := range r.Info.Alarms {
		if alarm == etcdwalk.AlarmNoSpace {
			space.Add(health.Object{Name: string(alarm)})
		} else {
			alarms.Add(health.Object{Name: string(alarm)})
		}
	}
	for _, f := range []health.Finding{alarms, space, silent, leaderless, full, airy, mixed(versions)} {
		if f.Count > 0 {
			r.Findings = append(r.Findings, f)
		}
	}
	health.Sort(r.Findings)
}

// nameOf is what a member is called: where it is reached, or else its name.
func nameOf(m etcd3.Standing) string {
	switch {
	case m.Endpoint != "":
		return m.Endpoint
	case m.Name != "":
		return "member " + m.Name
	}
	return "member " + m.Member
}

func corruption() health.Finding {
	return health.Finding{Severity: health.Broken, Check: "alarm", Reason: "the members hold different data, and nobody knows which is right",
		Help: "etcdctl endpoint hashkv --cluster tells which member differs: replace it, then etcdctl alarm disarm"}
}

func outOfSpace() health.Finding {
	return health.Finding{Severity: health.Broken, Check: "alarm", Reason: "the quota is used up, and the cluster takes no writes",
		Help: "etcdctl compact REVISION; etcdctl defrag, one member after the other; etcdctl alarm disarm"}
}

func unreachable() health.Finding {
	return health.Finding{Severity: health.Warning, Check: "member", Reason: "it was not reached: what it would say is not known",
		Help: "etcdctl endpoint status --cluster -w table"}
}

func headless() health.Finding {
	return health.Finding{Severity: health.Broken, Check: "leader", Reason: "it knows of no leader, and takes no writes",
		Help: "etcdctl endpoint status --cluster -w table"}
}

func crowded() health.Finding {
	return health.Finding{Severity: health.Warning, Check: "quota", Reason: "the database is nearly as large as its quota allows; then the cluster takes no writes",
		Help: "etcdctl defrag, one member after the other, or raise --quota-backend-bytes"}
}

func fragmented() health.Finding {
	return health.Finding{Severity: health.Note, Check: "fragmentation", Reason: "most of the database is empty",
		Help: "etcdctl defrag, one member after the other; each takes no requests meanwhile"}
}

// mixed: members of several versions are for the time of an upgrade only.
func mixed(versions map[string]bool) health.Finding {
	f := health.Finding{Severity: health.Note, Check: "versions", Reason: "the members are of different versions",
		Help: "etcdctl endpoint status --cluster -w table"}
	if len(versions) < 2 {
		return f
	}
	var all []string
	for v := range versions {
		all = append(all, v)
	}
	slices.Sort(all)
	for _, v := range all {
		f.Add(health.Object{Name: "etcd " + v})
	}
	return f
}
