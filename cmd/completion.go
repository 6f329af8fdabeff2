package cmd

import (
	"bytes"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/flags"
)

type completionResult struct {
	Shell  string `json:"shell"`
	Script string `json:"script"`
}

// newCompletion takes the place of cobra's own command, which succeeds for a
// shell that it does not know.
func newCompletion(s *flags.Settings) *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Generate a shell completion script",
		Long: `Prints a script that makes a shell complete kubeferry's commands, flags and
their values. SHELL is bash, zsh, fish or powershell.`,
		Annotations: ends(),
		Example:     `  kubeferry completion bash > kubeferry.bash`,
		ValidArgs:   shells,
		Args:        exactly(1, "SHELL: bash, zsh, fish or powershell"),
		RunE: func(c *cobra.Command, args []string) error {
			var b bytes.Buffer
			var err error
			switch root := c.Root(); args[0] {
			case "bash":
				err = root.GenBashCompletionV2(&b, true)
			case "zsh":
				err = root.GenZshCompletion(&b)
			case "fish":
				err = root.GenFishCompletion(&b, true)
			case "powershell":
				err = root.GenPowerShellCompletionWithDesc(&b)
			default:
				return console.Usagef("there is no completion for %q%s; it takes bash, zsh, fish or powershell", args[0], flags.DidYouMean(args[0], shells))
			}
			s.Result = completionResult{args[0], b.String()}
			s.Text(b.String())
			return err
		},
	}
}
