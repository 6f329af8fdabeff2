package cmd

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/flags"
)

// exactly wants n words, and names them when they are missing.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < n:
			return console.Usagef("missing argument %s; see %s --help", what, cmd.CommandPath())
		case len(args) > n:
			return console.Usagef("unexpected argument %q; see %s --help", args[n], cmd.CommandPath())
		}
		return noneEmpty(cmd, args)
	}
}

// noWords wants none.
// oneOrNone wants a word at most.
func oneOrNone(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return console.Usagef("unexpected argument %q; see %s --help", args[1], cmd.CommandPath())
	}
	return noneEmpty(cmd, args)
}

func noWords(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return console.Usagef("unexpected argument %q; see %s --help", args[0], cmd.CommandPath())
	}
	return nil
}

// atLeastOne wants a first word, and names it when it is missing.
func atLeastOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return console.Usagef("missing argument %s; see %s --help", what, cmd.CommandPath())
		}
		return noneEmpty(cmd, args)
	}
}

// noneEmpty refuses the word that a shell makes of a variable without a value.
func noneEmpty(cmd *cobra.Command, args []string) error {
	if slices.Contains(args, "") {
		return console.Usagef("an argument of %s is empty%s", cmd.CommandPath(), flags.UnsetVariable)
	}
	return nil
}

// knownCommand refuses the first word after the program's name, when it is not
// a command.
func knownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return console.Usagef("unknown command %q%s; kubeferry --help lists them", args[0], suggest(root, args[0]))
}

// suggest names the command that was meant: that of another program for the same, or
// the nearest one.
func suggest(root *cobra.Command, typed string) string {
	for _, c := range root.Commands() {
		if slices.Contains(c.SuggestFor, typed) {
			return " (did you mean " + c.Name() + "?)"
		}
	}
	return flags.DidYouMean(typed, commandsOf(root))
}

// commandsOf are the names of the commands that users see.
func commandsOf(root *cobra.Command) []string {
	var names []string
	for _, c := range root.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	return names
}
