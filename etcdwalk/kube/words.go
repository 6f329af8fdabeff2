package kube

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A Selected is what a filter means, however it was typed: by it the archives
// of one selection are known, without what they hold.
type Selected struct {
	// Whole: everything under the default prefixes.
	Whole bool
	// Digest is the SHA-256 of the words in their one form, in hexadecimal. Who
	// guesses the words can confirm them.
	Digest string
	// Text is for people, short, and has no name of an object or a namespace.
	Text string
}

// Selected tells what the query means. Two queries that select the same for
// whatever keyspace, but for custom kinds called by different names, are the
// same.
func (q Query) Selected() (Selected, error) {
	c := q.canonical()
	words, err := json.Marshal(c)
	if err != nil {
		return Selected{}, fmt.Errorf("encode a selection: %w", err)
	}
	digest := sha256.Sum256(append([]byte("kubeferry selection 1\n"), words...))
	return Selected{Whole: c.whole(), Digest: hex.EncodeToString(digest[:]), Text: c.text()}, nil
}

// Name is how kubectl calls what lies under a key, such as "configmap shop/app"; the key
// itself if it is no object's.
func (l *Layout) Name(key []byte) string {
	class := l.Classify(key)
	switch {
	case class.Name == "":
		return string(key)
	case class.Namespace == "":
		return singular(class.Kind) + " " + class.Name
	}
	return singular(class.Kind) + " " + class.Namespace + "/" + class.Name
}

// Words are those by which kubectl and kubeferry are told of the object under a key, such as
// "configmap/app -n shop"; empty if the key is no object's.
func (l *Layout) Words(key []byte) string {
	class := l.Classify(key)
	switch {
	case class.Name == "":
		return ""
	case class.Namespace == "":
		return singular(class.Kind) + "/" + class.Name
	}
	return singular(class.Kind) + "/" + class.Name + " -n " + class.Namespace
}

// singular is the name of one object of a kind, as kubectl writes it.
func singular(kind string) string {
	if k, known := KindNamed(kind); known {
		return qualified(strings.ToLower(k.Kind), k.Group)
	}
	return strings.ToLower(kind)
}

// Whole tells whether nothing is filtered out: the default prefixes, all of
// them.
func (q Query) Whole() bool { return q.canonical().whole() }

func (f Filter) whole() bool {
	return len(f.Include)+len(f.Exclude)+len(f.Namespaces)+len(f.Prefixes)+len(f.ExcludeNamespaces)+len(f.Labels)+len(f.Fields) == 0
}

// canonical is the query in one of all the spellings that mean the same: kinds
// by their full names, all words sorted, each once, and none that another has.
func (q Query) canonical() Filter {
	narrowed := len(q.namespaces) > 0
	f := Filter{
		Include:           canonicalTerms(q.include, narrowed),
		Exclude:           canonicalTerms(q.exclude, narrowed),
		Namespaces:        sorted(q.namespaces),
		Prefixes:          canonicalPrefixes(q.words.Prefixes),
		ExcludeNamespaces: sorted(q.without),
	}
	if q.labels != nil {
		f.Labels = q.labels.String()
	}
	if q.fields != nil {
		f.Fields = q.fields.String()
	}
	return f
}

// canonicalTerms leaves out an object of a kind that is taken as a whole. Where
// namespaces narrow kinds, that of Namespace objects is not.
func canonicalTerms(terms []term, narrowed bool) []string {
	kinds := map[string]bool{} // taken as a whole
	for _, t := range terms {
		if t.name == "" {
			kinds[t.fullName()] = true
		}
	}
	var words []string
	for _, t := range terms {
		switch kind := t.fullName(); {
		case t.name == "":
			words = append(words, kind)
		case !kinds[kind], narrowed && kind == namespace:
			words = append(words, kind+"/"+t.name)
		}
	}
	return sorted(words)
}

// fullName is the kind as kubectl writes it, as far as that is known without a
// view: a custom kind keeps the name that it was called by.
func (t term) fullName() string {
	for i := range table {
		if t.means(&table[i]) {
			return table[i].Name()
		}
	}
	// Without its group a kind of OpenShift's may be a custom one of the same name.
	if k := openshiftKind(t); k != nil && t.group != "" {
		return k.Name()
	}
	group := t.group
	if first, rest, found := strings.Cut(group, "."); found && version.MatchString(first) {
		group = rest
	}
	return qualified(t.word, group)
}

// canonicalPrefixes are none for the default ones.
func canonicalPrefixes(typed []string) []string {
	var all []string
	for _, p := range typed {
		if p = strings.Trim(p, "/"); p != "" {
			p += "/"
		}
		all = append(all, "/"+p)
	}
	all = sorted(all)
	var prefixes []string
	for _, p := range all {
		// "/" has all keys, but objects only under prefixes that are known.
		if last := len(prefixes) - 1; last < 0 || prefixes[last] == "/" || !strings.HasPrefix(p, prefixes[last]) {
			prefixes = append(prefixes, p)
		}
	}
	if len(prefixes) > 0 && prefixes[0] == "/" {
		prefixes = slices.DeleteFunc(prefixes, func(p string) bool {
			return p != "/" && slices.ContainsFunc(defaultPrefixes(), func(d string) bool { return strings.HasPrefix(p, d) })
		})
	}
	if slices.Equal(prefixes, sorted(defaultPrefixes())) {
		return nil
	}
	return prefixes
}

// sorted returns the words in order, each once; nil if there are none.
func sorted(words []string) []string {
	words = slices.Clone(words)
	slices.Sort(words)
	return slices.Compact(words)
}

// maxListed is how many kinds or prefixes a text names.
const maxListed = 3

// text says what a canonical filter selects.
func (f Filter) text() string {
	if f.whole() {
		return "whole"
	}
	text := "everything"
	if len(f.Include) > 0 {
		text = termsText(f.Include)
	}
	if len(f.Exclude) > 0 {
		text += " but " + termsText(f.Exclude)
	}
	if n := len(f.Namespaces); n > 0 {
		text += " in " + counted(n, "namespace")
	}
	if n := len(f.ExcludeNamespaces); n > 0 {
		text += " but " + counted(n, "namespace")
	}
	switch { // which may have somebody's names
	case f.Labels != "" && f.Fields != "":
		text += " by labels and names"
	case f.Labels != "":
		text += " by labels"
	case f.Fields != "":
		text += " by names"
	}
	if len(f.Prefixes) > 0 {
		text += " under " + prefixesText(f.Prefixes)
	}
	return text
}

// termsText names kinds, and only counts the objects that have names.
func termsText(words []string) string {
	var kinds []string
	objects := map[string]int{}
	for _, word := range words {
		kind, _, named := strings.Cut(word, "/")
		if named {
			objects[kind]++
		}
		if !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	for i, kind := range kinds {
		if n := objects[kind]; n > 0 {
			kinds[i] = fmt.Sprintf("%s (%s)", shortened(kind), counted(n, "object"))
		} else {
			kinds[i] = shortened(kind)
		}
	}
	return listed(kinds, "kind")
}

// prefixesText names those that every cluster has, and counts the others, which
// may be somebody's names.
func prefixesText(prefixes []string) string {
	var known []string
	others := 0
	for _, p := range prefixes {
		if p == "/" || slices.Contains(defaultPrefixes(), p) {
			known = append(known, p)
		} else {
			others++
		}
	}
	switch {
	case others == 0:
		return strings.Join(known, ", ")
	case len(known) == 0:
		return counted(others, "other prefix")
	}
	return strings.Join(known, ", ") + " and " + counted(others, "other prefix")
}

// listed joins a few words, and counts the rest.
func listed(words []string, what string) string {
	if len(words) <= maxListed {
		return strings.Join(words, ", ")
	}
	return fmt.Sprintf("%s and %s", strings.Join(words[:maxListed], ", "), counted(len(words)-maxListed, "other "+what))
}

// shortened is a word that fits into a text, and into ASCII: a custom kind may be
// called anything.
func shortened(kind string) string {
	const most = 30
	if len(kind) > most {
		kind = kind[:most-1] + "~"
	}
	return strings.Map(func(r rune) rune {
		if r < '!' || r > '~' {
			return '?'
		}
		return r
	}, kind)
}

// counted is a number with its noun.
func counted(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "x"):
		return fmt.Sprintf("%d %ses", n, noun)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
