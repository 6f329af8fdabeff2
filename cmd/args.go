package cmd

import (
	"slices"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/flags"
	"github.com/spf13/cobra"
)

// exactly wants n words, and names them when they are missing.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return console.Usagef("%s takes %s; %d words were given", cmd.CommandPath(), what, len(args))
		}
		return noneEmpty(cmd, args)
	}
}

// noWords wants none.
func noWords(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return console.Usagef("%s takes flags only; %q is none", cmd.CommandPath(), args[0])
	}
	return nil
}

// atLeastOne wants a first word, and names it when it is missing.
func atLeastOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return console.Usagef("%s takes %s", cmd.CommandPath(), what)
		}
		return noneEmpty(cmd, args)
	}
}

// noneEmpty refuses the word that a shell makes of a variable without a value.
func noneEmpty(cmd *cobra.Command, args []string) error {
	if slices.Contains(args, "") {
		return console.Usagef("a word for %s is empty%s", cmd.CommandPath(), flags.UnsetVariable)
	}
	return nil
}

// knownCommand refuses the first word after the program's name, when it is not
// a command.
func knownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range root.Commands() {
		names = append(names, c.Name())
	}
	return console.Usagef("unknown command %q%s; kubeferry --help lists them", args[0], flags.DidYouMean(args[0], names))
}
