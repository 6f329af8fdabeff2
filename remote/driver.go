package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"
)

// System gives an error of the operating system its class: a medium that is full, or
// what the user may use of it, is [ErrNoSpace], a read-only one fs.ErrPermission, and
// what has none in io/fs [ErrUnavailable]. Other errors stay as they are.
func System(err error) error {
	var number syscall.Errno
	switch {
	case err == nil, errors.Is(err, ErrNoSpace), !errors.As(err, &number):
		return err
	case number == syscall.ENOSPC, number == syscall.EDQUOT, number == syscall.EFBIG:
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	case number == syscall.EROFS:
		return fmt.Errorf("%w: %w", fs.ErrPermission, err)
	case number.Is(fs.ErrExist), number.Is(fs.ErrNotExist), number.Is(fs.ErrPermission):
		return err
	}
	return fmt.Errorf("%w%.0w", err, ErrUnavailable)
}

// ContextReader is r until the context ends, and then its error: for long reads of what
// knows no context.
func ContextReader(ctx context.Context, r io.Reader) io.Reader { return &contextReader{ctx, r} }

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (o *contextReader) Read(p []byte) (int, error) {
	if err := o.ctx.Err(); err != nil {
		return 0, err
	}
	return o.r.Read(p)
}
