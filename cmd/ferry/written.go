package ferry

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"iter"
	"slices"
	"sync"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// written remembers the keys that an apply wrote, 16 bytes for each: a hash under a seed of
// this run, and the revision. That two keys have the same hash only means that one more is
// looked at.
type written struct {
	seed maphash.Seed
	keys revisions
	gone [][]byte // keys that were deleted

	read []fingerprint // of what the apply read

	mu     sync.Mutex
	beside revisions // of what was there and has owners
}

// revisions are those of keys, by the hashes of these.
type revisions struct {
	all    []revised
	sorted bool
}

type revised struct {
	hash     uint64
	revision int64
}

func (r *revisions) add(hash uint64, revision int64) {
	r.all, r.sorted = append(r.all, revised{hash, revision}), false
}

// of is the revision of a key, the lowest if several have its hash.
func (r *revisions) of(hash uint64) (revision int64, found bool) {
	if !r.sorted {
		slices.SortFunc(r.all, func(a, b revised) int {
			return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.revision, b.revision))
		})
		r.sorted = true
	}
	at, found := slices.BinarySearchFunc(r.all, hash, func(k revised, hash uint64) int { return cmp.Compare(k.hash, hash) })
	if !found {
		return 0, false
	}
	return r.all[at].revision, true
}

// stand notes what was there.
func (w *written) stand(have etcdwalk.Entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.beside.add(w.hash(have.Key), have.ModRevision)
}

// watched tells whether a key is to be looked at again: it was written, or stood beside.
func (w *written) watched(key []byte) bool {
	_, stood := w.beside.of(w.hash(key))
	return stood || w.has(key)
}

// revision is the one at which a key was written, or was there.
func (w *written) revision(key []byte) int64 {
	hash := w.hash(key)
	if revision, found := w.keys.of(hash); found {
		return revision
	}
	revision, _ := w.beside.of(hash)
	return revision
}

// A fingerprint tells of an entry what a restore carries: 16 bytes, by which what is read
// back is compared. That another value under the key has the same one happens once in 2⁶⁴.
type fingerprint struct{ key, content uint64 }

// fingerprint is that of an entry.
func (w *written) fingerprint(e etcdwalk.Entry) fingerprint {
	content := maphash.Bytes(w.seed, e.Value)
	if e.Lease != 0 {
		content = ^content
	}
	return fingerprint{w.hash(e.Key), content}
}

// fingerprinting is a view whose walks leave fingerprints.
type fingerprinting struct {
	etcdwalk.View
	written *written
}

// Walk implements [etcdwalk.View].
func (v fingerprinting) Walk(ctx context.Context, sel etcdwalk.Selection) iter.Seq2[etcdwalk.Entry, error] {
	return func(yield func(etcdwalk.Entry, error) bool) {
		for e, err := range v.View.Walk(ctx, sel) {
			if err == nil {
				v.written.read = append(v.written.read, v.written.fingerprint(e))
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// wanted are the fingerprints of what was written, by key; none if they were not taken.
func (w *written) wanted() []fingerprint {
	slices.SortFunc(w.read, func(a, b fingerprint) int { return cmp.Compare(a.key, b.key) })
	w.read = slices.DeleteFunc(w.read, func(f fingerprint) bool { return !w.holds(f.key) })
	return w.read
}

func newWritten() *written { return &written{seed: maphash.MakeSeed()} }

func (w *written) hash(key []byte) uint64 { return maphash.Bytes(w.seed, key) }

// add takes what became of a key.
func (w *written) add(line replay.Line) {
	if line.Fate == replay.Deleted {
		w.gone = append(w.gone, bytes.Clone(line.Key))
		return
	}
	if !line.Fate.Changes() {
		return
	}
	w.keys.add(w.hash(line.Key), line.Revision)
}

// has tells whether a key was written.
func (w *written) has(key []byte) bool { return w.holds(w.hash(key)) }

func (w *written) holds(hash uint64) bool {
	_, found := w.keys.of(hash)
	return found
}

// again tells which of the keys that were deleted are there.
func (w *written) again(ctx context.Context, target etcdwalk.Target, tell func(key []byte)) error {
	for some := range slices.Chunk(w.gone, watchKeys) {
		heads, err := target.Heads(ctx, some)
		if err != nil {
			return fmt.Errorf("look whether what was deleted stays away: %w", err)
		}
		for i, head := range heads {
			if head != 0 {
				tell(some[i])
			}
		}
	}
	return nil
}
