package console

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Errors that only the command line knows.
var (
	ErrUsage       = errors.New("wrong usage")
	ErrConfig      = errors.New("wrong configuration")
	ErrInterrupted = errors.New("interrupted")
	ErrTimeout     = errors.New("given up after the --timeout")
)

// Usagef is an error of wrong usage. The verb %.0w adds a cause to an error and
// nothing to its text.
func Usagef(format string, args ...any) error {
	return fmt.Errorf("%w%.0w", fmt.Errorf(format, args...), ErrUsage)
}

// Configf is an error of wrong configuration.
func Configf(format string, args ...any) error {
	return fmt.Errorf("%w%.0w", fmt.Errorf(format, args...), ErrConfig)
}

// Cause is err without the operation and the path that a file's error begins
// with, for a message that has named both.
func Cause(err error) error {
	if e, ok := err.(*fs.PathError); ok { //nolint:errorlint // the outermost only: it repeats what the message says
		return e.Err
	}
	return err
}

// Interrupted marks err as the end of a run that a signal has stopped, or the
// --timeout. whole is the context of the process, own that of the command.
func Interrupted(whole, own context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case whole.Err() != nil && errors.Is(err, context.Canceled):
		return stopped(ErrInterrupted, err)
	case own != nil && errors.Is(context.Cause(own), ErrTimeout) && errors.Is(err, context.DeadlineExceeded):
		return stopped(context.Cause(own), err)
	}
	return err
}

// stopped puts why before err, without the words of package context, which say
// the same once more.
func stopped(why, err error) error {
	text := err.Error()
	for _, tail := range []error{context.Canceled, context.DeadlineExceeded} {
		text = strings.TrimSuffix(strings.TrimSuffix(text, tail.Error()), ": ")
	}
	if text == "" {
		return fmt.Errorf("%w%.0w", why, err)
	}
	return fmt.Errorf("%w: %s%.0w", why, text, err)
}
