// Package dir keeps objects as the files of a folder.
//
// The nouns:
//
//   - A [Store] is a folder. It is flat: names hold no slash. It is made, with
//     mode 0700, when the first object is begun.
//   - A partial is an object that is being written, a file beside the others
//     with a name like .kubeferry-ID.partial and mode 0600, locked by flock
//     until its last byte is there.
//
// How an object is published: the partial is written, synced, closed, read back
// and compared, renamed without replacing, and then the folder is synced. So
// under a name there is the whole object or nothing, whenever the power fails.
//
// A mounted bucket or a network share may not know how to rename so: [Store.Probe]
// finds out which [Way] of naming works, before anything is written. In a folder
// that neither renames without replacing nor links, an empty file takes the name
// first and the partial replaces it; in one that cannot rename at all, a new file
// takes the name and then the bytes, and is read back. Who is killed in between
// leaves an empty file or a piece of one under the name: readers must know an
// object that they may trust by something that is published after it.
//
// Caveats:
//
//   - Files whose names begin with a dot are not objects. Nor is anything that
//     is not a regular file: it is not listed, and not opened. A symbolic link
//     is not listed but is opened, since the user may have named an archive by
//     one.
//   - A folder that others can write to is refused, unless it has the sticky
//     bit or the user insists.
//   - A partial that a dead process left behind is removed after a day, when
//     the next object is begun.
//   - A folder that is missing holds no objects for Create, which makes it, but
//     is an fs.ErrNotExist for all else, so that a mistyped path does not look
//     like an empty store.
package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/kubeferry/kubeferry/remote"
)

// ErrShared: others can write to the folder, so they could replace what is in
// it. It is a remote.ErrRefused.
var ErrShared = fmt.Errorf("others can write to the folder%.0w", remote.ErrRefused)

// Options are the choices that a user has. The zero value is the careful one.
type Options struct {
	// AllowShared accepts a folder that others can write to.
	AllowShared bool
	// Spool is a folder for partials, where they must be copied. Empty: they lie in
	// the store's folder all the same. It must hold only what may be there.
	Spool string
}

// A Store is a folder of objects.
type Store struct {
	path    string
	options Options
	disk    func(path string) (folder, error) // opens a folder to write in it

	probing sync.Mutex
	notes   *Notes // nil: not probed yet
}

var _ remote.Store = (*Store)(nil)

// New returns the store that the folder at path is. It touches nothing.
func New(path string, options Options) *Store {
	return &Store{path: filepath.Clean(path), options: options, disk: openFolder}
}

// Open opens an object. A link is followed, a FIFO is refused and not waited
// for.
func (s *Store) Open(ctx context.Context, name string) (remote.Object, error) {
	if err := s.check(ctx, "open", name); err != nil {
		return nil, err
	}
	path := s.join(name)
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, explain("open", path, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%w: it is not a regular file", fs.ErrInvalid)
	}
	if err != nil {
		return nil, errors.Join(explain("open", path, err), f.Close())
	}
	return &object{ctx, path, f, io.NewSectionReader(f, 0, info.Size())}, nil
}

// List yields the regular files of the folder, but hidden ones.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[remote.Info, error] {
	return func(yield func(remote.Info, error) bool) {
		entries, err := os.ReadDir(s.path) // in order of names
		if err != nil {
			yield(remote.Info{}, explain("list", s.path, err))
			return
		}
		for _, entry := range entries {
			if err := ctx.Err(); err != nil {
				yield(remote.Info{}, fmt.Errorf("list %s: %w", s.path, err))
				return
			}
			name := entry.Name()
			if hidden(name) || !validName(name) || !strings.HasPrefix(name, prefix) {
				continue
			}
			info, err := entry.Info()
			switch {
			case errors.Is(err, fs.ErrNotExist): // removed since
				continue
			case err != nil:
				yield(remote.Info{}, explain("list", s.join(name), err))
				return
			case !info.Mode().IsRegular():
				continue
			}
			if !yield(remote.Info{Name: name, Size: info.Size(), Modified: info.ModTime().UTC()}, nil) {
				return
			}
		}
	}
}

// Folders names the folders in the folder, but hidden ones.
func (s *Store) Folders(context.Context) ([]string, error) {
	entries, err := os.ReadDir(s.path) // in order of names
	if err != nil {
		return nil, explain("list", s.path, err)
	}
	var names []string
	for _, entry := range entries {
		if entry.IsDir() && !hidden(entry.Name()) {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

// Remove removes an object and makes that durable.
func (s *Store) Remove(ctx context.Context, name string) error {
	if err := s.check(ctx, "remove", name); err != nil {
		return err
	}
	disk, err := s.open()
	if err != nil {
		return err
	}
	return errors.Join(s.remove(disk, name), explain("close", s.path, disk.close()))
}

func (s *Store) remove(disk folder, name string) error {
	info, err := disk.lstat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%w: it is not a regular file", fs.ErrInvalid)
	}
	if err == nil {
		err = disk.remove(name)
	}
	if err != nil {
		return explain("remove", s.join(name), err)
	}
	return syncFolder(disk, s.path)
}

func (s *Store) open() (folder, error) {
	disk, err := s.disk(s.path)
	if err != nil {
		return nil, explain("open", s.path, err)
	}
	return disk, nil
}

func (s *Store) join(name string) string { return filepath.Join(s.path, name) }

// check is what each operation on a name begins with.
func (s *Store) check(ctx context.Context, op, name string) error {
	if !validName(name) {
		return fmt.Errorf("%s %q in %s: not a valid name%.0w", op, name, s.path, fs.ErrInvalid)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s %s: %w", op, s.join(name), err)
	}
	return nil
}

func validName(name string) bool {
	return fs.ValidPath(name) && name != "." && !strings.ContainsAny(name, "/\x00")
}

func hidden(name string) bool { return strings.HasPrefix(name, ".") }

// object is an open file, as long as it was when it was opened.
type object struct {
	ctx  context.Context
	path string
	file *os.File
	data *io.SectionReader
}

func (o *object) Size() int64  { return o.data.Size() }
func (o *object) Close() error { return o.file.Close() }

func (o *object) ReadAt(p []byte, off int64) (int, error) {
	if err := o.ctx.Err(); err != nil {
		return 0, fmt.Errorf("read %s: %w", o.path, err)
	}
	if off < 0 {
		return 0, fmt.Errorf("read %s at the negative offset %d%.0w", o.path, off, fs.ErrInvalid)
	}
	n, err := o.data.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		err = explain("read", o.path, err)
	}
	return n, err
}
