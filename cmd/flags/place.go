package flags

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/pflag"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/catalog"
	"github.com/kubeferry/kubeferry/remote/dir"
	"github.com/kubeferry/kubeferry/remote/s3"
)

// An address is what a word for a place or an archive means, before anything is
// opened: a location in S3, or a path of this machine.
type address struct {
	path string
	far  *s3.Location // nil: the path counts
}

// parseAddress takes what begins with s3:// for a location in S3, and the rest for a
// path. What it refuses it does not show: the word may hold a secret.
func parseAddress(word string) (address, error) {
	if !strings.HasPrefix(word, s3.Scheme) {
		if scheme, _, found := strings.Cut(word, "://"); found && scheme != "" && strings.IndexFunc(scheme, notOfScheme) < 0 {
			return address{}, console.Usagef("unknown scheme %s://; a place is a folder, or %sBUCKET/PREFIX", scheme, s3.Scheme)
		}
		return address{path: word}, nil
	}
	at, err := s3.Parse(word)
	if err != nil {
		return address{}, console.Usagef("%w", err)
	}
	return address{far: &at}, nil
}

// notOfScheme tells whether a character cannot be in the scheme of a URL (RFC 3986, 3.1).
func notOfScheme(r rune) bool {
	return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("+-.", r)
}

// String is the address without what it says of an endpoint.
func (a address) String() string {
	if a.far != nil {
		return a.far.String()
	}
	return a.path
}

// isArchive tells whether the address ends like the name of an archive.
func (a address) isArchive() bool { return a.isEncrypted() || a.isPlain() }

func (a address) isEncrypted() bool { return strings.HasSuffix(a.String(), catalog.EncryptedSuffix) }
func (a address) isPlain() bool     { return strings.HasSuffix(a.String(), catalog.PlainSuffix) }

// split takes the address of an archive apart: the place that it is in, and its name.
func (a address) split() (address, string, error) {
	if a.far == nil {
		folder, name := filepath.Split(filepath.Clean(a.path))
		return address{path: filepath.Clean(folder)}, name, nil
	}
	at, name := a.far.Split()
	if name == "" {
		return address{}, "", console.Usagef("%s names no archive in a bucket", a)
	}
	return address{far: &at}, name, nil
}

// join is how a user can name an archive of the place.
func (a address) join(name string) string {
	if a.far != nil { // with what the address says of the endpoint
		return a.far.Join(name).Address()
	}
	return filepath.Join(a.path, name)
}

// A Place is where an archive is, or goes: what the user typed, resolved.
type Place struct {
	Store remote.Store
	// Name is the archive's name in the store; empty for a new archive in a
	// folder, which is named when its revision is known.
	Name string
	// Stdout: the archive goes into a pipe, and can neither be read back nor have a
	// receipt.
	Stdout bool
	// RetainUntil is until when the store is to keep the archive; zero: nothing says.
	RetainUntil time.Time

	at     address
	bucket *s3.Store  // the store, if it is in S3
	folder *dir.Store // the store, if an archive goes into a folder
	memory *Memory
}

// Path is how the user can name the archive of that name again.
func (p Place) Path(name string) string {
	if p.Stdout {
		return "-"
	}
	return p.at.join(name)
}

// Probe finds out whether and how archives can be published in a folder, before work is
// spent on one. Any other place tells when something is begun.
func (p Place) Probe(ctx context.Context) (dir.Notes, error) {
	if p.folder == nil {
		return dir.Notes{}, nil
	}
	return p.folder.Probe(ctx)
}

// Notes are what there is to know of what was published; nothing for a place that is
// not in S3.
func (p Place) Notes() s3.Notes {
	if p.bucket == nil {
		return s3.Notes{}
	}
	return p.bucket.Notes()
}

// A Stock is the flags about a place that holds archives.
type Stock struct {
	bucket      bucket
	remembering remembering
}

// AddFlags adds the flags.
func (f *Stock) AddFlags(set *pflag.FlagSet, s *Settings) { f.bucket.addFlags(set, s) }

// Open opens the place that a word names. The options are for a folder.
func (f *Stock) Open(ctx context.Context, word string, options dir.Options) (remote.Store, error) {
	at, err := parseAddress(word)
	switch {
	case err != nil:
		return nil, err
	case at.far == nil:
		if err := mustBeFolder(word); err != nil {
			return nil, err
		}
		return dir.New(word, options), nil
	case at.isArchive():
		return nil, console.Usagef("%s is an archive; name the place that it is in", at)
	}
	return f.bucket.open(ctx, *at.far, lock{})
}

// mustBeFolder refuses what is not a folder.
func mustBeFolder(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("open folder %s: %w", path, console.Cause(err))
	case !info.IsDir():
		return console.Usagef("%s is not a folder", path)
	}
	return nil
}

// A Destination is the flags that say where an archive goes, and what it is to be
// like there.
type Destination struct {
	s           *Settings
	to          string
	shared      bool
	bucket      bucket
	publishing  publishing
	remembering remembering
}

// AddFlags adds the flags.
func (f *Destination) AddFlags(set *pflag.FlagSet, s *Settings) {
	f.s = s
	group(set, titleWhere, "", func(own *pflag.FlagSet) {
		own.StringVar(&f.to, "to", "", "`PLACE` of the archive: a folder (made if missing), a file, s3://bucket/prefix, or - for stdout")
		own.BoolVar(&f.shared, "allow-shared-folder", false, "allow a folder that everybody can write to")
	})
	f.bucket.addFlags(set, s)
	f.publishing.addFlags(set, &f.bucket)
	f.remembering.addFlags(set, s)
}

// Stdout tells whether the archive goes into a pipe.
func (f *Destination) Stdout() bool { return f.to == "-" }

// Cold tells whether the archive will lie where it cannot be read at once.
func (f *Destination) Cold() bool { return s3.IsCold(f.bucket.config.StorageClass) }

// Resolve finds the place: what begins with s3:// is in S3; a name that ends in
// .zip.age or .zip is a file, a dash is stdout, anything else is a folder.
func (f *Destination) Resolve(ctx context.Context, encrypted bool) (Place, error) {
	at, err := f.check(encrypted)
	switch {
	case err != nil:
		return Place{}, err
	case f.Stdout():
		return Place{Store: stdoutStore{f.s.Stdout}, Name: "stdout", Stdout: true}, nil
	}
	name := ""
	if at.isArchive() {
		if at, name, err = at.split(); err != nil {
			return Place{}, err
		}
	}
	if at.far == nil {
		folder := dir.New(at.path, dir.Options{AllowShared: f.shared, Spool: f.bucket.spool(encrypted)})
		return Place{Store: folder, Name: name, at: at, folder: folder}, nil
	}
	lock, err := f.publishing.lock(f.s.Now())
	if err != nil {
		return Place{}, err
	}
	store, err := f.bucket.open(ctx, *at.far, lock)
	if err != nil {
		return Place{}, err
	}
	return Place{Store: store, Name: name, RetainUntil: lock.until, at: at, bucket: store, memory: f.remembering.of(store)}, nil
}

// check refuses what cannot be the place of an archive.
func (f *Destination) check(encrypted bool) (address, error) {
	switch {
	case f.to == "":
		return address{}, console.Usagef("--to is missing: name a folder, a file (*%s), s3://bucket/prefix, or - for stdout", catalog.EncryptedSuffix)
	case f.Stdout() && f.s.OutTerminal:
		return address{}, console.Usagef("--to - would paint an archive on the terminal; pipe it somewhere, or name a folder")
	case console.Printable(f.to) != f.to:
		return address{}, console.Usagef("--to %q: it holds characters that cannot be shown", f.to)
	}
	at, err := parseAddress(f.to)
	switch {
	case err != nil:
		return address{}, err
	case f.publishing.locks() && at.far == nil:
		return address{}, console.Usagef("--to %s: only S3 can lock an archive; leave out --retain-for, --retain-until and --retain-mode", at)
	case at.isPlain() && encrypted:
		return address{}, console.Usagef("--to %s: an encrypted archive is named *%s; with --no-encrypt it is *%s", at, catalog.EncryptedSuffix, catalog.PlainSuffix)
	case at.isEncrypted() && !encrypted:
		return address{}, console.Usagef("--to %s: an unencrypted archive is named *%s", at, catalog.PlainSuffix)
	case at.isArchive() && strings.HasPrefix(filepath.Base(at.String()), "."):
		return address{}, console.Usagef("--to %s: an archive's name does not begin with a dot", at)
	case at.isArchive() || at.far != nil || f.Stdout():
		return at, nil
	}
	if info, err := os.Stat(f.to); strings.HasSuffix(f.to, ".age") || err == nil && !info.IsDir() {
		return address{}, console.Usagef("--to %s: neither a folder nor a name for an archive, which is *%s", f.to, catalog.EncryptedSuffix)
	}
	return at, nil
}
