package cmd

import (
	"bytes"
	"errors"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newHelp is the command help: what --help shows.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show the help of a command",
		Long:  "Shows the help of a command, as COMMAND --help does." + ends(),
		Example: `  kubeferry help backup
  kubeferry help exit-codes`,
		RunE: func(c *cobra.Command, words []string) error {
			found, rest, err := c.Root().Find(words)
			if err != nil || found.Hidden || found == c.Root() && len(rest) > 0 {
				return knownCommand(c.Root(), words)
			}
			if len(rest) > 0 {
				return usagef("%s takes one COMMAND", c.CommandPath())
			}
			return found.Help()
		},
	}
}

// showHelp prints the help of c, or with --json tells it as a result.
func showHelp(p *printer) func(*cobra.Command, []string) {
	return func(c *cobra.Command, _ []string) {
		var b bytes.Buffer
		if c.Long != "" {
			b.WriteString(c.Long + "\n\n")
		}
		b.WriteString(c.UsageString())
		p.result = map[string]string{"help": b.String()}
		p.text(b.String())
	}
}

// flagError explains a command line that cannot be parsed.
func flagError(c *cobra.Command, err error) error {
	var wrong *pflag.InvalidValueError
	if errors.As(err, &wrong) {
		return usagef("--%s=%s: %w", wrong.GetFlag().Name, wrong.GetValue(), plain(wrong.GetFlag(), errors.Unwrap(wrong)))
	}
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || unknown.GetSpecifiedShortnames() != "" {
		return usagef("%w; %s --help lists the flags", err, c.CommandPath())
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, "--"+f.Name)
		}
	})
	return usagef("%w%s; %s --help lists the flags", err, didYouMean("--"+unknown.GetSpecifiedName(), names), c.CommandPath())
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
