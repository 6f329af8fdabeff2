package cmd

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/cmd/flags"
)

// exitCodeResult is a row of the table for scripts.
type exitCodeResult struct {
	Code    exitCode `json:"code"`
	Meaning string   `json:"meaning"`
}

// newExitCodes shows the table of exit codes.
func newExitCodes(s *flags.Settings) *cobra.Command {
	var results []exitCodeResult
	for _, row := range byCode() {
		results = append(results, exitCodeResult{row.code, row.meaning})
	}
	return &cobra.Command{
		Use:     "exit-codes",
		Short:   "List the exit codes",
		Long:    strings.TrimSuffix(exitCodesText(), "\n"),
		Example: `  kubeferry exit-codes --json`,
		Args:    noWords,
		RunE: func(*cobra.Command, []string) error {
			s.Result = results
			s.Text(exitCodesText())
			return nil
		},
	}
}
