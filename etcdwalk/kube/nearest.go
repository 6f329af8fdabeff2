package kube

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxNear is how many suggestions an error makes.
const maxNear = 3

// unknownKind is the error for a term that names no kind. A kind that was typed
// with another's group is the nearest of all.
func unknownKind(t term, kinds []Kind) error {
	words := map[string]bool{}
	names := map[string][]string{} // the kinds that go by a word
	for _, k := range kinds {
		for _, word := range k.Names() {
			words[word] = true
			names[word] = append(names[word], k.Name())
		}
		if t.group != "" {
			words[k.Name()] = true
			names[k.Name()] = []string{k.Name()}
		}
	}
	near := slices.Clone(names[t.word])
	if stored, virtual := unstored[t.word]; virtual && (t.group == "" || strings.HasSuffix(t.group, openshiftGroups)) {
		near = append(near, stored)
	}
	if len(near) == 0 {
		typed := t.word
		if t.group != "" {
			typed += "." + t.group
		}
		for _, word := range append(nearest(typed, words), nearest(t.word, words)...) {
			near = append(near, names[word]...)
		}
	}
	near = unique(near)
	if len(near) == 0 {
		return fmt.Errorf("%w %q: no kind has a name like it", ErrUnknownKind, t.typed)
	}
	return fmt.Errorf("%w %q: did you mean %s?", ErrUnknownKind, t.typed, orList(near[:min(len(near), maxNear)]))
}

// unique drops what comes a second time.
func unique(words []string) []string {
	var kept []string
	for _, w := range words {
		if !slices.Contains(kept, w) {
			kept = append(kept, w)
		}
	}
	return kept
}

func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// nearest are the words that are a slip of the finger or two away from typed,
// the closest first.
func nearest(typed string, words map[string]bool) []string {
	limit := 1 + min(len(typed)/5, 3)
	type candidate struct {
		word string
		far  int
	}
	var found []candidate
	for word := range maps.Keys(words) {
		if d := distance(typed, word); d <= limit && d < len(word) {
			found = append(found, candidate{word, d})
		}
	}
	slices.SortFunc(found, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.far, b.far), strings.Compare(a.word, b.word))
	})
	near := make([]string, 0, maxNear)
	for _, c := range found[:min(len(found), maxNear)] {
		near = append(near, c.word)
	}
	return near
}

// distance counts the bytes to insert, drop, replace or swap with a neighbour
// to make a of b.
func distance(a, b string) int {
	last2, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replace := last[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			row[j] = min(last[j]+1, row[j-1]+1, replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], last2[j-2]+1)
			}
		}
		last2, last, row = last, row, last2
	}
	return last[len(b)]
}
