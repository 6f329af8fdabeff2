package cmd

import (
	"bytes"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/flags"
	"github.com/spf13/cobra"
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
				return console.Usagef("%s takes one COMMAND", c.CommandPath())
			}
			return found.Help()
		},
	}
}

type helpResult struct {
	Help string `json:"help"`
}

// showHelp prints the help of c, or with --json tells it as a result.
func showHelp(s *flags.Settings) func(*cobra.Command, []string) {
	return func(c *cobra.Command, _ []string) {
		var b bytes.Buffer
		if c.Long != "" {
			b.WriteString(c.Long + "\n\n")
		}
		b.WriteString(c.UsageString())
		s.Result = helpResult{b.String()}
		s.Text(b.String())
	}
}
