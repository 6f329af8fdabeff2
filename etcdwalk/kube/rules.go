package kube

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// A Scenario is what a restore is for. It is a flag value that parses itself.
type Scenario int

// The scenarios that have rules.
const (
	ScenarioSame Scenario = iota // undo an accident in the same cluster
	ScenarioNew                  // onto a fresh control plane, API servers down
)

// String returns the scenario's name.
func (s Scenario) String() string { return [...]string{"same", "new"}[s] }

// A Severity says how a rule binds.
type Severity int

// The severities.
const (
	Allow Severity = iota // no rule objects
	Warn                  // it is said
	Check                 // if it is to be written, the whole restore is refused
	Leave                 // not written, and counted
	Never                 // not written, whatever anybody says
)

// String is the severity as the list of rules has it.
func (s Severity) String() string { return [...]string{"allow", "warn", "check", "skip", "never"}[s] }

// A Verdict is what the rules say of one key in a restore.
type Verdict struct {
	Severity Severity
	Rule     string // its name; empty if it is allowed
	Reason   string
}

// A Rule is a hazard: what must not be written, and why.
type Rule struct {
	Name     string
	Severity Severity
	What     string // is covered, in words
	Reason   string

	scenarios []Scenario // empty: all
	path      string     // of the kind or key that is covered
	applies   func(j *judged) bool
}

// judged is an entry before its judge, with its metadata once somebody wants it.
type judged struct {
	entry etcdwalk.Entry
	rules *Rules
	meta  *object.Meta
}

// class is what the key says; only some rules want to know it.
func (j *judged) class() etcdwalk.Class { return j.rules.layout.Classify(j.entry.Key) }

// about is the object's metadata; empty if it cannot be read.
func (j *judged) about() object.Meta {
	if j.meta == nil {
		j.meta = &object.Meta{}
		if m, err := j.rules.Opener.Read(context.Background(), j.entry.Key, j.entry.Value); err == nil {
			j.meta = &m
		}
	}
	return *j.meta
}

// controlled tells whether a controller made the object, and makes it anew.
func (j *judged) controlled() bool {
	return slices.ContainsFunc(j.about().Owners, func(o object.Owner) bool { return o.Controller })
}

// ofService tells whether Endpoints are those of a Service with a selector, which the
// endpoints controller makes. It says so since Kubernetes 1.33.
func (j *judged) ofService() bool {
	if j.about().Labels["endpoints.kubernetes.io/managed-by"] == "endpoint-controller" {
		return true
	}
	return j.rules.Selecting != nil && j.rules.Selecting(j.class())
}

// alone tells whether an IPAddress does not come along with its Service.
func (j *judged) alone() bool { return j.rules.Allotted == nil || !j.rules.Allotted(j.entry.Key) }

// ofAPIServer tells whether Endpoints or their slices are those of the API servers.
func (j *judged) ofAPIServer() bool {
	class := j.class()
	return class.Namespace == "default" && class.Name == "kubernetes"
}

// joinsNodes tells whether a Secret is a token by which nodes join (kubeadm: bootstrap tokens).
func (j *judged) joinsNodes() bool {
	class := j.class()
	return class.Namespace == "kube-system" && strings.HasPrefix(class.Name, "bootstrap-token-")
}

// compactKey is where API servers keep the revision compacted last (apiserver:
// pkg/storage/etcd3/compact.go).
const compactKey = "compact_rev_key"

// same are the rules of a restore into a cluster that lives.
func same() []Scenario { return []Scenario{ScenarioSame} }

// Hazards are the rules of restores: the first that covers a key decides.
func Hazards() []Rule {
	const (
		ghost   = "it would make a ghost API server of one that is gone"
		twice   = "an old allocation map could hand out what is taken since; left to the API server"
		anew    = "its controller makes it anew"
		ran     = anew + "; put back, it would claim to run, with an address that may be another's"
		reached = "it would send all of the cluster's own clients to API servers of then"
	)
	return []Rule{
		{"compaction", Never, "compact_rev_key", "it steers compaction and the caches of the API servers", nil, compactKey, nil},
		{"api-server-leases", Never, "masterleases", ghost, nil, "masterleases", nil},
		{"api-server-leases", Never, "peerserverleases", ghost, nil, "peerserverleases", nil},
		{"api-server-endpoints", Never, "endpoints default/kubernetes", reached, same(), "services/endpoints", (*judged).ofAPIServer},
		{"api-server-endpoints", Never, "endpointslices default/kubernetes", reached, same(), "endpointslices", (*judged).ofAPIServer},
		{"leader-leases", Never, "leases", "a controller that finds an old holder in its lease gives up and ends; heartbeats of nodes would be old", same(), "leases", nil},
		{"allocations", Leave, "ranges", twice, same(), "ranges", nil},
		{"allocations", Leave, "rangeallocations of OpenShift", twice, same(), "rangeallocations", nil},
		{"derived", Leave, "ipaddresses, but of Services that come back", "the API server makes them anew for the Services that exist", same(), "ipaddresses", (*judged).alone},
		{"derived", Leave, "pods with a controller", ran, same(), "pods", (*judged).controlled},
		{"derived", Leave, "endpointslices of a Service or of Endpoints", anew, same(), "endpointslices", (*judged).controlled},
		{"derived", Leave, "endpoints of a Service with a selector", anew, same(), "services/endpoints", (*judged).ofService},
		{"certificate-requests", Leave, "certificatesigningrequests", "an old request could be approved and issued anew", same(), "certificatesigningrequests", nil},
		{Closure, Check, "what needs an owner, a namespace, a definition, an account or a volume", "without it, controllers delete the object or nobody can reach it; what is meant must be in the cluster or selected too", same(), "", nil},
		{TurnedBack, Check, "everything, where the target's revision is below the archive's and API servers live", "API servers that ran before then serve the old world, and lists without what is restored, until they are restarted", same(), "", nil},
		{Deleting, Check, "objects with a deletionTimestamp", "it would be deleted at once, or wait for a finalizer that nobody takes off", same(), "", nil},
		{Deleting, Check, "objects of a namespace that is being deleted in the cluster", "they would be deleted with it; its Namespace object, restored too with --on-conflict=overwrite, stops that", same(), "", nil},
		{Collecting, Check, "objects that are still there while their owners, which come back, are gone", "the garbage collector is at work on them, and goes on although the owners come back", same(), "", nil},
		{DeleteFinalizers, Check, "objects with finalizers that an undo or --delete-extra would delete", "whoever is to do something before they go would not be asked", same(), "", nil},
		{DeleteVolumes, Check, "persistentvolumeclaims, and persistentvolumes with policy Delete, that an undo or --delete-extra would delete", "with them their disks may go", same(), "", nil},
		{Collecting, Check, "persistentvolumeclaims whose volume is Released or Failed with policy Delete", "a controller is about to delete its disk", same(), "", nil},
		{Reclaimed, Never, "persistentvolumes with policy Delete, without their claim or in phase Released or Failed", "the disk behind it would be deleted; --retain-volumes brings it back with policy Retain", same(), "", nil},
		{RunningJobs, Check, "jobs that have not finished", "it would run again from the beginning", same(), "", nil},
		{Operators, Check, "custom resources that another one controls", "the operator that made it may be running, and answers while it is written: stop it first", same(), "", nil},
		{Sealed, Check, "values sealed at rest by what seals no value of the kind in the cluster", "the API server could not read it, and then cannot list the kind", same(), "", nil},
		{Addresses, Check, "services whose address or node port another has, or whose node port is none of the cluster's", "two Services with one address or port break both; a port beyond the range is never marked as taken", same(), "", nil},
		{Adoption, Check, "what is to be adopted by an owner that comes back, where another controller selects it too", "the other could adopt it first", same(), "", nil},
		{HomelessPods, Check, "pods of a node that the cluster has not", "nobody would run them, and they would be deleted", same(), "", nil},
		{StoredVersions, Check, "custom resources in a version that their definition in the cluster has no more", "the API server could not read them, and then cannot list the kind", same(), "", nil},
		{DeadWebhooks, Check, "webhook configurations, apiservices and definitions whose Service is missing", "requests that need it would fail: writes, deletions of namespaces, the kind's objects", same(), "", nil},
		{MissedSchedules, Warn, "cronjobs that are not suspended", "one may run at once, for a time that has passed", same(), "", nil},
		{AbsentOwners, Warn, "objects of which one owner is missing, and another is not", "the garbage collector takes the reference off", same(), "", nil},
		{"bootstrap-tokens", Leave, "secrets kube-system/bootstrap-token-*", "a token by which nodes join would be valid again", same(), "secrets", (*judged).joinsNodes},
	}
}

// The names of the rules about what would be written: they depend on what the target
// holds, and on what else is written. [Rules.Judge] leaves them to who knows that.
const (
	Closure    = "closure"
	TurnedBack = "turned-back"
	Deleting   = "deleting"
	Collecting = "collecting"

	DeleteFinalizers = "delete-finalizers"
	DeleteVolumes    = "delete-volumes"

	Reclaimed   = "reclaimed-volumes"
	RunningJobs = "running-jobs"
	Operators   = "operator-alive"
	Sealed      = "sealed"
	Addresses   = "addresses"
	Adoption    = "adoption"

	HomelessPods    = "homeless-pods"
	StoredVersions  = "stored-versions"
	DeadWebhooks    = "dead-webhooks"
	MissedSchedules = "missed-schedules"
	AbsentOwners    = "absent-owners"
)

// Binds tells whether a rule is in force, by its name.
func (rules *Rules) Binds(name string) bool {
	return slices.ContainsFunc(rules.table, func(r Rule) bool { return r.Name == name })
}

// In says in which scenarios a rule counts.
func (r Rule) In() string {
	if len(r.scenarios) == 0 {
		return "all"
	}
	var names []string
	for _, s := range r.scenarios {
		names = append(names, s.String())
	}
	return strings.Join(names, ", ")
}

// Rules judge the entries of one restore. They are made by [NewRules].
type Rules struct {
	Opener *object.Opener // of values that are encrypted at rest; may be nil
	// Selecting tells of Endpoints, by their class, whether the Service of their name has
	// a selector; nil: nothing is known of Services.
	Selecting func(endpoints etcdwalk.Class) bool
	// Allotted tells of the key of an IPAddress whether it comes back with the Service that
	// has it; nil: none does.
	Allotted func(address []byte) bool

	layout *Layout
	table  []Rule
}

// NewRules are the rules of a scenario without those that somebody allows to be broken,
// by name. Unknown names, and those of rules that have no exception, are an [ErrFilter].
func NewRules(layout *Layout, s Scenario, allowed ...string) (*Rules, error) {
	table, known := Hazards(), map[string]bool{}
	for _, r := range table {
		known[r.Name] = true
		if r.Severity == Never && slices.Contains(allowed, r.Name) {
			return nil, fmt.Errorf("rule %s has no exception: %s%.0w", r.Name, r.Reason, ErrFilter)
		}
	}
	for _, name := range allowed {
		if known[name] {
			continue
		}
		if near := nearest(name, known); len(near) > 0 {
			return nil, fmt.Errorf("there is no rule %q: did you mean %s?%.0w", name, orList(near), ErrFilter)
		}
		return nil, fmt.Errorf("there is no rule %q; kubeferry help rules lists them%.0w", name, ErrFilter)
	}
	table = slices.DeleteFunc(table, func(r Rule) bool {
		return slices.Contains(allowed, r.Name) || len(r.scenarios) > 0 && !slices.Contains(r.scenarios, s)
	})
	return &Rules{layout: layout, table: table}, nil
}

// Judge says whether an entry may be written in a restore.
func (rules *Rules) Judge(e etcdwalk.Entry) Verdict {
	at, found := rules.layout.locate(e.Key)
	j := &judged{entry: e, rules: rules}
	for _, r := range rules.table {
		if r.path != "" && r.covers(e.Key, at, found) && (r.applies == nil || r.applies(j)) {
			return Verdict{r.Severity, r.Name, r.Reason}
		}
	}
	return Verdict{}
}

// covers looks at the key's place in the layout. What is never to be written is
// found below a prefix that the layout does not know, too: there, any segment
// will do.
func (r Rule) covers(key []byte, at spot, found bool) bool {
	if string(key) == r.path || (found && string(at.path) == r.path) {
		return true
	}
	foreign := !found || (at.kind == nil && !at.custom())
	always := r.Severity == Never && len(r.scenarios) == 0
	return foreign && always && bytes.Contains(key, []byte("/"+r.path+"/"))
}
