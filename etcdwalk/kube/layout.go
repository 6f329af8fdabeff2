package kube

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// A Layout is the prefixes under which a keyspace holds Kubernetes' objects. It
// does not change and may be used by many at once.
type Layout struct {
	scope  etcdwalk.Ranges
	spaces []space // none below another
}

// A space is one prefix and the kinds that are known to lie below it.
type space struct {
	prefix  string
	places  map[string]place // by path
	folders map[string]bool  // the first segments of paths that have more, and are no groups
}

// deepest is how many segments a path has at most.
const deepest = 3

type place struct {
	kind  *Kind
	class etcdwalk.Class // without names
}

// NewLayout makes a layout of prefixes; none: those of kube-apiserver and of
// OpenShift. As in kube-apiserver a prefix gets a slash at both ends. A prefix
// below a default one narrows what is taken and changes no meaning; "/" takes
// everything, keys without a slash included.
func NewLayout(prefixes ...string) (*Layout, error) {
	if len(prefixes) == 0 {
		return defaultLayout(), nil
	}
	if len(prefixes) > maxPrefixes {
		return nil, fmt.Errorf("%d prefixes, where %d are the most%.0w", len(prefixes), maxPrefixes, ErrFilter)
	}
	var taken []etcdwalk.Range
	var roots []string
	for _, typed := range prefixes {
		name := strings.Trim(typed, "/")
		switch {
		case typed == "":
			return nil, fmt.Errorf("an empty prefix%.0w", ErrFilter)
		case name == "":
			taken, roots = append(taken, etcdwalk.Prefix("")), append(roots, defaultPrefixes()...)
		default:
			taken, roots = append(taken, etcdwalk.Prefix("/"+name+"/")), append(roots, "/"+name+"/")
		}
	}
	return &Layout{scope: etcdwalk.Union(taken...), spaces: spaces(roots)}, nil
}

// defaultLayout is that of the default prefixes.
func defaultLayout() *Layout {
	roots := defaultPrefixes()
	var taken []etcdwalk.Range
	for _, root := range roots {
		taken = append(taken, etcdwalk.Prefix(root))
	}
	return &Layout{scope: etcdwalk.Union(taken...), spaces: spaces(roots)}
}

// maxPrefixes bounds what the words of an archive may cost: each prefix is asked for
// by itself.
const maxPrefixes = 256

// defaultPrefixes are those of kube-apiserver (its --etcd-prefix) and of
// OpenShift's two API servers.
func defaultPrefixes() []string {
	return []string{"/registry/", "/kubernetes.io/", "/openshift.io/"}
}

// spaces makes one space of each prefix from which keys are to be read. None
// lies below another.
func spaces(prefixes []string) []space {
	var made []space
	for _, p := range prefixes {
		root := p
		for _, other := range slices.Concat(prefixes, defaultPrefixes()) {
			if len(other) < len(root) && strings.HasPrefix(root, other) {
				root = other
			}
		}
		if !slices.ContainsFunc(made, func(s space) bool { return s.prefix == root }) {
			made = append(made, newSpace(root))
		}
	}
	// In whatever order they were typed, the same cluster comes first.
	slices.SortFunc(made, func(a, b space) int {
		rank := func(s space) int { return (slices.Index(defaultPrefixes(), s.prefix) + 9) % 9 }
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.prefix, b.prefix))
	})
	return made
}

func newSpace(prefix string) space {
	s := space{prefix: prefix, places: make(map[string]place, len(table)+len(openshift)), folders: map[string]bool{}}
	for i := range table {
		s.add(&table[i])
	}
	for i := range openshift {
		if openshift[i].flatUnder(prefix) {
			s.add(&openshift[i])
		}
	}
	return s
}

func (s *space) add(k *Kind) {
	class := etcdwalk.Class{Kind: k.Name(), Range: etcdwalk.Prefix(s.prefix + k.path + "/")}
	s.places[k.path] = place{kind: k, class: class}
	if first, _, deep := strings.Cut(k.path, "/"); deep && !strings.Contains(first, ".") {
		s.folders[first] = true
	}
}

// paths are those of a kind in the space: OpenShift's may be custom resources as well.
func (s *space) paths(k *Kind) []string {
	if !k.isOpenShift() {
		return []string{k.path}
	}
	paths := []string{k.Group + "/" + k.Plural}
	if k.flatUnder(s.prefix) {
		paths = append(paths, k.path)
	}
	return paths
}

// dirs are the beginnings of a kind's keys, under each prefix.
func (l *Layout) dirs(k *Kind) []string {
	var dirs []string
	for i := range l.spaces {
		for _, path := range l.spaces[i].paths(k) {
			dirs = append(dirs, l.spaces[i].prefix+path+"/")
		}
	}
	return dirs
}

// under are the ranges of what lies under a path, one for each prefix.
func (l *Layout) under(path string) []etcdwalk.Range {
	var ranges []etcdwalk.Range
	for _, s := range l.spaces {
		ranges = append(ranges, etcdwalk.Prefix(s.prefix+path+"/"))
	}
	return ranges
}

// gaps are what lies below the prefixes and in no compiled-in kind's range:
// custom resources, resources that kubeferry does not know, and opaque keys.
func (l *Layout) gaps() etcdwalk.Ranges {
	var all, known []etcdwalk.Range
	for _, s := range l.spaces {
		all = append(all, etcdwalk.Prefix(s.prefix))
		for _, p := range s.places {
			known = append(known, p.class.Range)
		}
	}
	return etcdwalk.Union(all...).Subtract(etcdwalk.Union(known...))
}
