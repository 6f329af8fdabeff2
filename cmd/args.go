package cmd

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// exactly wants n words, and names them when they are missing.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usagef("%s takes %s; %d words were given", cmd.CommandPath(), what, len(args))
		}
		return noneEmpty(cmd, args)
	}
}

// noWords wants none.
func noWords(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes flags only; %q is none", cmd.CommandPath(), args[0])
	}
	return nil
}

// atLeastOne wants a first word, and names it when it is missing.
func atLeastOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usagef("%s takes %s", cmd.CommandPath(), what)
		}
		return noneEmpty(cmd, args)
	}
}

// noneEmpty refuses the word that a shell makes of a variable without a value.
func noneEmpty(cmd *cobra.Command, args []string) error {
	if slices.Contains(args, "") {
		return usagef("a word for %s is empty%s", cmd.CommandPath(), unsetVariable)
	}
	return nil
}

// unsetVariable is the likely cause.
const unsetVariable = "; has a variable of the shell no value?"

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
	return usagef("unknown command %q%s; kubeferry --help lists them", args[0], didYouMean(args[0], names))
}

// didYouMean suggests the nearest of the words that could have been meant.
func didYouMean(typed string, words []string) string {
	if near := kube.Nearest(typed, words); len(near) > 0 {
		return " (did you mean " + strings.Join(near, " or ") + "?)"
	}
	return ""
}

// mustBeFolder refuses what is not a folder.
func mustBeFolder(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("opening the folder: %w", err)
	case !info.IsDir():
		return usagef("%s is not a folder", path)
	}
	return nil
}
