package kube

import (
	"errors"
	"fmt"

	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

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
