package kube

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// Errors of what was typed; both are a matter of usage.
var (
	// ErrFilter: the words cannot be a selection.
	ErrFilter = errors.New("not a selection")
	// ErrUnknownKind: a kind that neither Kubernetes nor the view at hand has.
	ErrUnknownKind = errors.New("unknown kind")
)

// A Filter is a selection as it is typed: words, of which nothing is known before
// they are compiled into a [Query].
type Filter struct {
	// Include and Exclude hold kubectl's words, and lists of them with commas:
	// TYPE, TYPE.GROUP, TYPE.VERSION.GROUP, each with or without /NAME, where * and ?
	// stand for any characters, and for one.
	Include []string `json:"include,omitempty"`
	Exclude []string `json:"exclude,omitempty"`
	// Namespaces narrows kinds that are namespaced; alone, it takes these
	// namespaces with all that is in them.
	Namespaces []string `json:"namespaces,omitempty"`
	// Prefixes replaces the default ones: see [NewLayout].
	Prefixes []string `json:"prefixes,omitempty"`
	// ExcludeNamespaces leaves namespaces out, with all that is in them.
	ExcludeNamespaces []string `json:"exclude_namespaces,omitempty"`
	// Labels and Fields are selectors as kubectl has them; fields are metadata.name
	// and metadata.namespace.
	Labels string `json:"labels,omitempty"`
	Fields string `json:"fields,omitempty"`
}

// Compile takes the words apart. Errors are [ErrFilter].
func (f Filter) Compile() (Query, error) {
	q := Query{words: f}
	var err error
	if q.include, err = parseTerms(f.Include); err != nil {
		return Query{}, err
	}
	if q.exclude, err = parseTerms(f.Exclude); err != nil {
		return Query{}, err
	}
	if q.namespaces, err = parseNamespaces(f.Namespaces); err != nil {
		return Query{}, err
	}
	if q.without, err = parseNamespaces(f.ExcludeNamespaces); err != nil {
		return Query{}, err
	}
	if q.labels, err = parseSelector(f.Labels, object.ParseLabels); err != nil {
		return Query{}, err
	}
	if q.fields, err = parseSelector(f.Fields, object.ParseFields); err != nil {
		return Query{}, err
	}
	q.layout, err = NewLayout(f.Prefixes...)
	return q, err
}

// parseSelector reads a selector; nil if there is none.
func parseSelector[T any](text string, parse func(string) (T, error)) (*T, error) {
	if text == "" {
		return nil, nil
	}
	s, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%w%.0w", err, ErrFilter)
	}
	return &s, nil
}

// A term is one word of a filter, taken apart.
type term struct {
	typed       string
	word, group string // lower case; the group may begin with a version
	name        string // empty: all of the kind
}

func parseTerms(lists []string) ([]term, error) {
	words, err := splitLists(lists)
	if err != nil {
		return nil, err
	}
	terms := make([]term, len(words))
	for i, typed := range words {
		kind, name, named := strings.Cut(typed, "/")
		switch {
		case strings.Contains(name, "/"):
			return nil, fmt.Errorf("%q: write TYPE/NAME and give the namespace on its own%.0w", typed, ErrFilter)
		case badGlob(name):
			return nil, fmt.Errorf("%q: the pattern has a bracket that is not closed%.0w", typed, ErrFilter)
		case named && !isName(name):
			return nil, fmt.Errorf("%q: no object can have that name%.0w", typed, ErrFilter)
		}
		word, group, _ := strings.Cut(strings.ToLower(kind), ".")
		if word == "" {
			return nil, fmt.Errorf("%q: a kind is missing%.0w", typed, ErrFilter)
		}
		terms[i] = term{typed: kind, word: word, group: group, name: name}
	}
	return terms, nil
}

func parseNamespaces(lists []string) ([]string, error) {
	names, err := splitLists(lists)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if !isNamespace(name) {
			return nil, fmt.Errorf("%q: no namespace can have that name%.0w", name, ErrFilter)
		}
	}
	return names, nil
}

func splitLists(lists []string) ([]string, error) {
	var words []string
	for _, list := range lists {
		for word := range strings.SplitSeq(list, ",") {
			word = strings.TrimSpace(word)
			if word == "" {
				return nil, fmt.Errorf("%q has an empty word%.0w", list, ErrFilter)
			}
			words = append(words, word)
		}
	}
	return words, nil
}

// version is how Kubernetes names the versions of an API.
var version = regexp.MustCompile(`^v[0-9]+((alpha|beta)[0-9]+)?$`)

// means tells whether the term names the kind. A group that is typed must be
// the kind's, as it is or behind a version.
func (t term) means(k *Kind) bool {
	if !k.called(t.word) {
		return false
	}
	if t.group == "" || k.inGroup(t.group) {
		return true
	}
	first, rest, _ := strings.Cut(t.group, ".")
	return version.MatchString(first) && k.inGroup(rest)
}
