package dir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/kubeferry/kubeferry/remote"
)

// folder is all that a store does to the names in its folder while it writes.
// It is an interface so that a test can make each step fail. Names are single
// path elements; none of the methods follows a link.
type folder interface {
	create(name string) (file, error) // a new file, mode 0600
	open(name string) (file, error)   // for reading
	lstat(name string) (fs.FileInfo, error)
	names() ([]string, error)
	rename(from, to string) error  // fs.ErrExist if to is there
	link(from, to string) error    // a second name; fs.ErrExist if to is there
	replace(from, to string) error // whatever to is
	remove(name string) error
	lock(name string) (file, error) // an existing file; errors if somebody has the lock
	sync() error
	close() error
}

// file is what a store does to an open file.
type file interface {
	io.ReadWriteCloser
	Sync() error
	Stat() (fs.FileInfo, error)
	lock() error // until it is closed; at once, or not at all
}

// osFile is a file of the operating system.
type osFile struct{ *os.File }

func (f osFile) lock() error {
	return os.NewSyscallError("flock", unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB))
}

// osFolder is a folder of the operating system, held by a descriptor, so that
// all steps hit the same one whatever happens to its path.
type osFolder struct {
	root *os.Root
	self *os.File
}

var _ folder = (*osFolder)(nil)

func openFolder(path string) (folder, error) {
	root, err := os.OpenRoot(path)
	if info, failed := os.Stat(path); err != nil && failed == nil && !info.IsDir() {
		return nil, unix.ENOTDIR // which OpenRoot says in words of its own
	}
	if err != nil {
		return nil, err
	}
	self, err := root.Open(".")
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return &osFolder{root, self}, nil
}

func (d *osFolder) create(name string) (file, error) {
	f, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := private(f); err != nil {
		return nil, errors.Join(err, f.Close(), d.root.Remove(name))
	}
	return osFile{f}, nil
}

// private gives a new file the mode 0600 where the umask took bits away. A
// file system without modes, on a memory stick, gives its own and is let be.
func private(f *os.File) error {
	info, err := f.Stat()
	if err != nil || info.Mode().Perm() == 0o600 {
		return err
	}
	if err := f.Chmod(0o600); !unknown(err) {
		return err
	}
	return nil
}

func (d *osFolder) open(name string) (file, error) {
	f, err := d.root.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (d *osFolder) lstat(name string) (fs.FileInfo, error) { return d.root.Lstat(name) }

func (d *osFolder) names() ([]string, error) {
	self, err := d.root.Open(".") // its own position in the list
	if err != nil {
		return nil, err
	}
	names, err := self.Readdirnames(-1)
	return names, errors.Join(err, self.Close())
}

func (d *osFolder) rename(from, to string) error {
	return renameNoReplace(int(d.self.Fd()), from, to)
}

func (d *osFolder) link(from, to string) error    { return d.root.Link(from, to) }
func (d *osFolder) replace(from, to string) error { return d.root.Rename(from, to) }

func (d *osFolder) remove(name string) error { return d.root.Remove(name) }

func (d *osFolder) lock(name string) (file, error) {
	// For writing, since a lock over NFS needs that.
	f, err := d.root.OpenFile(name, os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	held := osFile{f}
	if err := held.lock(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return held, nil
}

func (d *osFolder) sync() error  { return d.self.Sync() }
func (d *osFolder) close() error { return errors.Join(d.self.Close(), d.root.Close()) }

// syncFolder makes the names in the folder durable. Some file systems do not
// know how, and need not.
func syncFolder(d folder, path string) error {
	err := d.sync()
	if err == nil || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	return explain("sync the folder of", path, err)
}

// makeFolder makes the folder and its parents where they are missing, for
// nobody but the user, and makes their names durable.
func makeFolder(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil // opening it says what is wrong, if anything is
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := makeFolder(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) && isFolder(path) {
			return nil // another process was faster
		}
		return explain("make the folder", path, err)
	}
	d, err := openFolder(parent)
	if err != nil {
		return explain("open", parent, err)
	}
	return errors.Join(syncFolder(d, path), explain("close", parent, d.close()))
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// explain says what was done to which path, and gives the errors of the system
// the names that package remote promises.
func explain(op, path string, err error) error {
	if err == nil {
		return nil
	}
	if err = remote.System(cause(err)); errors.Is(err, remote.ErrNoSpace) {
		return fmt.Errorf("%s %s: %w%s", op, path, err, free(path))
	}
	return fmt.Errorf("%s %s: %w", op, path, err)
}

// free tells how much space there is, if that can be learnt.
func free(path string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(path), &st); err != nil {
		return ""
	}
	return fmt.Sprintf(" (%d MiB free)", st.Bavail*uint64(st.Bsize)>>20)
}
