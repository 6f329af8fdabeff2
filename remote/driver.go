package remote

import (
	"context"
	"errors"
	"io"
	"syscall"
)

// IsFull tells whether the system says by an error that a medium is full, or what
// the user may use of it. Drivers call that ErrNoSpace.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// Obedient is r until the context ends, and then its error: for long reads of what
// knows no context.
func Obedient(ctx context.Context, r io.Reader) io.Reader { return &obedient{ctx, r} }

type obedient struct {
	ctx context.Context
	r   io.Reader
}

func (o *obedient) Read(p []byte) (int, error) {
	if err := o.ctx.Err(); err != nil {
		return 0, err
	}
	return o.r.Read(p)
}
