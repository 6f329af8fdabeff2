package cmd

import (
	"context"
	"fmt"
	"time"

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
func newRoot(p *printer) *cobra.Command {
	var timeout time.Duration
	s := &settings{sh: p.sh}
	root := &cobra.Command{
		Use:           "kubeferry",
		Short:         "Carry Kubernetes state out of etcd, and back",
		Long:          "kubeferry carries Kubernetes state out of etcd into encrypted archives, and back.",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          knownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.apply(cmd); err != nil {
				return err
			}
			if p.logFormat != "text" && p.logFormat != "json" {
				return usagef("--log-format=%s: it takes text or json", p.logFormat)
			}
			if timeout < 0 {
				return usagef("--timeout=%s: it takes a time above 0", timeout)
			}
			if timeout > 0 {
				// The process ends with the command; the timer needs no release.
				ctx, cancel := context.WithTimeoutCause(cmd.Context(), timeout, fmt.Errorf("%w of %s", errTimeout, timeout))
				context.AfterFunc(cmd.Context(), cancel)
				cmd.SetContext(ctx)
			}
			return nil
		},
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetFlagErrorFunc(flagError)
	root.SetHelpFunc(showHelp(p))
	help := newHelp()
	help.GroupID = groupSetUp
	root.SetHelpCommand(help)

	flags := root.PersistentFlags()
	flags.BoolVar(&p.json, "json", false, "print JSON lines; the last one carries the exit code")
	flags.BoolVarP(&p.quiet, "quiet", "q", false, "print nothing but warnings and errors")
	flags.BoolVarP(&p.verbose, "verbose", "v", false, "tell on stderr what is being done, and how")
	flags.StringVar(&p.logFormat, "log-format", "text", "form of what -v tells: text or json")
	flags.BoolVar(&s.noInput, "no-input", false, "never ask; an error names the flag that answers")
	flags.StringVar(&s.config, "config", "", "configuration file (default /etc/kubeferry/config.yaml, then the user's)")
	flags.StringVar(&s.profile, "profile", "", "profile of the configuration file (default its default_profile)")
	flags.DurationVar(&timeout, "timeout", 0, "give up after this time (default: no limit for the whole run)")

	root.AddGroup(
		&cobra.Group{ID: groupCarry, Title: "Carry:"},
		&cobra.Group{ID: groupLook, Title: "Look:"},
		&cobra.Group{ID: groupTrust, Title: "Trust:"},
		&cobra.Group{ID: groupSetUp, Title: "Set up:"},
	)
	for group, commands := range map[string][]*cobra.Command{
		groupCarry: {newBackup(p, s), newRestore(p, s)},
		groupLook:  {newList(p), newDescribe(p, s)},
		groupTrust: {newVerify(p, s), newCheck(p, s), newPrune(p), newReceipt(p, s)},
		groupSetUp: {newKeygen(p), newDemo(p), newVersion(p), newCompletion(p), newExitCodes(p)},
	} {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	return root
}
