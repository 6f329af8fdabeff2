// Package catalog knows what the names in a store mean: which objects are
// archives, and which are their receipts.
//
// The nouns:
//
//   - An archive is an object named *.zip.age, or *.zip if it is in the clear.
//   - A [Receipt] is the object NAME.receipt.json beside the archive NAME. It
//     tells what can be told without any key, and never recipients, key names
//     or namespaces.
//   - A [Listing] is what a store holds: the archives with a receipt, and those
//     without, which are unfinished.
//
// Caveats:
//
//   - The archive is published first, its receipt last: what is listed is
//     there and whole. Who publishes keeps that order; both are written once
//     and never replaced.
//   - Some stores reserve a name with an empty object: an empty receipt is none. A
//     whole archive may lie beside it, so that no removal of unfinished ones takes it.
//   - A receipt is no proof. It is not signed, so who can write to the store
//     can write receipts; it is held against the archive before it is believed.
package catalog

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sync/errgroup"

	"github.com/kubeferry/kubeferry/remote"
)

// The endings of names.
const (
	EncryptedSuffix = ".zip.age"
	PlainSuffix     = ".zip"
	receiptSuffix   = ".receipt.json"
)

// ErrLabel: a name for a cluster that cannot be one.
var ErrLabel = errors.New("not a label for a cluster")

// maxLabel is how many characters a label may have.
const maxLabel = 40

// ValidLabel says whether s can be the label of a cluster: 1 to 40 of a-z, 0-9,
// dot and dash, and neither dot nor dash at the beginning, since a name with a
// dot there is hidden and one with a dash looks like a flag. Its errors are
// [ErrLabel].
func ValidLabel(s string) error {
	bad := strings.ContainsFunc(s, func(r rune) bool { return !isAlphanumeric(r) && r != '.' && r != '-' })
	if bad || len(s) == 0 || len(s) > maxLabel || !isAlphanumeric(rune(s[0])) {
		return fmt.Errorf("%.60q: %w: it takes 1 to %d of a-z, 0-9, dot and dash, and begins with a letter or a digit", s, ErrLabel, maxLabel)
	}
	return nil
}

func isAlphanumeric(r rune) bool { return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' }

// NewName makes a name for an archive of the cluster with that label. Two calls
// never make the same, in practice: it ends in 30 random bits.
func NewName(label string, created time.Time, revision int64, encrypted bool) string {
	suffix := PlainSuffix
	if encrypted {
		suffix = EncryptedSuffix
	}
	return fmt.Sprintf("%s-%s-r%d-%s%s", label, created.UTC().Format("20060102T150405Z"), revision,
		strings.ToLower(rand.Text()[:6]), suffix)
}

// ReceiptName is the name of the archive's receipt.
func ReceiptName(archive string) string { return archive + receiptSuffix }

// IsArchive says whether a name is one that an archive may have: a user may
// have chosen it. One with a slash is of another place, below this one.
func IsArchive(name string) bool {
	stem, ok := strings.CutSuffix(name, EncryptedSuffix)
	if !ok {
		stem, ok = strings.CutSuffix(name, PlainSuffix)
	}
	return ok && stem != "" && fs.ValidPath(name) && !strings.Contains(name, "/") && !strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
}

// generated is what NewName makes.
var generated = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*-\d{8}T\d{6}Z-r\d+-[a-z2-7]{6}\.zip(\.age)?$`)

// IsOurs tells whether a name is one that NewName makes, or that of a receipt beside
// it: an archive or receipt that nobody else can have put there. A user may have
// chosen another name for an archive, but so may anybody for a file of his own.
func IsOurs(name string) bool { return generated.MatchString(strings.TrimSuffix(name, receiptSuffix)) }

// An Item is an archive that has a receipt.
type Item struct {
	// Name is the archive's.
	Name string `json:"name"`
	// Receipt is zero if it could not be read.
	Receipt Receipt `json:"receipt,omitzero"`
	// Broken says why this is no good archive; empty if it is.
	Broken string `json:"broken,omitempty"`
	// Err is why the receipt could not be had, so that nothing is known of the
	// archive: the store's error, and not the archive's.
	Err error `json:"-"`
}

// A Listing is what a store holds.
type Listing struct {
	// Items are the archives with a receipt, the newest first; those whose
	// receipt cannot be read come last.
	Items []Item
	// Unfinished are the archives without a receipt, by name: still being
	// published, or left by a backup or a removal that died, or copied alone. An
	// empty one is no more than a name that a backup had reserved.
	Unfinished []Fragment
	// Cold are the archives whose receipt is stored cold, by name: what they are is not
	// known until somebody fetches it.
	Cold []Fragment

	objects map[string]remote.Info // archives and receipts, as they were listed
}

// A Fragment is an archive of which no receipt tells.
type Fragment struct {
	Name     string    `json:"name"`
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
}

// List reads all receipts of the store and holds them against the archives, as
// far as names and sizes go. A store that cannot be listed is an error; a
// receipt that cannot be read is a broken item.
func List(ctx context.Context, store remote.Store) (Listing, error) {
	objects, err := gather(store.List(ctx, ""))
	if err != nil {
		return Listing{}, err
	}
	l := Listing{objects: objects}
	for name, info := range objects {
		if _, finished := objects[ReceiptName(name)]; IsArchive(name) && !finished {
			l.Unfinished = append(l.Unfinished, Fragment(info))
		}
	}
	for _, item := range readItems(ctx, store, objects) {
		if errors.Is(item.Err, remote.ErrCold) {
			l.Cold = append(l.Cold, Fragment(cmp.Or(objects[item.Name], remote.Info{Name: item.Name})))
			continue
		}
		l.Items = append(l.Items, item)
	}
	if err := ctx.Err(); err != nil {
		return Listing{}, fmt.Errorf("read the receipts: %w", err)
	}
	slices.SortFunc(l.Items, newestFirst)
	byName := func(a, b Fragment) int { return cmp.Compare(a.Name, b.Name) }
	slices.SortFunc(l.Unfinished, byName)
	slices.SortFunc(l.Cold, byName)
	return l, nil
}

// gather keeps of a listing what may be an archive or a receipt.
func gather(listing iter.Seq2[remote.Info, error]) (map[string]remote.Info, error) {
	objects := make(map[string]remote.Info)
	for info, err := range listing {
		if err != nil {
			return nil, err
		}
		archive, receipt := strings.CutSuffix(info.Name, receiptSuffix)
		if reserved := receipt && info.Size == 0; IsArchive(archive) && !reserved {
			objects[info.Name] = info
		}
	}
	return objects, nil
}

// atOnce is how many receipts are read together: a far store answers each in tens
// of milliseconds.
const atOnce = 16

// readItems reads the receipts among the objects.
func readItems(ctx context.Context, store remote.Store, objects map[string]remote.Info) []Item {
	var archives []string
	for name := range objects {
		if archive, ok := strings.CutSuffix(name, receiptSuffix); ok && IsArchive(archive) {
			archives = append(archives, archive)
		}
	}
	items := make([]Item, len(archives))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, archive := range archives {
		group.Go(func() error {
			items[i] = newItem(ctx, store, archive, objects)
			return nil
		})
	}
	_ = group.Wait() // each item has its own error
	return slices.DeleteFunc(items, func(i Item) bool { return i.Name == "" })
}

// newItem reads the receipt of an archive and looks whether the archive is
// there, among all objects. It is zero if the receipt is gone by now.
func newItem(ctx context.Context, store remote.Store, archive string, objects map[string]remote.Info) Item {
	r, err := Read(ctx, store, archive)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Item{}
	case errors.Is(err, ErrReceipt), errors.Is(err, ErrMismatch):
		return Item{Name: archive, Broken: err.Error()}
	case err != nil:
		return Item{Name: archive, Broken: err.Error(), Err: err}
	}
	item := Item{Name: archive, Receipt: r}
	switch info, ok := objects[archive]; {
	case !ok:
		item.Broken = "the archive is missing"
	case info.Size != r.Size:
		item.Broken = fmt.Sprintf("the archive has %d bytes, its receipt says %d", info.Size, r.Size)
	}
	return item
}

func newestFirst(a, b Item) int {
	return cmp.Or(
		b.Receipt.Created.Compare(a.Receipt.Created),
		cmp.Compare(b.Receipt.Revision, a.Receipt.Revision),
		cmp.Compare(a.Name, b.Name),
	)
}
