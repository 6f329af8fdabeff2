package crypt

import (
	"fmt"
	"io"

	"filippo.io/age"
)

// The payload of an age file: chunks of plaintext, each followed by a tag. The
// last chunk may be short; only that of an empty file is empty.
const (
	chunkSize = 64 << 10
	tagSize   = 16
)

// A Writer encrypts what is written to it. It is not whole before Close.
type Writer struct {
	dst    *counter
	age    io.WriteCloser
	header int64 // length of all that precedes the payload
	plain  int64
	closed bool
	err    error // what Close returned
}

var _ io.WriteCloser = (*Writer)(nil)

// Encrypt begins an age file for the recipients and writes its header to w.
func Encrypt(w io.Writer, recipients ...Recipient) (*Writer, error) {
	if err := Compatible(recipients...); err != nil {
		return nil, err
	}
	dst := &counter{w: w}
	enc, err := age.Encrypt(dst, ages(recipients)...)
	if err != nil {
		return nil, fmt.Errorf("begin the encrypted file: %w", err)
	}
	return &Writer{dst: dst, age: enc, header: dst.n}, nil
}

// Write takes plaintext. After an error there is no way on.
func (w *Writer) Write(p []byte) (int, error) {
	n, err := w.age.Write(p)
	w.plain += int64(n)
	if err != nil {
		return n, fmt.Errorf("encrypt: %w", err)
	}
	return n, nil
}

// Close writes the last chunk and compares the bytes that reached the writer
// below, which it does not close, with the length that they must have; a
// difference is [ErrDamaged]. Further calls return what the first one did.
func (w *Writer) Close() error {
	if !w.closed {
		w.closed = true
		w.err = w.finish()
	}
	return w.err
}

func (w *Writer) finish() error {
	if err := w.age.Close(); err != nil {
		return fmt.Errorf("encrypt the last chunk: %w", err)
	}
	if got, want := w.dst.n, w.Size(); got != want {
		return fmt.Errorf("%w: %d bytes were written where %d must be", ErrDamaged, got, want)
	}
	return nil
}

// Size is the length in bytes that the file must have, computed from the
// plaintext written so far. It is final after Close.
func (w *Writer) Size() int64 {
	chunks := max(1, (w.plain+chunkSize-1)/chunkSize)
	return w.header + w.plain + chunks*tagSize
}

// counter counts what w has taken. A short write is an error: age looks at the
// error only.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	if err == nil && n != len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}
