package dir

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"time"
)

// partialLife is how long a partial that nobody holds is left alone, in case
// it is wanted for a look.
const partialLife = 24 * time.Hour

var partialName = regexp.MustCompile(`^\.kubeferry-[a-z0-9]{16}\.partial$`)

func newPartial() string {
	return ".kubeferry-" + strings.ToLower(rand.Text()[:16]) + ".partial"
}

// sweep removes the partials of dead processes that were last written before then,
// or only names them if it is dry: their lock is free.
func sweep(d folder, before time.Time, dry bool) (swept []string, err error) {
	names, err := d.names()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if !partialName.MatchString(name) {
			continue
		}
		gone, e := sweepOne(d, name, before, dry)
		if gone {
			swept = append(swept, name)
		}
		err = errors.Join(err, e)
	}
	return swept, err
}

func sweepOne(d folder, name string, before time.Time, dry bool) (gone bool, err error) {
	found, err := d.lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil || !found.Mode().IsRegular() || !found.ModTime().Before(before) {
		return false, err
	}
	f, err := d.lock(name)
	if err != nil {
		return false, nil // somebody holds it, or it is gone
	}
	defer func() { _ = f.Close() }() // nothing was written
	// Removed while it is locked, and only if it is the file that was found.
	if held, err := f.Stat(); err != nil || !os.SameFile(found, held) {
		return false, err
	}
	if dry {
		return true, nil
	}
	err = d.remove(name)
	return err == nil, err
}

// Sweep removes the partials that dead processes left, last written before then, or
// only names them if it is dry. Nobody else names files so: ours is not asked.
func (s *Store) Sweep(_ context.Context, before time.Time, _ func(name string) bool, dry bool) ([]string, error) {
	disk, err := s.open()
	if err != nil {
		return nil, err
	}
	swept, err := sweep(disk, before, dry)
	if err != nil {
		err = explain("sweep", s.path, err)
	}
	return swept, errors.Join(err, explain("close", s.path, disk.close()))
}
