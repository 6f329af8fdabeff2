package flags

import (
	"context"
	"io"
	"io/fs"
	"iter"
	"os"

	"github.com/kubeferry/kubeferry/remote"
)

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
