package etcd3

import (
	"bytes"
	"slices"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// A steering decides where the requests of a walk over one cell end.
//
// For each page, servers go over all keys from its first one to the end that was
// asked for, to count them (etcd until 3.6, and unary ranges after it), and
// lock writers out meanwhile. With one and the same end the pages of a range
// cost the square of its keys. So a request ends soon behind the keys that it
// can bring: where a namespace begins, or, within a namespace that is too
// large for a page, where a prefix of the keys ends.
type steering struct {
	cell  cell     // its keys are those that are still to come
	names [][]byte // of the namespaces: see etcdwalk.Splits
	// dir is the part of the keys before the namespace; nil: there is none.
	dir []byte
	// stride is how many namespaces a request spans.
	stride int
	// depth is the length of the prefix at which a request ends; 0: it goes to
	// the end of a namespace.
	depth int
	// left is how many keys there are from the last page to that end.
	left int64
}

// A request may span a few pages, and some keys in any case: one request too many
// costs more than going over those.
const (
	few  = 3
	some = 1000
)

// crowded tells whether so many keys are too many for one request.
func crowded(keys, limit int64) bool { return keys > max(few*limit, some) }

// steer begins a cell. A page takes limit keys.
func steer(c cell, names [][]byte, limit int64) steering {
	return steering{cell: c, names: names, dir: c.Start, stride: share(len(names), limit, c.keys)}
}

// share is the part of n that brings want of have keys, at least 1.
func share(n int, want, have int64) int {
	return int(max(1, int64(n)*want/max(1, have)))
}

// end is where a request for limit keys from next on is to end.
func (s *steering) end(next []byte, limit int64) []byte {
	switch {
	case !crowded(s.cell.keys, limit):
		return s.cell.End
	case s.depth > 0:
		prefix := next[:min(s.depth, len(next))]
		return etcdwalk.MinEnd(s.namespaceEnd(next), etcdwalk.Prefix(string(prefix)).End)
	}
	return s.namespaceEnd(next)
}

// namespaceEnd is where the last namespace of a request from next on ends.
func (s *steering) namespaceEnd(next []byte) []byte {
	rest, inside := bytes.CutPrefix(next, s.dir)
	if s.dir == nil || !inside {
		return s.cell.End
	}
	i, found := slices.BinarySearchFunc(s.names, rest, bytes.Compare)
	if found {
		i++
	}
	if i += s.stride - 1; i < len(s.names) {
		return etcdwalk.MinEnd(s.cell.End, slices.Concat(s.dir, s.names[i]))
	}
	return etcdwalk.MinEnd(s.cell.End, etcdwalk.Prefix(string(s.dir)).End)
}

// learn takes what the server answered to a request for limit keys of asked.
func (s *steering) learn(p *page, asked etcdwalk.Range, limit int64) {
	got := int64(len(p.entries))
	s.cell.keys -= got
	if s.left -= got; s.depth == 0 {
		s.left = p.count - got
	}
	if got > 0 {
		s.dir = s.namespaced(p.entries[got-1].Key)
	}
	switch tooMany := p.more && crowded(p.count, limit); {
	case tooMany && s.dir != nil && s.depth == 0 && s.stride > 1:
		s.stride = min(s.stride-1, share(s.stride, limit, p.count))
	case tooMany && s.depth == 0:
		s.depth = common(p.entries[0].Key, p.entries[got-1].Key) + 1
	case tooMany:
		s.depth++
	case s.depth > 0 && !crowded(s.left, limit):
		s.depth = 0 // what is left of the namespace is not too much
	case s.depth > 0 && !p.more && 4*got < limit:
		s.depth = max(0, min(s.depth, len(asked.Start))-1)
	case s.depth == 0 && !p.more && 2*got < limit:
		s.stride = min(4*s.stride, share(s.stride, limit, got), len(s.names)+1)
	}
}

// common is the length of what two keys have in common.
func common(a, b []byte) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// namespaced is the part of a key before its namespace; nil if it has none.
func (s *steering) namespaced(key []byte) []byte {
	for end := bytes.LastIndexByte(key, '/'); end > 0; {
		begin := bytes.LastIndexByte(key[:end], '/')
		if begin < 0 {
			break
		}
		if _, found := slices.BinarySearchFunc(s.names, key[begin+1:end+1], bytes.Compare); found {
			return bytes.Clone(key[:begin+1])
		}
		end = begin
	}
	return nil
}
