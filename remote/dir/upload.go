package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/kubeferry/kubeferry/remote"
)

// upload is a partial that may become an object.
type upload struct {
	ctx   context.Context
	way   Way
	file  file   // nil once it is closed
	temp  place  // of the partial: in the folder of the object, unless it is to be copied
	to    place  // of the object
	path  string // of the object, for errors
	ended bool
	err   error // the first error of Write: it sticks
}

var _ remote.Upload = (*upload)(nil)

func (u *upload) Write(p []byte) (int, error) {
	if u.ended {
		return 0, fmt.Errorf("write %s: %w", u.path, fs.ErrClosed)
	}
	if u.err != nil {
		return 0, u.err
	}
	if err := u.ctx.Err(); err != nil {
		u.err = fmt.Errorf("write %s: %w", u.path, err)
		return 0, u.err
	}
	n, err := u.file.Write(p)
	if err != nil {
		u.err = explain("write", u.path, err)
	}
	return n, u.err
}

func (u *upload) Commit(want remote.Digest) error {
	if u.ended {
		return fmt.Errorf("publish %s: %w", u.path, fs.ErrClosed)
	}
	u.ended = true
	if err := u.publish(want); err != nil {
		return errors.Join(err, u.discard())
	}
	// All is durable, so there is nothing left that could fail.
	if u.way == Copy { // a partial that cannot be removed is swept like a dead one
		_ = u.discard()
		return nil
	}
	_ = u.to.close()
	return nil
}

func (u *upload) Abort() error {
	if u.ended {
		return nil
	}
	u.ended = true
	return u.discard()
}

// publish makes the partial an object. Its steps are in the order that the
// package comment promises; none is ever repeated after it failed, for what a
// second fsync says about the first one's bytes is nothing.
func (u *upload) publish(want remote.Digest) error {
	if u.err != nil {
		return u.err
	}
	if err := u.file.Sync(); err != nil {
		return explain("sync", u.path, err)
	}
	if err := u.closeFile(); err != nil {
		return err
	}
	if err := u.readBack(u.temp, want); err != nil {
		return err
	}
	if err := u.way.take(u.ctx, u.temp, u.to); err != nil {
		return explain("publish", u.path, err)
	}
	err := syncFolder(u.to, u.path)
	if err == nil && u.way == Copy {
		err = u.readBack(u.to, want)
	}
	return u.to.unless(err) // the name is ours, and not durable or not whole
}

// readBack compares what a folder gives back with what was to be written.
func (u *upload) readBack(from place, want remote.Digest) error {
	f, err := from.open(from.name)
	if err != nil {
		return explain("read back", u.path, err)
	}
	sum := remote.NewSummer()
	_, err = io.Copy(sum, remote.ContextReader(u.ctx, f))
	if err := errors.Join(err, f.Close()); err != nil {
		return explain("read back", u.path, err)
	}
	if got := sum.Digest(); got != want {
		return fmt.Errorf("read back %s: %w: %d bytes with SHA-256 %x, where %d with %x were written",
			u.path, remote.ErrDigest, got.Size, got.SHA256, want.Size, want.SHA256)
	}
	return nil
}

// discard removes the partial, if it still has its name, and lets go of all.
func (u *upload) discard() error {
	err := u.closeFile()
	if gone := u.temp.remove(u.temp.name); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, fmt.Errorf("%s is left behind: %w", u.temp.name, gone))
	}
	if u.temp.folder != u.to.folder {
		err = errors.Join(err, explain("close the spool of", u.path, u.temp.close()))
	}
	return errors.Join(err, explain("close the folder of", u.path, u.to.close()))
}

func (u *upload) closeFile() error {
	if u.file == nil {
		return nil
	}
	f := u.file
	u.file = nil
	if err := f.Close(); err != nil {
		return explain("close", u.path, err)
	}
	return nil
}
