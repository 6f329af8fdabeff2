package kube

import (
	"context"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// A Spread counts in how many namespaces the objects lie that a query takes by a name
// and without a namespace. kubectl would look into one namespace, and who types as
// kubectl wants it may not expect the others. Whoever walks shows each key to See; what
// is kept does not grow with what is seen.
type Spread struct {
	layout *Layout
	words  []spreadWord
}

// spreadWord is one name, and what it takes.
type spreadWord struct {
	InNamespaces
	sel   etcdwalk.Selection
	first string // namespace
	last  string // prefix and namespace
	other bool   // a namespace with another name was seen
}

// InNamespaces is a word as it was typed, and in how many namespaces something is that
// it names. Namespaces under two prefixes are two.
type InNamespaces struct {
	Word       string `json:"word"`
	Namespaces int64  `json:"namespaces"`
}

// Spread prepares the count. It reads the view for kinds that are not compiled in, as
// Resolve does, and not at all for a query without a name to be counted: a type
// without a name is none, and neither is an object of a kind that is taken as a whole
// or has no namespaces.
func (c *Catalog) Spread(ctx context.Context, q Query) (*Spread, error) {
	s := &Spread{layout: c.layout}
	r := resolver{layout: c.layout, catalog: c}
	var named []term
	for _, t := range q.include {
		if t.name != "" && len(q.namespaces) == 0 {
			named = append(named, t)
		}
	}
	if len(named) == 0 {
		return s, nil
	}
	whole := map[string]bool{}
	for _, t := range q.include {
		if t.name != "" {
			continue
		}
		kinds, err := r.kinds(ctx, t)
		if err != nil {
			return nil, err
		}
		for i := range kinds {
			whole[kinds[i].path] = true
		}
	}
	seen := map[string]bool{}
	for _, t := range named {
		word := t.typed + "/" + t.name
		k, err := r.kind(ctx, t)
		if err != nil {
			return nil, err
		}
		if !k.Namespaced || whole[k.path] || seen[word] {
			continue
		}
		seen[word] = true
		sel, err := q.resolve(ctx, &r, []term{t})
		if err != nil {
			return nil, err
		}
		s.words = append(s.words, spreadWord{InNamespaces: InNamespaces{Word: word}, sel: sel})
	}
	return s, nil
}

// See counts a key, each only once.
func (s *Spread) See(key []byte) {
	for i := range s.words {
		w := &s.words[i]
		if !w.sel.Ranges.Contains(key) || !w.sel.TakesKey(key) {
			continue
		}
		class := s.layout.Classify(key)
		if w.last == class.Prefix+class.Namespace { // a pattern takes several objects of it
			continue
		}
		w.last = class.Prefix + class.Namespace
		if w.Namespaces++; w.Namespaces == 1 {
			w.first = class.Namespace
		}
		w.other = w.other || class.Namespace != w.first
	}
}

// Words are the words that were counted, as they were typed.
func (s *Spread) Words() []InNamespaces {
	var words []InNamespaces
	for _, w := range s.words {
		words = append(words, w.InNamespaces)
	}
	return words
}

// Several are those of which something is in more than one namespace. The same
// namespace under two prefixes is one: -n takes both.
func (s *Spread) Several() []InNamespaces {
	var words []InNamespaces
	for _, w := range s.words {
		if w.other {
			words = append(words, w.InNamespaces)
		}
	}
	return words
}
