package s3

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/kubeferry/kubeferry/remote"
)

// Fetched is the store for who reads objects more than once: an object that is
// opened is copied into a spool first, and read from there.
func (s *Store) Fetched() remote.Store { return fetched{s} }

type fetched struct{ *Store }

// Open copies an object and opens the copy. What it holds is for the archive to
// tell, as ever.
func (f fetched) Open(ctx context.Context, name string) (_ remote.Object, err error) {
	far, err := f.Store.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, far.Close()) }()
	near, err := newSpool(f.config.SpoolDir)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(near, io.NewSectionReader(far, 0, far.Size())); err != nil {
		return nil, errors.Join(fmt.Errorf("fetch %s: %w", name, err), near.close())
	}
	return copied{near}, nil
}

// copied is an object in a spool.
type copied struct{ spool *spool }

func (c copied) ReadAt(p []byte, off int64) (int, error) { return c.spool.file.ReadAt(p, off) }
func (c copied) Size() int64                             { return c.spool.size }
func (c copied) Close() error                            { return c.spool.close() }
