package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kubeferry/kubeferry/remote"
)

var (
	// ErrUnfit: no way of naming a file works in the folder. It is an fs.ErrPermission.
	ErrUnfit = fmt.Errorf("the folder cannot keep archives%.0w", fs.ErrPermission)
	// ErrReserved: an empty file has the name. Another run is about to publish under it,
	// or was killed when it was. It is an fs.ErrExist.
	ErrReserved = fmt.Errorf("the name is reserved by an empty file%.0w", fs.ErrExist)
)

// A Way is how a whole partial gets its name, without replacing what has it.
type Way int

// The ways, the best one first.
const (
	Rename  Way = iota // with RENAME_NOREPLACE
	Link               // a second name, then the first one goes
	Reserve            // an empty file takes the name, and the partial replaces it
	Copy               // a new file takes the name and then the bytes of the partial
)

// ways are those that a probe tries.
var ways = []Way{Rename, Link, Reserve, Copy}

// String is a word for scripts.
func (w Way) String() string { return [...]string{"rename", "link", "reserve", "copy"}[w] }

// MarshalText implements encoding.TextMarshaler.
func (w Way) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// Notes are what a folder was found to be like.
type Notes struct {
	// Naming is how objects get their names in it.
	Naming Way `json:"naming"`
	// Why is what it answered to better ways.
	Why string `json:"why,omitempty"`
	// NoLocks is what it answered to a lock: what a killed run leaves is not removed
	// there. Empty if it has locks.
	NoLocks string `json:"no_locks,omitempty"`
}

// A place is a name in a folder.
type place struct {
	folder

	name string
}

// take gives what is at from the name to, which is an fs.ErrExist if somebody has it.
// Only Copy leaves from as it is, and only it may go from one folder to another. After
// an error there is nothing new under the name.
func (w Way) take(ctx context.Context, from, to place) error {
	switch w {
	case Rename:
		return to.rename(from.name, to.name)
	case Link:
		if err := to.link(from.name, to.name); err != nil {
			return err
		}
		return to.unless(from.remove(from.name))
	case Reserve:
		f, err := to.create(to.name)
		if err != nil {
			return err
		}
		if err = f.Close(); err == nil {
			err = to.replace(from.name, to.name)
		}
		return to.unless(err)
	}
	return to.copy(ctx, from)
}

// unless takes the name back if there is an error.
func (p place) unless(err error) error {
	if err == nil {
		return nil
	}
	if undo := p.remove(p.name); undo != nil && !errors.Is(undo, fs.ErrNotExist) {
		return fmt.Errorf("%w; and %s is left behind unfinished: %w", err, p.name, undo)
	}
	return err
}

// copy makes a new file with the bytes of another.
func (p place) copy(ctx context.Context, from place) error {
	source, err := from.open(from.name)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }() // it was only read
	f, err := p.create(p.name)
	if err != nil {
		return err
	}
	if _, err = io.Copy(f, remote.ContextReader(ctx, source)); err == nil {
		err = f.Sync()
	}
	return p.unless(errors.Join(err, f.Close()))
}

// probe finds the best way that works in a folder, with files of its own that are named
// like partials.
func probe(ctx context.Context, disk folder) (notes Notes, err error) {
	var answers []string
	for _, w := range ways {
		unlocked, err := w.try(ctx, disk)
		if unlocked != nil {
			notes.NoLocks = cause(unlocked).Error()
		}
		if err == nil {
			notes.Naming, notes.Why = w, strings.Join(answers, ", ")
			return notes, nil
		}
		if errors.Is(err, ErrUnfit) || !unknown(err) {
			return Notes{}, err
		}
		answers = append(answers, fmt.Sprintf("%s: %s", w, cause(err)))
	}
	return Notes{}, fmt.Errorf("%w (%s)", ErrUnfit, strings.Join(answers, ", "))
}

// try makes a file, gives it a name in this way, looks at what has the name, and removes
// all of it. It also tells why the file could not be locked.
func (w Way) try(ctx context.Context, disk folder) (unlocked, err error) {
	const text = "kubeferry tries how files get their names here"
	from, to := place{disk, newPartial()}, place{disk, newPartial()}
	f, err := disk.create(from.name)
	if err != nil {
		return nil, unfit("a new file", err)
	}
	defer func() { err = errors.Join(err, from.clear(), to.clear()) }()
	unlocked = f.lock()
	_, err = io.WriteString(f, text)
	if err = errors.Join(err, f.Close()); err != nil {
		return unlocked, err
	}
	if err := w.take(ctx, from, to); err != nil {
		return unlocked, err
	}
	switch info, err := disk.lstat(to.name); {
	case err != nil:
		return unlocked, err
	case info.Size() != int64(len(text)):
		return unlocked, fmt.Errorf("%w: %d bytes have become %d under the new name", unix.EINVAL, len(text), info.Size())
	}
	return unlocked, nil
}

// clear removes what a try has left. Where nothing can be removed, no failed run could
// take back what it has begun.
func (p place) clear() error {
	if err := p.remove(p.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unfit("a removal, so that "+p.name+" is left behind", err)
	}
	return nil
}

// unfit is an error of what every way needs.
func unfit(what string, err error) error {
	if !unknown(err) {
		return err
	}
	return fmt.Errorf("%w (%s: %w)", ErrUnfit, what, cause(err))
}

// unknown tells whether an error of a call says that the file system does not know it,
// rather than that it failed.
func unknown(err error) bool {
	return slices.ContainsFunc([]error{unix.EINVAL, unix.EPERM, unix.ENOSYS, unix.EOPNOTSUPP, unix.ENOTSUP, unix.EMLINK, unix.EXDEV},
		func(number error) bool { return errors.Is(err, number) })
}

// cause is an error without what was done to which path.
func cause(err error) error {
	switch e := err.(type) { //nolint:errorlint // the outermost only: it repeats what op and path say
	case *fs.PathError:
		return e.Err
	case *os.LinkError:
		return e.Err
	case *os.SyscallError:
		return e.Err
	}
	return err
}
