package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/kubeferry/kubeferry/remote"
)

// Create begins an object as a partial.
func (s *Store) Create(ctx context.Context, name string) (remote.Upload, error) {
	if err := s.check(ctx, "create", name); err != nil {
		return nil, err
	}
	if hidden(name) {
		return nil, fmt.Errorf("create %s: a name that begins with a dot%.0w", s.join(name), fs.ErrInvalid)
	}
	disk, err := s.prepare()
	if err != nil {
		return nil, err
	}
	u, err := s.begin(ctx, disk, name)
	if err != nil {
		return nil, errors.Join(err, explain("close", s.path, disk.close()))
	}
	return u, nil
}

// Probe finds out whether objects can be published in the folder and how, with files
// that it removes; where there is no folder yet, with one beside it that it removes too. Create
// does the same if it was not done.
func (s *Store) Probe(ctx context.Context) (_ Notes, err error) {
	if err := ctx.Err(); err != nil {
		return Notes{}, fmt.Errorf("probe %s: %w", s.path, err)
	}
	open := s.prepare
	if _, missing := os.Stat(s.path); errors.Is(missing, fs.ErrNotExist) {
		beside, failed := os.MkdirTemp(nearest(s.path), newPartial()+"-*") // for its owner only
		if failed != nil {
			return Notes{}, explain("make the folder", s.path, failed)
		}
		defer func() { err = errors.Join(err, explain("remove", beside, os.Remove(beside))) }()
		open = func() (folder, error) { return s.disk(beside) }
	}
	disk, err := open()
	if err != nil {
		return Notes{}, err
	}
	notes, err := s.probe(ctx, disk)
	return notes, errors.Join(err, explain("close", s.path, disk.close()))
}

// nearest is the folder that is there of a path.
func nearest(path string) string {
	for parent := filepath.Dir(path); parent != path; path, parent = parent, filepath.Dir(parent) {
		if _, err := os.Stat(parent); err == nil {
			return parent
		}
	}
	return path
}

// probe asks the folder once in the life of the store.
func (s *Store) probe(ctx context.Context, disk folder) (Notes, error) {
	s.probing.Lock()
	defer s.probing.Unlock()
	if s.notes != nil {
		return *s.notes, nil
	}
	notes, err := probe(ctx, disk)
	if err != nil {
		return Notes{}, explain("probe", s.path, err)
	}
	s.notes = &notes
	return notes, nil
}

// prepare makes and opens the folder, if it is one to write in.
func (s *Store) prepare() (folder, error) {
	if err := makeFolder(s.path); err != nil {
		return nil, err
	}
	disk, err := s.open()
	if err != nil {
		return nil, err
	}
	info, err := disk.lstat(".")
	if err != nil {
		err = explain("look at", s.path, err)
	} else if m := info.Mode(); m.Perm()&0o002 != 0 && m&fs.ModeSticky == 0 && !s.options.AllowShared {
		err = fmt.Errorf("%s has mode %#o and no sticky bit: %w", s.path, m.Perm(), ErrShared)
	}
	if err != nil {
		return nil, errors.Join(err, explain("close", s.path, disk.close()))
	}
	return disk, nil
}

func (s *Store) begin(ctx context.Context, disk folder, name string) (*upload, error) {
	switch info, err := disk.lstat(name); {
	case err == nil && info.Mode().IsRegular() && info.Size() == 0:
		return nil, fmt.Errorf("create %s: %w", s.join(name), ErrReserved)
	case err == nil: // whatever it is, it is not followed
		return nil, fmt.Errorf("create %s: %w", s.join(name), fs.ErrExist)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, explain("look for", s.join(name), err)
	}
	_, _ = sweep(disk, time.Now().Add(-partialLife), false) // a courtesy: what cannot be removed stays without a word
	notes, err := s.probe(ctx, disk)
	if err != nil {
		return nil, err
	}
	u := &upload{ctx: ctx, way: notes.Naming, to: place{disk, name}, path: s.join(name)}
	if err := s.spool(u); err != nil {
		return nil, err
	}
	return u, nil
}

// spool begins the partial of an upload.
func (s *Store) spool(u *upload) (err error) {
	path := s.path
	u.temp = place{u.to.folder, newPartial()}
	if u.way == Copy && s.options.Spool != "" {
		path = s.options.Spool
		if u.temp.folder, err = s.disk(path); err != nil {
			return explain("open the spool", path, err)
		}
		_, _ = sweep(u.temp, time.Now().Add(-partialLife), false) // as above
	}
	if u.file, err = u.temp.create(u.temp.name); err != nil {
		err = explain("create", filepath.Join(path, u.temp.name), err)
		if u.temp.folder != u.to.folder {
			err = errors.Join(err, explain("close", path, u.temp.close()))
		}
		return err
	}
	_ = u.file.lock() // where there are no locks, nobody removes a partial
	return nil
}
