package cmd

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/flags"
)

// newHelp is the command help: what --help shows, and the topics.
func newHelp(s *flags.Settings) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND | TOPIC]",
		Short: "Show help for a command or topic",
		Long: "Shows the help of a command, as COMMAND --help does, or explains a topic:\n" +
			strings.Join(topicNames(), ", ") + ".",
		Annotations: ends(),
		Example: `  kubeferry help backup
  kubeferry help selection`,
		ValidArgsFunction: func(c *cobra.Command, words []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(words) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return append(commandsOf(c.Root()), topicNames()...), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, words []string) error {
			if len(words) > 1 {
				return console.Usagef("%s takes one COMMAND or TOPIC", c.CommandPath())
			}
			if len(words) == 1 {
				if i := slices.IndexFunc(topics, func(t topic) bool { return t.name == words[0] }); i >= 0 {
					tell(s, topics[i].page(c.Root()))
					return nil
				}
			}
			found, rest, err := c.Root().Find(words)
			if err != nil || found.Hidden || found == c.Root() && len(rest) > 0 {
				return knownCommand(c.Root(), words)
			}
			return found.Help()
		},
	}
}

type helpResult struct {
	Help string `json:"help"`
}

// tell prints a help text, or with --json tells it as a result.
func tell(s *flags.Settings, text string) {
	s.Result = helpResult{text}
	s.Text(text)
}

// showHelp shows the help of a command: what it does, how it is used, examples, the
// flags by group, and the exit codes.
func showHelp(s *flags.Settings) func(*cobra.Command, []string) {
	return func(c *cobra.Command, _ []string) {
		if !c.HasParent() {
			tell(s, rootHelp(c))
			return
		}
		var b strings.Builder
		b.WriteString(c.Long + "\n\nUsage:\n  " + c.UseLine() + "\n")
		if c.Example != "" {
			b.WriteString("\nExamples:\n" + c.Example + "\n")
		}
		b.WriteString(flags.Usages(c))
		if codes := c.Annotations[exitCodesOf]; codes != "" {
			b.WriteString("\nExit codes (help exit-codes): " + codes + "\n")
		}
		tell(s, b.String())
	}
}

// rootHelp is the first help screen.
func rootHelp(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString(root.Long + "\n\nUsage:\n  kubeferry COMMAND [flags]\n")
	for _, g := range root.Groups() {
		b.WriteString("\n" + g.Title + "\n")
		for _, c := range root.Commands() {
			if c.GroupID == g.ID && !c.Hidden {
				b.WriteString("  " + c.Name() + strings.Repeat(" ", root.NamePadding()-len(c.Name())) + " " + c.Short + "\n")
			}
		}
	}
	b.WriteString("\nTopics (kubeferry help TOPIC):\n  " + strings.Join(topicNames(), ", ") + "\n")
	b.WriteString(flags.Usages(root) + "\nUse kubeferry COMMAND --help for the flags of a command.\n")
	return b.String()
}
