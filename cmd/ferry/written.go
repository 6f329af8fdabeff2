package ferry

import (
	"hash/maphash"
	"slices"

	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// written remembers the keys that an apply wrote, 8 bytes for each: a hash under a seed of
// this run. That two keys have the same one only means that one more is looked at.
type written struct {
	seed   maphash.Seed
	hashes []uint64
	sorted bool
	last   int64 // the highest revision of a write
}

func newWritten() *written { return &written{seed: maphash.MakeSeed()} }

func (w *written) hash(key []byte) uint64 { return maphash.Bytes(w.seed, key) }

// add takes what became of a key.
func (w *written) add(line replay.Line) {
	if line.Fate != replay.Created && line.Fate != replay.Replaced {
		return
	}
	w.hashes, w.sorted = append(w.hashes, w.hash(line.Key)), false
	w.last = max(w.last, line.Revision)
}

// has tells whether a key was written.
func (w *written) has(key []byte) bool {
	if !w.sorted {
		slices.Sort(w.hashes)
		w.sorted = true
	}
	_, found := slices.BinarySearch(w.hashes, w.hash(key))
	return found
}
