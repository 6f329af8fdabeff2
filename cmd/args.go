package cmd

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// exactly wants n words, and names them when they are missing.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usagef("%s takes %s; %d words were given", cmd.CommandPath(), what, len(args))
		}
		return nil
	}
}

// atLeastOne wants a first word, and names it when it is missing.
func atLeastOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usagef("%s takes %s", cmd.CommandPath(), what)
		}
		return nil
	}
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
