package cmd

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/flags"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// confirming says what need not be asked.
type confirming struct{ yes, yesDelete bool }

func (c *confirming) addFlags(set *pflag.FlagSet) {
	set.BoolVar(&c.yes, "yes", false, "write without asking")
	set.BoolVar(&c.yesDelete, "yes-delete", false, "delete without asking, with --delete-extra or a plan made with it")
}

// confirm asks whether what was shown is to be done; to delete wants a yes of its own.
func (o *restoreOptions) confirm(ctx context.Context, cluster *flags.Cluster, counts replay.Counts) error {
	ask := func(question, instead string) error {
		sure, err := o.s.Confirm(ctx, question, instead)
		if err != nil {
			return o.nothingWritten(err)
		}
		if !sure {
			return fmt.Errorf("cancelled; nothing was written%.0w", console.ErrInterrupted)
		}
		return nil
	}
	deletes := counts[replay.Deleted]
	if !o.yes && counts.Changes() > deletes {
		if err := ask(fmt.Sprintf("Create %s and replace %d in %s?", console.Count(counts[replay.Created], "key"), counts[replay.Replaced], cluster.Address), "--yes"); err != nil {
			return err
		}
	}
	if !o.yesDelete && deletes > 0 {
		return ask(fmt.Sprintf("Delete %s of %s?", console.Count(deletes, "key"), cluster.Address), "--yes-delete")
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
