package replay

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// transform tells what an entry becomes, and what its key was if it is another. Whatever
// the job says, the lease stays, and what was encoded before is not it.
func (j Job) transform(e etcdwalk.Entry) (changed etcdwalk.Entry, from []byte, err error) {
	if j.Transform == nil {
		return e, nil, nil
	}
	if changed, err = j.Transform(e); err != nil {
		return e, nil, fmt.Errorf("transform key %q: %w", e.Key, err)
	}
	if len(changed.Key) == 0 {
		return e, nil, fmt.Errorf("transform key %q: no key came of it%.0w", e.Key, etcdwalk.ErrInvariant)
	}
	changed.Lease, changed.Record = e.Lease, nil
	if !bytes.Equal(changed.Key, e.Key) {
		from = e.Key
	}
	return changed, from, nil
}

// landOn refuses a key that another entry has become. from is what it was in the source.
func (p *pass) landOn(key, from []byte) error {
	if p.Transform == nil || p.landed.add(key) {
		return nil
	}
	if from == nil {
		from = key
	}
	return fmt.Errorf("key %q becomes %q, and so does another%.0w", from, key, etcdwalk.ErrRefused)
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
