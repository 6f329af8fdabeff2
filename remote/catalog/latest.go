package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// ErrAmbiguous: a word that stands for more than one archive.
var ErrAmbiguous = errors.New("more than one archive is meant")

// minID is how many characters of an archive's id a user must give.
const minID = 4

// IsReference says whether a word names an archive by its place in a listing, and
// not by its name: latest, latest~1.
func IsReference(word string) bool { return word == "latest" || strings.HasPrefix(word, "latest~") }

// Find finds the archive that a word means: its name; the beginning of its id, four
// characters at least; or latest, the newest good archive of the whole keyspace,
// and latest~N, the one N before it. Those two never go from one cluster to
// another: an [ErrAmbiguous] if the listing has archives of several, or one of
// which nothing is known. Without such
// an archive it is an fs.ErrNotExist.
func (l Listing) Find(word string) (Item, error) {
	if IsReference(word) {
		return l.latest(word)
	}
	var found []Item
	for _, item := range l.Items {
		if item.Name == word {
			return item, nil
		}
		if len(word) >= minID && strings.HasPrefix(item.Receipt.ArchiveID, strings.ToLower(word)) {
			found = append(found, item)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return Item{}, fmt.Errorf("no archive has the name or the id %.200q: %w", word, fs.ErrNotExist)
	}
	return Item{}, fmt.Errorf("%d archives have an id that begins with %s, among them %s and %s: %w", len(found), word, found[0].Name, found[1].Name, ErrAmbiguous)
}

func (l Listing) latest(word string) (Item, error) {
	back := 0
	if text, ok := strings.CutPrefix(word, "latest~"); ok {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return Item{}, fmt.Errorf("%.40q: it takes latest, or latest~1 for the one before it, and so on: %w", word, fs.ErrNotExist)
		}
		back = n
	}
	for _, item := range l.Items {
		switch { // it may be the newest, or of another cluster
		case item.Err != nil:
			return Item{}, fmt.Errorf("%s: which one it is cannot be told: %w", word, item.Err)
		case item.Receipt.Name == "":
			return Item{}, fmt.Errorf("%s: which one it is cannot be told, since one receipt cannot be read: %s: %w", word, item.Broken, ErrAmbiguous)
		}
	}
	good := slices.DeleteFunc(slices.Clone(l.Items), func(i Item) bool { return i.Broken != "" || !i.Receipt.Whole })
	for _, item := range good {
		a, b := good[0].Receipt, item.Receipt
		if a.Identity() != b.Identity() || a.Cluster != b.Cluster {
			return Item{}, fmt.Errorf("%s: there are archives of the clusters %s (%s) and %s (%s); name one by its id: %w",
				word, a.Cluster, a.Identity(), b.Cluster, b.Identity(), ErrAmbiguous)
		}
	}
	if back >= len(good) {
		return Item{}, fmt.Errorf("%s: there are %d good archives of the whole keyspace: %w", word, len(good), fs.ErrNotExist)
	}
	return good[back], nil
}
