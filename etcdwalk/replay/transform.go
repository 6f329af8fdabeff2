package replay

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// transform tells what an entry becomes, and what its key was if it is another.
func (p *pass) transform(e etcdwalk.Entry) (changed etcdwalk.Entry, from []byte, err error) {
	if p.Transform == nil {
		return e, nil, nil
	}
	if changed, err = p.become(e); err != nil {
		return e, nil, err
	}
	if !p.landed.add(changed.Key) {
		return e, nil, fmt.Errorf("key %q becomes %q, and so does another: %w", e.Key, changed.Key, etcdwalk.ErrRefused)
	}
	if !bytes.Equal(changed.Key, e.Key) {
		from = e.Key
	}
	return changed, from, nil
}

// become asks the job. Whatever it answers, what was encoded before is not it.
func (j Job) become(e etcdwalk.Entry) (etcdwalk.Entry, error) {
	changed, err := j.Transform(e)
	if err != nil {
		return e, fmt.Errorf("transforming key %q: %w", e.Key, err)
	}
	if len(changed.Key) == 0 {
		return e, fmt.Errorf("transforming key %q: no key came of it: %w", e.Key, etcdwalk.ErrInvariant)
	}
	changed.Record = nil
	return changed, nil
}

// landed are keys, each by the beginning of its SHA-256.
type landed map[[16]byte]struct{}

// add tells whether the key is a new one.
func (l landed) add(key []byte) bool {
	sum := sha256.Sum256(key)
	id := [16]byte(sum[:16])
	if _, there := l[id]; there {
		return false
	}
	l[id] = struct{}{}
	return true
}
