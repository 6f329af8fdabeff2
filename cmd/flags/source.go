package flags

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/crypt"
	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/catalog"
	"github.com/kubeferry/kubeferry/remote/dir"
	"github.com/kubeferry/kubeferry/remote/s3"
)

// A Source is the flags that say which archive is meant, and with what it is
// decrypted.
type Source struct {
	Archive

	query catalog.Query
	store string // the place of archives that are named by what a listing tells of them
}

// An Archive is the flags of a Source for an archive that is named by its path alone.
type Archive struct {
	s         *Settings
	bucket    bucket
	unlocking Unlocking
}

// AddFlags adds the flags.
func (f *Archive) AddFlags(set *pflag.FlagSet, s *Settings) {
	f.s = s
	f.bucket.addFlags(set, s)
	f.unlocking.AddFlags(set, s)
}

// Spool is the folder for what has no name; empty: the system's.
func (f *Archive) Spool() string { return f.bucket.config.SpoolDir }

// AddFlags adds the flags.
func (f *Source) AddFlags(set *pflag.FlagSet, s *Settings) {
	group(set, titleFrom, "", func(own *pflag.FlagSet) {
		own.StringVar(&f.store, "store", "", "`PLACE` of the archive, which is then named latest, latest~1, by 4 or more characters of its id, or by its name")
	})
	AddQuery(set, &f.query)
	f.Archive.AddFlags(set, s)
}

// AddFrom adds the flag that names the archive, for commands whose words name objects.
func (f *Source) AddFrom(c *cobra.Command, from *string) {
	group(c.Flags(), titleFrom, "", func(own *pflag.FlagSet) {
		own.StringVar(from, "from", "", "`ARCHIVE` to read: a file or s3://bucket/key; with --store, latest or an id")
	})
	_ = c.RegisterFlagCompletionFunc("from", f.completeFrom) // the flag was defined above
}

// AddQuery adds the flags that say which series of archives is meant.
func AddQuery(flags *pflag.FlagSet, q *catalog.Query) {
	group(flags, titleFrom, "", func(own *pflag.FlagSet) {
		own.StringVar(&q.Cluster, "cluster", "", "use only archives of this cluster: `NAME`, UID or etcd id (default all)")
		own.StringVar(&q.Selection, "selection", "", "use only archives of this selection: `TEXT` as in list -o wide, or digest (default whole, or else what was backed up on three days)")
	})
}

// An Opened archive knows how the user can name it again.
type Opened struct {
	*ferry.Archive
	Path       string
	Identities []crypt.Identity // that were given
}

// Open opens the archive that a word names. One that will be read as a whole, and more
// than once, is fetched first if it is in S3.
func (f *Source) Open(ctx context.Context, word string, whole bool) (*Opened, error) {
	if err := f.check(word); err != nil {
		return nil, err
	}
	resolve := f.find
	if f.store == "" {
		resolve = f.Archive.find
	}
	from, err := resolve(ctx, word, whole)
	if err != nil {
		return nil, err
	}
	keys, err := f.unlocking.Keys(ctx)
	if err != nil {
		return nil, err
	}
	a, err := ferry.Open(ctx, from.Store, from.Name, keys)
	if err != nil {
		return nil, err
	}
	opened := &Opened{a, from.Path(from.Name), keys.Identities}
	if !a.Encrypted {
		f.s.Warn("%s is unencrypted: tampering cannot be detected", opened.Path)
	}
	if a.Corrupt() {
		f.s.Warn("%s was made of a cluster that called itself corrupt, or whose members disagreed", opened.Path)
	}
	return opened, nil
}

// check refuses a query for an archive that was named in another way.
func (f *Source) check(word string) error {
	if !f.s.Typed("cluster", "selection") || f.store != "" && catalog.IsReference(word) {
		return nil
	}
	return console.Usagef("--cluster and --selection say which archives latest is taken from; %s names one in another way", word)
}

// Resolve finds an archive by its path, and what opens it. The options are for one in
// a folder.
func (f *Archive) Resolve(ctx context.Context, word string, options dir.Options) (Place, ferry.Keys, error) {
	from, err := f.find(ctx, word, true)
	if err != nil {
		return Place{}, ferry.Keys{}, err
	}
	if from.at.far == nil {
		from.Store = dir.New(from.at.path, options)
	}
	keys, err := f.unlocking.Keys(ctx)
	return from, keys, err
}

// find resolves the path of an archive that is there.
func (f *Archive) find(ctx context.Context, word string, whole bool) (Place, error) {
	at, err := parseAddress(word)
	switch {
	case err != nil:
		return Place{}, err
	case at.far != nil:
		in, name, err := at.split()
		if err == nil && !at.isArchive() {
			err = console.Usagef("%s is no archive; kubeferry list shows those of a place: name one, or say --store %s and latest", at, at)
		}
		if err != nil {
			return Place{}, err
		}
		store, err := f.bucket.open(ctx, *in.far, lock{})
		if err != nil {
			return Place{}, err
		}
		return within(store, name, in, whole), nil
	case catalog.IsReference(word):
		return Place{}, console.Usagef("%q needs --store, for example --store /var/backups/etcd", word)
	}
	info, err := os.Stat(word)
	switch {
	case err != nil:
		return Place{}, fmt.Errorf("open archive %s: %w", word, console.Cause(err))
	case info.IsDir():
		return Place{}, console.Usagef("%s is a folder; kubeferry list %s shows the archives in it: name one, or say --store %s and latest", word, word, word)
	case !info.Mode().IsRegular():
		return Place{}, console.Usagef("%s is not a file", word)
	}
	in, name, err := at.split()
	return Place{Store: dir.New(in.path, dir.Options{}), Name: name, at: in}, err
}

// find looks an archive up in the store.
func (f *Source) find(ctx context.Context, word string, whole bool) (Place, error) {
	stock := Stock{bucket: f.bucket}
	store, err := stock.Open(ctx, f.store, dir.Options{})
	if err != nil {
		return Place{}, err
	}
	listing, err := catalog.List(ctx, store)
	if err != nil {
		return Place{}, err
	}
	item, err := listing.Find(word, f.query)
	if err != nil {
		return Place{}, fmt.Errorf("look for an archive in %s: %w", f.store, err)
	}
	if n := len(listing.Cold); n > 0 && catalog.IsReference(word) {
		f.s.Warn("%s passes over %s of which nothing is known, since the receipts are stored cold", word, console.Count(int64(n), "archive"))
	}
	at, err := parseAddress(f.store)
	f.s.Talk("%s in %s is %s, of %s%s.", word, f.store, item.Name, item.Receipt.Created.Format(time.RFC3339), partOf(item.Receipt))
	return within(store, item.Name, at, whole), err
}

// partOf says of which selection an archive is, if it is not of the whole.
func partOf(r catalog.Receipt) string {
	if r.Whole {
		return ""
	}
	return ", with the selection " + r.Scope()
}

// within is an archive in a store.
func within(store remote.Store, name string, at address, whole bool) Place {
	if far, ok := store.(*s3.Store); ok && whole {
		store = far.Fetched()
	}
	return Place{Store: store, Name: name, at: at}
}
