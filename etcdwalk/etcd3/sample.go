package etcd3

import (
	"bytes"
	"slices"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// A sample guesses where the keys of a folder lie, from those of the folders
// that a walk has been through. Objects of all kinds lie in the same
// namespaces, and those that belong together have names that begin alike: a pod,
// its replica set, its events. So what follows the folder in the keys of one
// kind tells much of the next.
type sample struct {
	namespaces [][]byte // see etcdwalk.Splits
	names      [][]byte // what followed the folders, ascending
	fresh      [][]byte // the same of the folder that is being walked
	seen       int      // keys since the last one that was kept
	every      int      // so many keys are kept once
}

const (
	// sampleEvery and mostSampled keep a sample below a megabyte. Pages have
	// hundreds of keys.
	sampleEvery = 32
	mostSampled = 8192
)

// newSample begins with the namespaces, as if each had as much as any other.
func newSample(namespaces [][]byte) *sample {
	return &sample{namespaces: namespaces, names: slices.Clone(namespaces), every: sampleEvery}
}

// see takes keys of a folder, as they come.
func (s *sample) see(dir []byte, entries []etcdwalk.Entry) {
	for _, e := range entries {
		if s.seen++; s.seen < s.every {
			continue
		}
		if name, inside := bytes.CutPrefix(e.Key, dir); inside {
			s.fresh, s.seen = append(s.fresh, bytes.Clone(name)), 0
		}
	}
}

// settle ends a folder: from here on its keys tell of others.
func (s *sample) settle() {
	if len(s.fresh) == 0 {
		return
	}
	s.names, s.fresh = append(s.names, s.fresh...), nil
	slices.SortFunc(s.names, bytes.Compare)
	for len(s.names) > mostSampled {
		half := s.names[:0]
		for i := 0; i < len(s.names); i += 2 {
			half = append(half, s.names[i])
		}
		clear(s.names[len(half):])
		s.names, s.every = half, 2*s.every
	}
}

// place is about where a part, less than 1, of the keys of a folder from next to
// end ends; end is in the folder, or where that ends. If the sample knows no
// place so near, it returns the nearest one that it knows, and which part of the
// keys up to there is meant.
func (s *sample) place(dir, next, end []byte, part float64) ([]byte, float64) {
	first, found := slices.BinarySearchFunc(s.names, next[len(dir):], bytes.Compare)
	if found {
		first++
	}
	behind := len(s.names)
	if name, inside := bytes.CutPrefix(end, dir); inside {
		behind, _ = slices.BinarySearchFunc(s.names, name, bytes.Compare)
	}
	// The names between divide the folder into steps, alike in number of keys.
	steps := part * float64(max(0, behind-first)+1)
	switch whole := int(steps); {
	case whole > 0:
		return slices.Concat(dir, s.names[first+whole-1]), 1
	case first < behind:
		return slices.Concat(dir, s.names[first]), steps
	}
	return end, steps
}

// folder is the part of a key before its namespace; nil if it has none that is
// known.
func (s *sample) folder(key []byte) []byte {
	for end := bytes.LastIndexByte(key, '/'); end > 0; {
		begin := bytes.LastIndexByte(key[:end], '/')
		if begin < 0 {
			break
		}
		if _, found := slices.BinarySearchFunc(s.namespaces, key[begin+1:end+1], bytes.Compare); found {
			return bytes.Clone(key[:begin+1])
		}
		end = begin
	}
	return nil
}
