package etcd3

import (
	"bytes"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// A steering decides where the requests of a walk over one cell end.
//
// For each page, servers go over all keys from its first one to the end that was
// asked for, to count them (etcd until 3.6, and unary ranges after it), and
// lock writers out meanwhile. With one and the same end the pages of a range
// cost the square of its keys. So a request ends soon behind the keys that it
// can bring, where a sample of other keys, or else the keys of the last page, let
// expect it. If that was too far, the answer tells how many keys are left up to
// there, and the next guess is made within.
//
// Drawn for 400 pods: 40 in the namespace a, 200 in b, 40 in c, 120 in d. The sample
// knows the namespaces and nothing else, and a page has 50 keys. Each request is told
// by where it begins, where it ends, and how many keys it brings of those that the
// server goes over:
//
//	pods/        pods/T6vj      0 of   0   65 of 400 keys are wanted, 80 expected up to a/: a part of the way there
//	pods/T6vj    pods/a/        0 of   0   nothing came, so twice as many are: a/ itself
//	pods/a/      pods/c/       50 of 240   again twice as many, and c/ is as far; but b is large
//	pods/b/009   pods/bLFXW8U  50 of 190   190 are left up to the mark c/: a third of the way there
//	pods/b/059   pods/bLFXW8U  50 of 140   that is the next mark now, and three pages away at most: all the way
//	pods/b/109   pods/bLFXW8U  50 of  90
//	pods/b/159   pods/bLFXW8U  40 of  40
//	pods/bLFXW8U pods/c/        0 of   0   the mark before is the next again
//	pods/c/      pods/d/       40 of  40   nothing came, so twice as many are wanted: d/ itself
//	pods/d/      pods0         50 of 120   three pages at most: up to the end
//	pods/d/049   pods0         50 of  70
//	pods/d/099   pods0         20 of  20
//
// With one end for all the server would have gone over 1,800 keys, and not 950.
type steering struct {
	marks  []mark // ahead of the walk, the nearest one last; the first is the cell's end
	sample *sample
	// dir is the folder that the walk is in; nil: it is not known. kind is the one
	// that the cell begins with.
	dir, kind []byte
	// first and last are the ends of the last page, of got keys, if there were more.
	first, last []byte
	got         int64
	// wide is by how much more keys a request aims at, after short answers.
	wide float64
}

// A mark is a place ahead, and how many keys there are up to it.
type mark struct {
	end  []byte
	keys int64
}

// A request goes up to the next mark if that is no more than a few pages away, or
// some keys in any case: one request too many costs more than going over those.
// For the same reason it aims a little further than at a page.
const (
	few  = 3
	some = 100
	aim  = 1.3
)

// steer begins a cell. The sample is of the walk so far.
func steer(c cell, sample *sample) steering {
	sample.settle()
	return steering{marks: []mark{{c.End, c.keys}}, sample: sample, dir: c.Start, kind: c.Start, wide: 1}
}

// end is where a request for limit keys from next on is to end.
func (s *steering) end(next []byte, limit int64) []byte {
	mark := s.marks[len(s.marks)-1]
	wanted := s.wide * aim * float64(limit)
	part := wanted / float64(mark.keys)
	if mark.keys <= max(few*limit, some) || part >= 1 {
		return mark.end
	}
	end := mark.end
	if s.dir != nil && bytes.HasPrefix(next, s.dir) {
		end, part = s.sample.place(s.dir, next, etcdwalk.MinEnd(end, etcdwalk.Prefix(string(s.dir)).End), part)
	}
	if part < 1 {
		end = along(next, end, part)
		if s.got > 0 {
			end = etcdwalk.MinEnd(end, along(s.first, s.last, 1+wanted/float64(s.got)))
		}
	}
	if end != nil && bytes.Compare(end, next) <= 0 { // bytes that along cannot tell apart
		alike := max(etcdwalk.Alike(next, mark.end), etcdwalk.Alike(s.first, s.last))
		end = etcdwalk.Prefix(string(next[:min(alike+1, len(next))])).End
	}
	return etcdwalk.MinEnd(end, mark.end)
}

// learn takes what the server answered to a request for limit keys of asked.
func (s *steering) learn(p *page, asked etcdwalk.Range, limit int64) {
	got := int64(len(p.entries))
	s.mark(asked.End, got, p.count, p.more)
	switch {
	case !p.more && 2*got < limit:
		s.wide *= 2
	case p.more && p.count > 2*limit:
		s.wide = 1
	}
	s.got = 0
	if got == 0 {
		return
	}
	last := p.entries[got-1].Key
	if p.more {
		s.first, s.last, s.got = bytes.Clone(p.entries[0].Key), bytes.Clone(last), got
	}
	if s.dir != nil {
		s.sample.see(s.dir, p.entries)
	}
	dir := s.sample.folder(last)
	if dir == nil && bytes.HasPrefix(last, s.kind) {
		dir = s.kind
	}
	if !bytes.Equal(dir, s.dir) {
		s.sample.settle()
		s.dir = dir
	}
}

// mark keeps what an answer tells of the place up to which it was asked for: that
// there are count keys, of which it has got the first.
func (s *steering) mark(end []byte, got, count int64, more bool) {
	for i := range s.marks {
		s.marks[i].keys -= got
	}
	nearest := len(s.marks) - 1
	switch there := bytes.Equal(end, s.marks[nearest].end); {
	case more && there:
		s.marks[nearest].keys = count - got
	case more:
		s.marks = append(s.marks, mark{end, count - got})
	case there && nearest > 0:
		s.marks = s.marks[:nearest]
	}
}
