package cmd

import (
	"fmt"
	"strings"

	"github.com/kubeferry/kubeferry/cmd/flags"
	"github.com/spf13/cobra"
)

// newExitCodes shows the table of exit codes.
func newExitCodes(s *flags.Settings) *cobra.Command {
	var b strings.Builder
	b.WriteString("Each command ends with one of these codes; treat unknown ones as failure.\n\n")
	type result struct {
		Code    exitCode `json:"code"`
		Meaning string   `json:"meaning"`
	}
	var results []result
	for _, row := range byCode() {
		fmt.Fprintf(&b, "%5d  %s\n", row.code, row.meaning)
		results = append(results, result{row.code, row.meaning})
	}
	return &cobra.Command{
		Use:     "exit-codes",
		Short:   "Tell what the exit codes mean",
		Long:    strings.TrimSuffix(b.String(), "\n"),
		Example: `  kubeferry exit-codes --json`,
		Args:    noWords,
		RunE: func(*cobra.Command, []string) error {
			s.Result = results
			s.Text(b.String())
			return nil
		},
	}
}
