package flags

import (
	"errors"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kubeferry/kubeferry/cmd/console"
)

// ParseError explains a command line that cannot be parsed.
func ParseError(c *cobra.Command, err error) error {
	var wrong *pflag.InvalidValueError
	if errors.As(err, &wrong) {
		return console.Usagef("--%s=%s: %w", wrong.GetFlag().Name, wrong.GetValue(), plain(wrong.GetFlag(), errors.Unwrap(wrong)))
	}
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || unknown.GetSpecifiedShortnames() != "" {
		return console.Usagef("%w; %s --help lists the flags", err, c.CommandPath())
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, "--"+f.Name)
		}
	})
	return console.Usagef("%w%s; %s --help lists the flags", err, DidYouMean("--"+unknown.GetSpecifiedName(), names), c.CommandPath())
}

// plain says what a flag takes, where package strconv says which of its
// functions has failed.
func plain(f *pflag.Flag, err error) error {
	var number *strconv.NumError
	switch {
	case !errors.As(err, &number):
		return err
	case f.Value.Type() == "bool":
		return errors.New("it takes true or false")
	}
	return errors.New("it takes a number")
}
