package health

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// A Severity says how bad a finding is.
type Severity string

// The severities, the worst first.
const (
	Broken  Severity = "broken"  // something does not work, or hurts others
	Warning Severity = "warning" // it will, or may
	Note    Severity = "note"    // good to know
)

// Rank orders severities: the worst is 0.
func (s Severity) Rank() int { return slices.Index([]Severity{Broken, Warning, Note}, s) }

// A Finding is what is wrong, with all that it is wrong with.
type Finding struct {
	Severity Severity `json:"severity"`
	// Check is the name of what was looked for. Where a rule of restores is about the same,
	// it is that of the rule.
	Check  string `json:"check"`
	Reason string `json:"reason"`
	// Help is the command that helps, or that tells more: for the first of the objects.
	Help  string `json:"help"`
	Count int64  `json:"count"`
	// Objects are the first of them.
	Objects []Object `json:"objects"`
}

// An Object is what something is wrong with.
type Object struct {
	Key  string `json:"key,omitempty"` // readable
	Name string `json:"name"`          // as kubectl calls it; the key if it is no object's
	Why  string `json:"why,omitempty"` // what it is about this one
}

// maxObjects is how many objects of a finding are named.
const maxObjects = 50

// Add counts one more that the same is wrong with, and names it if it is one of the first.
func (f *Finding) Add(o Object) {
	if f.Count++; len(f.Objects) < maxObjects {
		f.Objects = append(f.Objects, o)
	}
}

// Sort puts findings in their order: the worst first, and then by name.
func Sort(findings []Finding) {
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Severity.Rank(), b.Severity.Rank()), cmp.Compare(a.Check, b.Check))
	})
}

// A check is what is looked for in a view: a Finding without objects. Of its help {object},
// {name} and {key} stand for the first of these.
type check struct {
	severity           Severity
	name, reason, help string
}

// The checks.
func mismatched() check {
	return check{Broken, "key-and-metadata", "the value names another object than its key does: API servers answer requests for the one with the other, and their caches of the kind go wrong",
		"kubeferry restore {object} --from ARCHIVE --on-conflict=overwrite"}
}

func unstorable() check {
	return check{Broken, "unstorable", "no API server can read the value, and so none can list the kind: its controllers, and the deletion of namespaces, stand still",
		"kubeferry restore {object} --from ARCHIVE --on-conflict=overwrite"}
}

func unopened() check {
	return check{Warning, kube.Sealed, "the keys given do not open the value: an API server with this configuration cannot list the kind",
		"kubeferry get {object} --encryption-config FILE"}
}

func ghost() check {
	return check{Broken, "ghost-api-server", "nothing keeps the key alive and nothing takes it away, as an API server's own: it sends the cluster's clients to a server that may be gone",
		"etcdctl del {key}"}
}

func terminating() check {
	return check{Warning, "terminating", "it is being deleted, and waits for what its finalizers are waiting for",
		"kubectl get {object} -o yaml"}
}

func twice() check {
	return check{Broken, kube.Addresses, "two Services with one address or node port: traffic of the one reaches the other",
		"kubectl get {object} -o yaml > service.yaml; take the address and the nodePort out; kubectl replace --force -f service.yaml"}
}

// unhoused is broken, where custom resources without their definition are a warning: those
// nobody sees, and on what lies in no namespace kubelets and controllers go on working, and fail.
func unhoused() check {
	return check{Broken, "no-namespace", "objects lie in a namespace that is not there: API servers refuse every change of them, and the namespace controller never deletes them",
		"kubeferry restore {object} --from ARCHIVE, or kubectl create {name}"}
}

func undefined() check {
	return check{Warning, "no-definition", "custom resources without their definition: nobody sees or deletes them, and they are all back once the definition is",
		"kubeferry restore {object} --from ARCHIVE"}
}

func unserved() check {
	return check{Broken, kube.StoredVersions, "the definition has lost the version that objects are stored in: API servers cannot list the kind",
		"kubeferry restore CRD --from ARCHIVE --on-conflict=overwrite, and then migrate what is stored: kubectl get KIND -A -o yaml | kubectl replace -f -"}
}

func orphaned() check {
	return check{Warning, "orphans", "none of its owners is there: the garbage collector deletes it",
		`kubectl patch {object} --type=json -p '[{"op":"remove","path":"/metadata/ownerReferences"}]' keeps it`}
}

func unleased() check {
	return check{Warning, "events-without-lease", "nothing ends the event: it stays until somebody deletes it",
		"kubectl delete {object}"}
}

// reclaimed is a warning, although a disk goes: who deletes a claim may want just that, and
// until the controller is through every cluster has such volumes. That a restore would make one
// of them is what its rule is for.
func reclaimed() check {
	return check{Warning, kube.Reclaimed, "its reclaim policy is Delete, and it is Released, Failed, or without its claim: a controller deletes the disk",
		`kubectl patch {object} -p '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}' keeps the disk`}
}

// found are the findings in a view, by the names of their checks.
type found struct {
	layout  *kube.Layout
	byCheck map[string]*Finding
}

// add takes what is wrong with what lies under a key.
func (f *found) add(c check, key []byte, why string) {
	all := f.byCheck[c.name]
	if all == nil {
		object := strings.NewReplacer("{object}", cmp.Or(f.layout.Words(key), "KIND/NAME"), "{name}", f.layout.Name(key), "{key}", shell(string(key)))
		all = &Finding{Severity: c.severity, Check: c.name, Reason: c.reason, Help: object.Replace(c.help)}
		f.byCheck[c.name] = all
	}
	if all.Count++; len(all.Objects) < maxObjects {
		all.Objects = append(all.Objects, Object{Key: readable(string(key)), Name: readable(f.layout.Name(key)), Why: why})
	}
}

// findings are all of them, in their order. They are never nil.
func (f *found) findings() []Finding {
	all := []Finding{}
	for _, one := range f.byCheck {
		all = append(all, *one)
	}
	Sort(all)
	return all
}

// readable is a key that may be shown and is valid in JSON.
func readable(key string) string {
	quoted := strconv.Quote(key)
	return quoted[1 : len(quoted)-1]
}

// shell is a key as a shell takes it.
func shell(key string) string { return "'" + strings.ReplaceAll(key, "'", `'\''`) + "'" }
