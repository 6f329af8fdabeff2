package order

import (
	"fmt"
	"hash/maphash"
	"slices"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// A Survey remembers what is to be written. It belongs to one goroutine.
type Survey struct {
	seed    maphash.Seed
	limit   int64 // bytes
	kinds   []surveyed
	byName  map[string]int // places in kinds
	objects []uint64       // who there is: a mark, and in its lowest bits the kind
	refs    []ref
	sorted  bool
}

// surveyed is a kind of which there are objects.
type surveyed struct {
	name   string
	ranges etcdwalk.Ranges
}

// A ref says that one object owns another.
type ref struct {
	owners [2]uint64 // the owner's mark if it is in the namespace, and if it is in none
	own    uint64    // of the one that is owned, with its kind
}

// Of a mark the lowest bits are the kind's place. With 52 bits left, one of a million
// owners that are not there is taken for another object once in four thousand restores.
const (
	kindBits = 12
	kindMask = 1<<kindBits - 1
)

// Bytes that are remembered of an object, and of a reference.
const (
	objectSize = 8
	refSize    = 24
)

// NewSurvey begins a survey that remembers at most so many bytes.
func NewSurvey(limit int64) *Survey {
	return &Survey{seed: maphash.MakeSeed(), limit: limit, byName: map[string]int{}}
}

// Add remembers an object: what its key says, and its metadata, which is empty if it
// cannot be read. The error is an [etcdwalk.ErrRefused]: there are
// more than may be remembered.
func (s *Survey) Add(class etcdwalk.Class, m object.Meta) error {
	if class.Kind == "" {
		return nil
	}
	own := s.mark(m.Kind, class.Namespace, class.Name, m.UID)&^kindMask | uint64(s.kind(class))
	s.objects = append(s.objects, own)
	s.sorted = false
	for _, o := range m.Owners {
		s.refs = append(s.refs, ref{s.owners(class.Namespace, o), own})
	}
	if size := int64(objectSize*len(s.objects) + refSize*len(s.refs)); size > s.limit {
		return fmt.Errorf("%d objects and %d references of owners would take more memory than is allowed, %d bytes: select less, or allow more with --max-memory%.0w", len(s.objects), len(s.refs), s.limit, etcdwalk.ErrRefused)
	}
	return nil
}

// kind is the place of an object's kind. What is more than the bits of a mark can tell is
// one kind, the last.
func (s *Survey) kind(class etcdwalk.Class) int {
	i, known := s.byName[class.Kind]
	if !known {
		i = min(len(s.kinds), kindMask)
		s.byName[class.Kind] = i
		if i == len(s.kinds) {
			s.kinds = append(s.kinds, surveyed{name: class.Kind})
		}
	}
	k := &s.kinds[i]
	if len(k.ranges) == 0 || !k.ranges.Contains(class.Range.Start) {
		k.ranges = etcdwalk.Union(append(slices.Clone(k.ranges), class.Range)...)
	}
	return i
}

// owners are the marks that the owner of an object in a namespace can have.
func (s *Survey) owners(namespace string, o object.Owner) [2]uint64 {
	return [2]uint64{
		s.mark(o.Kind, namespace, o.Name, o.UID) &^ kindMask,
		s.mark(o.Kind, "", o.Name, o.UID) &^ kindMask,
	}
}

func (s *Survey) mark(texts ...string) uint64 {
	var h maphash.Hash
	h.SetSeed(s.seed)
	for _, text := range texts {
		_, _ = h.WriteString(text) // which never fails
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}

// Holds tells whether an owner of an object in a namespace is among what is to be
// written. Nothing is to be added any more.
func (s *Survey) Holds(namespace string, o object.Owner) bool {
	_, found := s.find(s.owners(namespace, o))
	return found
}

// Dangling are the ranges of the kinds of which some object names an owner that was not added.
// Nothing is to be added any more.
func (s *Survey) Dangling() etcdwalk.Ranges {
	dangling := map[uint64]bool{} // kinds
	for _, r := range s.refs {
		if kind := r.own & kindMask; !dangling[kind] {
			_, held := s.find(r.owners)
			dangling[kind] = !held
		}
	}
	var ranges []etcdwalk.Range
	for kind, is := range dangling {
		if is {
			ranges = append(ranges, s.kinds[kind].ranges...)
		}
	}
	return etcdwalk.Union(ranges...)
}

// find finds one that may go by two marks, with its kind.
func (s *Survey) find(marks [2]uint64) (object uint64, found bool) {
	s.sort()
	for _, mark := range marks {
		i, _ := slices.BinarySearch(s.objects, mark)
		if i < len(s.objects) && s.objects[i]&^kindMask == mark {
			return s.objects[i], true
		}
	}
	return 0, false
}

func (s *Survey) sort() {
	if !s.sorted {
		slices.Sort(s.objects)
		s.sorted = true
	}
}
