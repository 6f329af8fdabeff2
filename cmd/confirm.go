package cmd

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/flags"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// sure asks whether what was shown is to be done, which a flag says where nobody can be asked.
func sure(ctx context.Context, s *flags.Settings, question, instead string) error {
	yes, err := s.Confirm(ctx, question, instead)
	switch {
	case err != nil:
		return fmt.Errorf("nothing was written: %w", err)
	case !yes:
		return fmt.Errorf("cancelled; nothing was written%.0w", console.ErrInterrupted)
	}
	return nil
}

// confirming says what a restore need not ask.
type confirming struct{ yes, yesDelete bool }

func (c *confirming) addFlags(set *pflag.FlagSet) {
	set.BoolVar(&c.yes, "yes", false, "write without asking")
	set.BoolVar(&c.yesDelete, "yes-delete", false, "delete without asking, with --delete-extra or a plan made with it")
}

// asks tells which questions follow a plan: to delete wants a yes of its own.
func (c *confirming) asks(counts replay.Counts) (write, remove bool) {
	deletes := counts[replay.Deleted]
	return !c.yes && counts.Changes() > deletes, !c.yesDelete && deletes > 0
}

// confirm asks them.
func (o *restoreOptions) confirm(ctx context.Context, cluster *flags.Cluster, counts replay.Counts) error {
	write, remove := o.asks(counts)
	if write {
		if err := sure(ctx, o.s, fmt.Sprintf("Create %s and replace %d in %s?", console.Count(counts[replay.Created], "key"), counts[replay.Replaced], cluster.Address), "--yes"); err != nil {
			return err
		}
	}
	if remove {
		return sure(ctx, o.s, fmt.Sprintf("Delete %s of %s?", console.Count(counts[replay.Deleted], "key"), cluster.Address), "--yes-delete")
	}
	return nil
}

// checkDelete refuses a yes to what is not asked.
func (o *restoreOptions) checkDelete() error {
	if o.yesDelete && !o.rules.DeleteExtra && o.bind.plan == "" {
		return console.Usagef("--yes-delete answers what --delete-extra asks, which is not given: leave it out")
	}
	return nil
}
