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
// characters at least; or latest, the newest good archive of the series that the
// query selects, and latest~N, the one N before it. Those two never go from one
// series to another: an [ErrAmbiguous] if several are selected, or if nothing is
// known of an archive. Without such an archive it is an fs.ErrNotExist.
func (l Listing) Find(word string, q Query) (Item, error) {
	if IsReference(word) {
		return l.latest(word, q)
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
		return Item{}, fmt.Errorf("no archive has the name or the id %.200q%s%.0w", word, tooShort(word), fs.ErrNotExist)
	}
	return Item{}, fmt.Errorf("%d archives have an id that begins with %s, among them %s and %s%.0w", len(found), word, found[0].Name, found[1].Name, ErrAmbiguous)
}

// tooShort says what an id takes, if that was the reason that none was found.
func tooShort(word string) string {
	if len(word) >= minID {
		return ""
	}
	return fmt.Sprintf(" (an id takes %d characters or more)", minID)
}

func (l Listing) latest(word string, q Query) (Item, error) {
	back := 0
	if text, ok := strings.CutPrefix(word, "latest~"); ok {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return Item{}, fmt.Errorf("%.40q: it takes latest, or latest~1 for the one before it, and so on%.0w", word, fs.ErrNotExist)
		}
		back = n
	}
	for _, item := range l.Items {
		switch { // it may be the newest, or of another cluster
		case item.Err != nil:
			return Item{}, fmt.Errorf("%s: which one it is cannot be told: %w", word, item.Err)
		case item.Receipt.Name == "":
			return Item{}, fmt.Errorf("%s: which one it is cannot be told, since one receipt cannot be read: %s%.0w", word, item.Broken, ErrAmbiguous)
		}
	}
	found := l.Select(q)
	switch len(found) {
	case 0:
		return Item{}, fmt.Errorf("%s: %s%.0w", word, l.Without(q), fs.ErrNotExist)
	case 1:
	default:
		return Item{}, fmt.Errorf("%s: there are archives of %s; %sname one by its id%.0w", word, namesOf(found), ways(found), ErrAmbiguous)
	}
	good := slices.DeleteFunc(slices.Clone(found[0].Items), func(i Item) bool { return i.Broken != "" })
	if back >= len(good) {
		return Item{}, fmt.Errorf("%s: there are %d good archives of %s%.0w", word, len(good), found[0].name(), fs.ErrNotExist)
	}
	return good[back], nil
}

// ways say how series can be told apart, if they can.
func ways(found []Series) string {
	if !slices.ContainsFunc(found, func(s Series) bool { return s.Doubt == "" }) {
		return ""
	}
	return "--cluster (a label, UID or id) and --selection say which are meant, or "
}

// Without says that the query selects no series, and which ones there are.
func (l Listing) Without(q Query) string {
	text := "there is no archive of the whole keyspace, nor of a selection that was backed up on three days"
	if q.Selection != "" {
		text = fmt.Sprintf("there is no archive of the selection %.100q", q.Selection)
	}
	if q.Cluster != "" {
		text += fmt.Sprintf(" of the cluster %.60q", q.Cluster)
	}
	if all := l.Series(); len(all) > 0 {
		text += "; there are archives of " + namesOf(all)
	}
	if n := len(l.Cold); n > 0 {
		text += fmt.Sprintf("; of %d nothing is known, since their receipts are stored cold", n)
	}
	return text
}

// mostNamed is how many series a message names.
const mostNamed = 5

// namesOf lists series.
func namesOf(all []Series) string {
	var names []string
	for _, s := range all[:min(mostNamed, len(all))] {
		names = append(names, s.name())
	}
	if more := len(all) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, "; ")
}

// name tells a series from others.
func (s Series) name() string {
	text := fmt.Sprintf("%s (%s)", s.Label, s.Cluster)
	if s.Doubt != "" {
		text = fmt.Sprintf("%s (its cluster is not known, %s)", s.Label, s.Items[0].Name)
	}
	if s.Whole {
		return text
	}
	if s.Selection.Digest == "" {
		return text + ", " + s.Selection.Text
	}
	return fmt.Sprintf("%s, %s [%s]", text, s.Selection.Text, s.Selection.Digest[:8])
}
