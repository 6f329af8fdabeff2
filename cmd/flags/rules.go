package flags

import (
	"github.com/spf13/pflag"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// Rules are the flags that say what may be written into a cluster, and how.
type Rules struct {
	s *Settings

	Policy        replay.Policy
	Scenario      kube.Scenario
	ClusterIs     []string // what the target is said to be; empty: nothing
	Allow         []string // rules that may be broken, by name
	WithOwners    bool     // what the selection needs is taken along
	WithOwned     bool     // what it owns is taken along
	DeleteExtra   bool     // what the source has not and the cluster has is deleted
	RetainVolumes bool     // those whose disk would be deleted come back with policy Retain
	Quota         int64    // of the target's database, in bytes; 0: not known
	MaxMemory     int64    // for who owns whom, in bytes
	Regrant       bool     // keys under a lease are written too
	Raw           bool     // values in no form that Kubernetes stores are written too
	InFlight      int      // 0: one, throttled by how fast the cluster answers
	QPS           int      // keys written in a second at most; 0: not limited
}

// AddFlags adds the flags.
func (f *Rules) AddFlags(set *pflag.FlagSet, s *Settings) {
	f.s = s
	group(set, titleRules, "", func(own *pflag.FlagSet) {
		Enum(own, &f.Policy, "on-conflict", "if a key differs in the cluster (fail writes nothing at all)",
			Choice[replay.Policy]{Word: "fail", Value: replay.Fail, Help: "write nothing at all"},
			Choice[replay.Policy]{Word: "skip", Value: replay.Skip, Help: "leave it", Alias: []string{"none"}}, // Velero's words
			Choice[replay.Policy]{Word: "overwrite", Value: replay.Overwrite, Help: "replace it", Alias: []string{"update"}},
			Choice[replay.Policy]{Word: "newer", Value: replay.Newer, Help: "take the newer value, by revision"})
		Enum(own, &f.Scenario, "scenario", "undo an accident in the same cluster, or fill a new etcd whose API server is stopped",
			Choice[kube.Scenario]{Word: "same", Value: kube.ScenarioSame, Help: "undo an accident in the same cluster"},
			Choice[kube.Scenario]{Word: "new", Value: kube.ScenarioNew, Help: "fill a new etcd, its API server stopped"},
			Choice[kube.Scenario]{Word: "migrate", Refused: "it is not supported yet: its rules for another cluster's nodes, addresses and tokens do not exist"})
		own.StringSliceVar(&f.ClusterIs, "cluster-is", nil, "the `UID` of the target's kube-system, or its etcd cluster id where that cannot be read; any other target is refused")
		own.StringSliceVar(&f.Allow, "allow", nil, "break the `RULE` of that name; repeatable (kubeferry help rules)")
		own.BoolVar(&f.WithOwners, "with-owners", false, "also restore what the selection needs and the cluster has not: owners, namespaces, definitions, accounts, volumes")
		own.BoolVar(&f.WithOwned, "with-owned", false, "also restore what the selection owns, as a Deployment owns ReplicaSets")
		own.BoolVar(&f.DeleteExtra, "delete-extra", false, "delete what the cluster holds within the selection and the archive does not; it is listed, and asked for by itself")
		own.BoolVar(&f.RetainVolumes, "retain-volumes", false, "restore volumes whose disk would be deleted, with reclaim policy Retain instead of Delete")
		Enum(own, &f.Regrant, "leases", "keys under an etcd lease: skip, or restore them for the remaining time",
			Choice[bool]{Word: "skip", Help: "leave them out"},
			Choice[bool]{Word: "regrant", Value: true, Help: "grant their remaining time again"})
		own.IntVar(&f.InFlight, "max-in-flight", 0, "concurrent write batches, 1–32 (default 1, throttled by latency; use 16 for an empty etcd)")
		own.IntVar(&f.QPS, "qps", 0, "write at most `N` keys a second (default as many as the cluster takes)")
		own.Int64Var(&f.Quota, "target-quota", 0, "the `BYTES` of the target's --quota-backend-bytes, which an etcd before 3.6 does not tell")
		own.Int64Var(&f.MaxMemory, "max-memory", maxMemory, "the most `BYTES` to remember who owns whom in: 8 for an object, 24 for an owner's reference")
		own.BoolVar(&f.Raw, "raw", false, "also write values that are not valid Kubernetes objects")
	})
}

// maxMemory is enough for ten million objects with an owner each.
const maxMemory = 256 << 20

// mostInFlight bounds --max-in-flight: more helps no target, and costs memory.
const mostInFlight = 32

// Check refuses rules that contradict each other.
func (f *Rules) Check() error {
	switch {
	case f.Scenario == kube.ScenarioNew && f.s.Typed("cluster-is"):
		return console.Usagef("--cluster-is says which cluster the target is; with --scenario=new it is none yet")
	case f.Scenario == kube.ScenarioNew && (f.WithOwners || f.WithOwned):
		return console.Usagef("--with-owners and --with-owned look at what lives in the target; with --scenario=new nothing does yet: select what is to be restored")
	case f.Scenario == kube.ScenarioNew && f.DeleteExtra:
		return console.Usagef("--delete-extra is for a living cluster; with --scenario=new there is nothing to delete yet")
	case f.Scenario == kube.ScenarioNew && f.RetainVolumes:
		return console.Usagef("--retain-volumes is for volumes whose claim a living cluster has not; with --scenario=new all come back as they were")
	case f.QPS < 0:
		return console.Usagef("--qps=%d: it takes a number of keys; 0 sets no limit", f.QPS)
	case f.Quota < 0:
		return console.Usagef("--target-quota=%d: it takes a number of bytes", f.Quota)
	case f.MaxMemory <= 0:
		return console.Usagef("--max-memory=%d: it takes a number of bytes", f.MaxMemory)
	case f.s.Origin("max-in-flight") != "default" && (f.InFlight < 1 || f.InFlight > mostInFlight):
		return console.Usagef("--max-in-flight=%d: it takes 1 to %d", f.InFlight, mostInFlight)
	}
	_, err := kube.NewRules(nil, f.Scenario, f.Allow...)
	return err
}
