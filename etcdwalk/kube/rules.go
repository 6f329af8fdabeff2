package kube

import (
	"bytes"
	"errors"
	"fmt"

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
	Leave                 // not written, and counted
	Never                 // not written, whatever anybody says
)

// A Verdict is what the rules say of one key in a restore.
type Verdict struct {
	Severity Severity
	Reason   string // empty if it is allowed
}

// A rule is a hazard: what must not be written, and why. It covers the key that
// is its path, and all keys in the range of its path.
type rule struct {
	path      string
	scenarios []Scenario // empty: all
	severity  Severity
	reason    string
}

// compactKey is where API servers keep the revision compacted last (apiserver:
// pkg/storage/etcd3/compact.go).
const compactKey = "compact_rev_key"

// rules is the table of hazards, the first that covers a key decides.
var rules = []rule{
	{compactKey, nil, Never, "it steers compaction and the caches of the API servers"},
	{"masterleases", nil, Never, "it would make a ghost API server of one that is gone"},
	{"peerserverleases", nil, Never, "it would make a ghost API server of one that is gone"},
	{"ranges", []Scenario{ScenarioSame}, Leave, "restoring an old allocation map could hand out a node port twice; left to the API server"},
	{"rangeallocations", []Scenario{ScenarioSame}, Leave, "restoring an old allocation map could hand out the user ids of a namespace twice; left to OpenShift"},
	{"ipaddresses", []Scenario{ScenarioSame}, Leave, "the API server recreates them for the Services that exist"},
}

// Judge says whether an entry may be written in a restore.
func (l *Layout) Judge(s Scenario, e etcdwalk.Entry) Verdict {
	at, found := l.locate(e.Key)
	for _, r := range rules {
		if r.appliesTo(s) && r.covers(e.Key, at, found) {
			return Verdict{Severity: r.severity, Reason: r.reason}
		}
	}
	return Verdict{}
}

func (r rule) appliesTo(s Scenario) bool {
	for _, each := range r.scenarios {
		if each == s {
			return true
		}
	}
	return len(r.scenarios) == 0
}

// covers looks at the key's place in the layout. What is never to be written is
// found below a prefix that the layout does not know, too: there, any segment
// will do.
func (r rule) covers(key []byte, at spot, found bool) bool {
	if string(key) == r.path || (found && string(at.path) == r.path) {
		return true
	}
	foreign := !found || (at.kind == nil && !at.custom())
	return foreign && r.severity == Never && bytes.Contains(key, []byte("/"+r.path+"/"))
}

// ErrValue: an API server would not find under this key what it expects there.
var ErrValue = errors.New("the value does not belong under its key")

// CheckValue tells whether a value may be written under a key. If the key is an
// object's, of a kind that is known or custom, the value must be in one of the
// encodings and, where it can be read, bear the key's name and namespace:
// else the API server's lists and caches of the whole kind break. Values that
// are encrypted cannot be read and pass. Opaque keys take any value. The
// error is an [ErrValue].
func (l *Layout) CheckValue(key, value []byte) error {
	s, found := l.locate(key)
	if !found || (s.kind == nil && !s.custom()) {
		return nil
	}
	namespace, name, ok := s.names()
	if !ok {
		return nil
	}
	encoding, meta, err := object.Read(value)
	switch {
	case errors.Is(err, object.ErrNoObject):
		return fmt.Errorf("key %q: %w: %w", key, ErrValue, object.ErrNoObject)
	case encoding.Encrypted():
		return nil
	case err != nil:
		return fmt.Errorf("key %q: %w: %w", key, ErrValue, err)
	}
	if meta.Name != name || meta.Namespace != namespace {
		return fmt.Errorf("key %q: %w: its metadata names %s", key, ErrValue, named(meta))
	}
	return nil
}

// named names the object for an error. What does not look like a name may be
// anything, a secret too, and is not repeated.
func named(m object.Meta) string {
	switch {
	case !isName(m.Name), m.Namespace != "" && !isNamespace(m.Namespace):
		return "no object that can exist"
	case !isSegment([]byte(m.Name)):
		return "another object"
	}
	if m.Namespace == "" {
		return fmt.Sprintf("%q", m.Name)
	}
	return fmt.Sprintf("%q in namespace %q", m.Name, m.Namespace)
}
