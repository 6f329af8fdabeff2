package cmd

import (
	"github.com/kubeferry/kubeferry/cmd/flags"
	"github.com/spf13/cobra"
)

// The groups of the first help screen, by task.
const (
	groupCarry = "carry"
	groupLook  = "look"
	groupTrust = "trust"
	groupSetUp = "set up"
)

// newRoot builds the whole command line. Commands are listed here and nowhere
// else.
func newRoot(s *flags.Settings) *cobra.Command {
	root := &cobra.Command{
		Use:           "kubeferry",
		Short:         "Carry Kubernetes state out of etcd, and back",
		Long:          "kubeferry carries Kubernetes state out of etcd into encrypted archives, and back.",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          knownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return s.Apply(cmd)
		},
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetFlagErrorFunc(flags.ParseError)
	root.SetHelpFunc(showHelp(s))
	help := newHelp()
	help.GroupID = groupSetUp
	root.SetHelpCommand(help)
	s.AddFlags(root.PersistentFlags())

	root.AddGroup(
		&cobra.Group{ID: groupCarry, Title: "Carry:"},
		&cobra.Group{ID: groupLook, Title: "Look:"},
		&cobra.Group{ID: groupTrust, Title: "Trust:"},
		&cobra.Group{ID: groupSetUp, Title: "Set up:"},
	)
	for group, commands := range map[string][]*cobra.Command{
		groupCarry: {newBackup(s), newRestore(s)},
		groupLook:  {newList(s), newDescribe(s)},
		groupTrust: {newVerify(s), newCheck(s), newPrune(s), newReceipt(s)},
		groupSetUp: {newKeygen(s), newDemo(s), newVersion(s), newCompletion(s), newExitCodes(s)},
	} {
		for _, c := range commands {
			c.GroupID = group
			flags.Complete(c)
			root.AddCommand(c)
		}
	}
	return root
}
