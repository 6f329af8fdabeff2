package cmd

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/cmd/ferry/undo"
	"github.com/kubeferry/kubeferry/cmd/flags"
)

type undoOptions struct {
	s          *flags.Settings
	connection flags.Connection
	selecting  flags.Selecting
	unlocking  flags.Unlocking
	undoing    flags.Undoing
	allow      []string
	qps        int
	watching   watchOptions
	list       bool
	dryRun     bool
	yes        bool
}

func newUndo(s *flags.Settings) *cobra.Command {
	o := &undoOptions{s: s}
	c := &cobra.Command{
		Use:   "undo [latest | NAME]",
		Short: "Take a restore back",
		Long: `Takes back what a restore has made of a cluster: what it created is deleted,
what it replaced is put back as it was. It shows a plan, asks, and touches only
what is still as the restore made it, but for its status; what somebody has
written since is left alone, and told (3).

The last ten changes of this machine are kept, encrypted for those who could
read the archive. An undo is such a change, too, and can be taken back. Objects
with finalizers and claims of disks are not deleted, unless --allow names the
rule.`,
		Annotations: ends(exitIncomplete, exitNotFound, exitLocked, exitKey, exitIntegrity, exitCluster, exitStore, exitDenied, exitConflict, exitGuard, exitNoSpace),
		Example: `  kubeferry undo --list
  kubeferry undo -i kubeferry.identity --dry-run
  kubeferry undo NAME -i kubeferry.identity --yes`,
		Args: oneOrNone,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), strings.Join(args, ""))
		},
	}
	set := c.Flags()
	set.BoolVar(&o.list, "list", false, "list what can be taken back, the newest first")
	flags.DryRun(set, &o.dryRun, "show the plan and write nothing; the exit code is that of a real run")
	set.BoolVar(&o.yes, "yes", false, "write without asking")
	set.StringSliceVar(&o.allow, "allow", nil, "break the `RULE` of that name; repeatable (kubeferry help rules)")
	set.IntVar(&o.qps, "qps", 0, "write at most `N` keys a second (default as many as the cluster takes)")
	o.watching.addWatch(set)
	o.undoing.AddFlags(set, s)
	o.selecting.AddScope(set, s)
	o.unlocking.AddFlags(set, s)
	o.connection.AddFlags(set, s)
	return c
}

func (o *undoOptions) run(ctx context.Context, name string) error {
	if err := o.watching.check(o.s); err != nil {
		return err
	}
	store, err := o.undoing.Store()
	if err != nil {
		return err
	}
	if o.list {
		return o.tell(undo.List(ctx, store))
	}
	query, err := o.selecting.Query(nil)
	if err != nil {
		return err
	}
	keys, err := o.unlocking.Keys(ctx)
	if err != nil {
		return err
	}
	if len(keys.Identities) == 0 {
		return fmt.Errorf("open what was taken away: %w", ferry.ErrNoKey)
	}
	u := undo.Undo{Store: store, Name: name, Identities: keys.Identities, Query: query, Allow: o.allow, QPS: o.qps}
	if !o.dryRun {
		if u.Keeper, err = o.undoing.Keeper(version, keys.Identities); err != nil {
			return err
		}
		if u.Locks, err = o.undoing.Folder(); err != nil {
			return err
		}
	}
	cluster, err := o.connection.Dial(ctx, query.Layout())
	if err != nil {
		return err
	}
	defer cluster.Close()
	u.Cluster, u.Target = cluster.Source, cluster.Target
	return o.take(ctx, cluster, u)
}
