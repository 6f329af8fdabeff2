package cmd

import (
	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/cmd/flags"
)

// The groups of the first help screen, by task.
const (
	groupCarry  = "carry"
	groupLook   = "look"
	groupRetain = "retain"
	groupSetUp  = "set up"
)

// rootOptions are the flags of the program without a command.
type rootOptions struct{ version bool }

// newRoot builds the whole command line. Commands are listed here and nowhere
// else.
func newRoot(s *flags.Settings) *cobra.Command {
	var o rootOptions
	root := &cobra.Command{
		Use:           "kubeferry",
		Short:         "Back up and restore Kubernetes state in etcd",
		Long:          "kubeferry backs up Kubernetes state from etcd to encrypted archives, and\nrestores it: whole clusters, namespaces, or single objects.",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.version {
				showVersion(s)
				return nil
			}
			return cmd.Help()
		},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return s.Apply(cmd)
		},
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetFlagErrorFunc(flags.ParseError)
	root.SetHelpFunc(showHelp(s))
	help := newHelp(s)
	help.GroupID = groupSetUp
	root.SetHelpCommand(help)
	root.Flags().BoolVar(&o.version, "version", false, "print the version")
	s.AddFlags(root.PersistentFlags())
	_ = root.RegisterFlagCompletionFunc("profile", s.CompleteProfiles) // the flag was defined above
	flags.Complete(root)

	root.AddGroup(
		&cobra.Group{ID: groupCarry, Title: "Backup and restore:"},
		&cobra.Group{ID: groupLook, Title: "Inspect:"},
		&cobra.Group{ID: groupRetain, Title: "Verify and retain:"},
		&cobra.Group{ID: groupSetUp, Title: "Set up:"},
	)
	for group, commands := range map[string][]*cobra.Command{
		groupCarry:  {newBackup(s), newRestore(s), newUndo(s)},
		groupLook:   {newList(s), newDescribe(s), newGet(s)},
		groupRetain: {newVerify(s), newCheck(s), newPrune(s), newReceipt(s)},
		groupSetUp:  {newDoctor(s), newKeygen(s), newDemo(s), newVersion(s), newCompletion(s), newExitCodes(s)},
	} {
		for _, c := range commands {
			c.GroupID = group
			c.Flags().SortFlags, c.DisableFlagsInUseLine = false, true
			flags.Complete(c)
			root.AddCommand(c)
		}
	}
	return root
}
