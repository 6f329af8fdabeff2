package console

import (
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// A Shell is what a command knows of the world around it, so that tests can
// give it another one.
type Shell struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// OutTerminal and ErrTerminal tell whether a person looks at the streams.
	OutTerminal, ErrTerminal bool
	Environ                  []string // as os.Environ gives it
	Unset                    func(name string) error
	Now                      func() time.Time
	Hostname                 func() (string, error)
}

// System is the shell of this process.
func System() *Shell {
	return &Shell{
		Stdin:       os.Stdin,
		Stdout:      os.Stdout,
		Stderr:      os.Stderr,
		OutTerminal: term.IsTerminal(int(os.Stdout.Fd())),
		ErrTerminal: term.IsTerminal(int(os.Stderr.Fd())),
		Environ:     os.Environ(),
		Unset:       os.Unsetenv,
		Now:         time.Now,
		Hostname:    os.Hostname,
	}
}

// Getenv returns the value of a variable, and whether it is set to anything:
// an empty variable counts as unset.
func (sh *Shell) Getenv(name string) (string, bool) {
	for _, pair := range sh.Environ {
		if len(pair) > len(name) && pair[len(name)] == '=' && pair[:len(name)] == name {
			value := pair[len(name)+1:]
			return value, value != ""
		}
	}
	return "", false
}

// width is how many columns the terminal at stderr has; 80 if it does not tell.
func (sh *Shell) width() int {
	if f, ok := sh.Stderr.(*os.File); ok {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
			return columns
		}
	}
	return 80
}

// dumb tells whether the terminal cannot move its cursor.
func (sh *Shell) dumb() bool {
	kind, _ := sh.Getenv("TERM")
	return kind == "dumb"
}
