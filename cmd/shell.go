package cmd

import (
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// A shell is what a command knows of the world around it, so that tests can
// give it another one.
type shell struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	// outTerminal and errTerminal tell whether a person looks at the streams.
	outTerminal, errTerminal bool
	environ                  []string // as os.Environ gives it
	unset                    func(name string) error
	now                      func() time.Time
	hostname                 func() (string, error)
}

// system is the shell of this process.
func system() *shell {
	return &shell{
		stdin:       os.Stdin,
		stdout:      os.Stdout,
		stderr:      os.Stderr,
		outTerminal: term.IsTerminal(int(os.Stdout.Fd())),
		errTerminal: term.IsTerminal(int(os.Stderr.Fd())),
		environ:     os.Environ(),
		unset:       os.Unsetenv,
		now:         time.Now,
		hostname:    os.Hostname,
	}
}

// getenv returns the value of a variable, and whether it is set to anything:
// an empty variable counts as unset.
func (sh *shell) getenv(name string) (string, bool) {
	for _, pair := range sh.environ {
		if len(pair) > len(name) && pair[len(name)] == '=' && pair[:len(name)] == name {
			value := pair[len(name)+1:]
			return value, value != ""
		}
	}
	return "", false
}

// width is how many columns the terminal at stderr has; 80 if it does not tell.
func (sh *shell) width() int {
	if f, ok := sh.stderr.(*os.File); ok {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
			return columns
		}
	}
	return 80
}

// dumb tells whether the terminal cannot move its cursor, or must not be
// painted on.
func (sh *shell) dumb() bool {
	_, plain := sh.getenv("NO_COLOR")
	kind, _ := sh.getenv("TERM")
	return plain || kind == "dumb"
}
