package cmd

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/catalog"
	"github.com/kubeferry/kubeferry/remote/dir"
	"github.com/kubeferry/kubeferry/remote/s3"
)

// A place is where an archive is, or goes: what the user typed, resolved.
type place struct {
	store remote.Store
	// name is the archive's name in the store; empty for a new archive in a
	// folder, which is named when its revision is known.
	name string
	// folder is the store's path, to show where an archive has gone.
	folder string
	stdout bool
	bucket *s3.Store // the store, if it is in S3
}

// destination resolves --to: what begins with s3:// is in S3; a name that ends in
// .zip.age or .zip is a file, a dash is stdout, anything else is a folder.
func (o *backupOptions) destination(ctx context.Context, p *printer) (place, error) {
	to, encrypted, options := o.to, !o.sealing.none, dir.Options{AllowShared: o.shared}
	switch {
	case to == "":
		return place{}, usagef("--to is missing: name a folder, a file (*%s), s3://bucket/prefix, or - for stdout", catalog.EncryptedSuffix)
	case to == "-" && p.sh.outTerminal:
		return place{}, usagef("--to - would paint an archive on the terminal; pipe it somewhere, or name a folder")
	case printable(to) != to:
		return place{}, usagef("--to %q: it holds characters that cannot be shown", to)
	case o.publishing.locks() && !isS3(to):
		return place{}, usagef("--to %s: only S3 can lock an archive; leave out --retain-for, --retain-until and --retain-mode", to)
	case to == "-":
		return place{store: stdoutStore{p.sh.stdout}, name: "stdout", stdout: true}, nil
	}
	bare := to
	if isS3(to) {
		at, err := s3.Parse(to) // before it is shown: it may hold a secret
		if err != nil {
			return place{}, usagef("%w", err)
		}
		bare = at.String()
	}
	isEncrypted, isPlain := strings.HasSuffix(bare, catalog.EncryptedSuffix), strings.HasSuffix(bare, catalog.PlainSuffix)
	switch {
	case isPlain && encrypted:
		return place{}, usagef("--to %s: an encrypted archive is named *%s; with --no-encrypt it is *%s", to, catalog.EncryptedSuffix, catalog.PlainSuffix)
	case isEncrypted && !encrypted:
		return place{}, usagef("--to %s: an archive in the clear is named *%s", to, catalog.PlainSuffix)
	case (isEncrypted || isPlain) && strings.HasPrefix(filepath.Base(bare), "."):
		return place{}, usagef("--to %s: an archive's name does not begin with a dot", to)
	case isS3(to):
		return o.inS3(ctx, p)
	case isEncrypted || isPlain:
		folder, name := filepath.Split(filepath.Clean(to))
		return place{store: dir.New(filepath.Clean(folder), options), name: name, folder: folder}, nil
	}
	if info, err := os.Stat(to); strings.HasSuffix(to, ".age") || err == nil && !info.IsDir() {
		return place{}, usagef("--to %s: neither a folder nor a name for an archive, which is *%s", to, catalog.EncryptedSuffix)
	}
	return place{store: dir.New(to, options), folder: to}, nil
}

// inS3 resolves a destination in S3.
func (o *backupOptions) inS3(ctx context.Context, p *printer) (place, error) {
	if err := o.publishing.resolve(&o.bucket, p.sh.now()); err != nil {
		return place{}, err
	}
	address, name := o.to, ""
	if isArchiveName(o.to) {
		var err error
		if address, name, err = splitS3(o.to); err != nil {
			return place{}, err
		}
	}
	store, err := o.bucket.open(ctx, p, address)
	if err != nil {
		return place{}, err
	}
	return place{store: store, name: name, folder: address, bucket: store}, nil
}

// source resolves the word for an archive that is there: a path, or with --store
// what a listing of the store tells of it.
func (f *opening) source(ctx context.Context, p *printer, word string) (place, error) {
	if f.from != "" {
		return f.find(ctx, p, word)
	}
	switch {
	case isS3(word):
		address, name, err := splitS3(word)
		if err == nil && !isArchiveName(word) {
			err = usagef("%s is no archive; kubeferry list shows those of a place: name one, or say --store %s and latest", word, word)
		}
		if err != nil {
			return place{}, err
		}
		store, err := f.stock.open(ctx, p, address)
		if err != nil {
			return place{}, err
		}
		return f.within(store, name, address), nil
	case catalog.IsReference(word):
		return place{}, usagef("%q is one of many: --store names the place whose archives are meant", word)
	}
	info, err := os.Stat(word)
	if err != nil {
		return place{}, fmt.Errorf("opening the archive: %w", err)
	}
	if info.IsDir() {
		return place{}, usagef("%s is a folder; kubeferry list %s shows the archives in it: name one, or say --store %s and latest", word, word, word)
	}
	if !info.Mode().IsRegular() {
		return place{}, usagef("%s is not a file", word)
	}
	folder, name := filepath.Split(filepath.Clean(word))
	if folder == "" {
		folder = "."
	}
	return place{store: dir.New(folder, dir.Options{}), name: name, folder: folder}, nil
}

// find looks an archive up in a store.
func (f *opening) find(ctx context.Context, p *printer, word string) (place, error) {
	store, err := f.stock.store(ctx, p, f.from)
	if err != nil {
		return place{}, err
	}
	listing, err := catalog.List(ctx, store)
	if err != nil {
		return place{}, fmt.Errorf("listing %s: %w", f.from, err)
	}
	item, err := listing.Find(word, f.query)
	if err != nil {
		return place{}, fmt.Errorf("looking for an archive in %s: %w", f.from, err)
	}
	p.talk("%s in %s is %s, of %s%s.", word, f.from, item.Name, item.Receipt.Created.Format(time.RFC3339), partOf(item.Receipt))
	return f.within(store, item.Name, f.from), nil
}

// partOf says of which selection an archive is, if it is not of the whole.
func partOf(r catalog.Receipt) string {
	if r.Whole {
		return ""
	}
	return ", with the selection " + r.Scope()
}

// within is an archive in a store. One in S3 that will be read more than once is
// fetched first.
func (f *opening) within(store remote.Store, name, folder string) place {
	if far, ok := store.(*s3.Store); ok && f.whole {
		store = far.Fetched()
	}
	return place{store: store, name: name, folder: folder}
}

// path is how the user can name the archive again.
func (p place) path(name string) string {
	if p.stdout {
		return "-"
	}
	if isS3(p.folder) { // with what the address says of the endpoint
		bare, query, asked := strings.Cut(p.folder, "?")
		path := strings.TrimSuffix(bare, "/") + "/" + name
		if asked {
			path += "?" + query
		}
		return path
	}
	return filepath.Join(p.folder, name)
}

// stdoutStore is a store of one upload: a pipe. What has gone into a pipe
// cannot be read back or taken back.
type stdoutStore struct{ w io.Writer }

var _ remote.Store = stdoutStore{}

func (s stdoutStore) Create(ctx context.Context, _ string) (remote.Upload, error) {
	return stdoutUpload{ctx, s.w}, nil
}

func (stdoutStore) Open(context.Context, string) (remote.Object, error) { return nil, fs.ErrNotExist }

func (stdoutStore) Remove(context.Context, string) error { return fs.ErrNotExist }

func (stdoutStore) List(context.Context, string) iter.Seq2[remote.Info, error] {
	return func(func(remote.Info, error) bool) {}
}

type stdoutUpload struct {
	ctx context.Context // of one run of the command
	w   io.Writer
}

func (u stdoutUpload) Write(b []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := u.w.Write(b)
	return n, remote.System(err)
}

// Commit can only close what it wrote: a full device may tell at the close.
func (u stdoutUpload) Commit(remote.Digest) error {
	if f, ok := u.w.(*os.File); ok {
		return remote.System(f.Close())
	}
	return nil
}

func (stdoutUpload) Abort() error { return nil }
