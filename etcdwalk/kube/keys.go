package kube

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// An Object says what a key stands for.
type Object struct {
	// Group and Resource are the kind's; the group is empty for core and for
	// compiled-in resources that kubeferry does not know.
	Group, Resource string
	// Namespace is empty for what is cluster scoped.
	Namespace, Name string
}

// A spot is where a key lies. Its slices point into the key.
type spot struct {
	place         // kind is nil if it is not compiled in, and then class is empty
	prefix string // of the space
	dir    []byte // prefix, path and slash: the start of the kind's range
	path   []byte
	rest   []byte // [namespace/]name, if the key is an object's
}

// locate finds the kind that a key belongs to. The first segment is a group if
// it has a dot, else a resource.
func (l *Layout) locate(key []byte) (spot, bool) {
	for i := range l.spaces {
		s := &l.spaces[i]
		if len(key) < len(s.prefix) || string(key[:len(s.prefix)]) != s.prefix {
			continue
		}
		below := key[len(s.prefix):]
		n := s.pathLen(below)
		if n < 0 {
			return spot{}, false
		}
		found := spot{prefix: s.prefix, path: below[:n], rest: below[n+1:], dir: key[:len(s.prefix)+n+1]}
		found.place = s.places[string(found.path)]
		return found, true
	}
	return spot{}, false
}

// pathLen is the length of the kind's path at the start of a key below its
// prefix, -1 if there is none. A slash follows the path.
func (s *space) pathLen(below []byte) int {
	n := bytes.IndexByte(below, '/')
	if n < 0 || !isSegment(below[:n]) {
		return -1
	}
	if s.folders[string(below[:n])] {
		return s.knownLen(below, n)
	}
	if bytes.IndexByte(below[:n], '.') < 0 {
		return n
	}
	second, _, found := bytes.Cut(below[n+1:], []byte("/"))
	if !found || !isSegment(second) || bytes.IndexByte(second, '.') >= 0 {
		return -1
	}
	return n + 1 + len(second)
}

// knownLen is the length of the path of a kind that lies deeper than its first
// segment, which n is the length of. What else may lie there is no kind.
func (s *space) knownLen(below []byte, n int) int {
	for range deepest - 1 {
		more := bytes.IndexByte(below[n+1:], '/')
		if more < 0 {
			return -1
		}
		n += 1 + more
		if _, known := s.places[string(below[:n])]; known {
			return n
		}
	}
	return -1
}

// isSegment tells whether b can be the group or the resource in a path: lower
// case letters, digits, dashes and dots, none of the latter two at its ends.
func isSegment(b []byte) bool {
	for i, c := range b {
		inner := i > 0 && i < len(b)-1 && (c == '-' || c == '.')
		if !inner && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return len(b) > 0
}

// custom tells whether the spot is that of a custom resource.
func (s spot) custom() bool { return s.kind == nil && bytes.IndexByte(s.path, '/') >= 0 }

// group and resource of the spot's kind.
func (s spot) resource() (group, resource string) {
	if s.kind != nil {
		return s.kind.Group, s.kind.Plural
	}
	path := string(s.path)
	if group, resource, ok := strings.Cut(path, "/"); ok {
		return group, resource
	}
	return "", path
}

// names are the namespace and name in the rest of the key, if it is an object's.
func (s spot) names() (namespace, name string, ok bool) {
	if s.kind == nil && !holdsObjects(s.path) {
		return "", "", false
	}
	name = string(s.rest)
	if i := strings.IndexByte(name, '/'); i >= 0 {
		namespace, name = name[:i], name[i+1:]
		if !isNamespace(namespace) {
			return "", "", false
		}
	}
	if s.kind != nil && s.kind.Namespaced != (namespace != "") {
		return "", "", false
	}
	return namespace, name, isName(name)
}

// holdsObjects tells bitmaps and the leases of API servers from resources.
func holdsObjects(path []byte) bool {
	switch string(path) {
	case "masterleases", "peerserverleases", "ranges":
		return false
	}
	return true
}

// isNamespace tells whether s is a DNS label, which namespaces must be.
func isNamespace(s string) bool {
	return len(s) <= 63 && !strings.Contains(s, ".") && isSegment([]byte(s))
}

// isName tells whether an API server accepts s as part of a path, the least that
// it asks of any name.
func isName(s string) bool {
	return s != "" && s != "." && s != ".." && utf8.ValidString(s) &&
		!strings.ContainsAny(s, "/%") && !strings.ContainsFunc(s, unicode.IsControl)
}

// Parse says which object a key is, or that it is opaque: outside the prefixes,
// no object, or of a form that no API server writes.
func (l *Layout) Parse(key []byte) (Object, bool) {
	s, ok := l.locate(key)
	if !ok {
		return Object{}, false
	}
	namespace, name, ok := s.names()
	if !ok {
		return Object{}, false
	}
	group, resource := s.resource()
	return Object{Group: group, Resource: resource, Namespace: namespace, Name: name}, true
}

// Classify tells what a key belongs to, whether or not it parses. The ranges of
// two kinds never overlap. The range's bytes must not be changed.
func (l *Layout) Classify(key []byte) etcdwalk.Class {
	s, ok := l.locate(key)
	if !ok {
		return etcdwalk.Class{}
	}
	class := s.class
	if s.kind == nil {
		group, resource := s.resource()
		class.Kind, class.Range = qualified(resource, group), etcdwalk.Prefix(string(s.dir))
	}
	class.Prefix = s.prefix
	if namespace, name, ok := s.names(); ok {
		class.Namespace, class.Name = namespace, name
	}
	return class
}
