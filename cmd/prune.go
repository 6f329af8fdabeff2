package cmd

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/cmd/flags"
	"github.com/kubeferry/kubeferry/remote/catalog"
	"github.com/kubeferry/kubeferry/remote/dir"
)

type pruneOptions struct {
	s          *flags.Settings
	stock      flags.Stock
	policy     catalog.Policy
	incomplete bool
	dryRun     bool
	maxPercent int
}

func newPrune(s *flags.Settings) *cobra.Command {
	o := &pruneOptions{s: s}
	c := &cobra.Command{
		Use:        "prune PLACE",
		SuggestFor: []string{"forget", "rm", "delete"},
		Short:      "Remove archives by a retention policy",
		Long: `Removes archives according to their receipts; no key is needed. The rules are
restic's: --keep-daily 7 keeps the newest archive of each of the last seven days
that have one; an archive that any rule keeps is kept. Days are in this
machine's time zone. Each cluster and each selection is counted separately.

The newest good archive of each is always kept, as are archives that are broken,
locked by the store, or dated in the future. Nothing is removed if a receipt
cannot be read, the listing fails, or this machine's clock is wrong.

If the store refuses to remove an archive, the others are still removed and the
exit code is 3. The receipt, which is removed first, is then put back; if even
that is denied, run kubeferry receipt.`,
		Annotations: ends(exitIncomplete, exitNotFound, exitStore, exitDenied, exitGuard, exitCheck),
		Example: `  # show what would be removed, and why the rest is kept
  kubeferry prune /var/backups/etcd --keep-daily 7 --keep-monthly 12 --dry-run

  # after every backup
  kubeferry prune /var/backups/etcd --keep-last 48 --keep-within 14d`,
		Args: exactly(1, "PLACE (folder or s3://bucket/prefix)"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	set := c.Flags()
	set.IntVar(&o.policy.Last, "keep-last", 0, "keep the newest `N` archives (-1: unlimited; also for the other --keep-* counts)")
	for _, period := range []struct {
		word   string
		count  *int
		within *catalog.Span
	}{
		{"hourly", &o.policy.Hourly, &o.policy.WithinHourly},
		{"daily", &o.policy.Daily, &o.policy.WithinDaily},
		{"weekly", &o.policy.Weekly, &o.policy.WithinWeekly},
		{"monthly", &o.policy.Monthly, &o.policy.WithinMonthly},
		{"yearly", &o.policy.Yearly, &o.policy.WithinYearly},
	} {
		set.IntVar(period.count, "keep-"+period.word, 0, "keep the newest archive of each of the last `N` "+periods[period.word])
		set.Var(period.within, "keep-within-"+period.word, "keep one archive a "+strings.TrimSuffix(periods[period.word], "s")+" for this long before the newest, such as 1y6m")
	}
	set.Var(&o.policy.Within, "keep-within", "keep all archives for this long before the newest, such as 14d or 2y5m7d3h")
	set.BoolVar(&o.incomplete, "incomplete", false, "also remove unfinished uploads and archives without a receipt, once they are a day old")
	set.IntVar(&o.maxPercent, "max-delete-percent", 50, "refuse to remove more than `N` percent of the archives at once")
	flags.DryRun(set, &o.dryRun, "show what would be removed, and why the rest is kept")
	o.stock.AddFlags(set, s)
	o.stock.AddMemory(set, s)
	return c
}

// periods are the periods of the rules, in the plural.
var periods = map[string]string{"hourly": "hours", "daily": "days", "weekly": "weeks", "monthly": "months", "yearly": "years"}

func (o *pruneOptions) run(ctx context.Context, place string) error {
	o.policy.Zone = time.Local
	given := o.policy != catalog.Policy{Zone: time.Local}
	if err := o.policy.Check(); err != nil && (given || !o.incomplete) {
		return console.Usagef("%w; say what to keep, such as --keep-daily 7", err)
	}
	if o.maxPercent < 0 || o.maxPercent > 100 {
		return console.Usagef("--max-delete-percent=%d: it takes 0 to 100", o.maxPercent)
	}
	// A receipt goes back to where it was, whoever else can write there.
	store, memory, err := o.stock.OpenKnown(ctx, place, dir.Options{AllowShared: true})
	if err != nil {
		return err
	}
	done, err := ferry.Prune{
		Store: store, Policy: o.policy, Archives: given, MaxPercent: o.maxPercent,
		Incomplete: o.incomplete, DryRun: o.dryRun, Now: o.s.Now, Memory: memory,
	}.Run(ctx)
	o.s.Result = done
	o.show(done)
	return err
}

// show tells of each archive what became of it, and why.
func (o *pruneOptions) show(done ferry.Pruned) {
	gone := "removed"
	if o.dryRun {
		gone = "would be removed"
	}
	removed, denied := map[string]bool{}, map[string]string{}
	for _, name := range done.Removed {
		removed[name] = true
	}
	for _, d := range done.Denied {
		denied[d.Name] = d.Reason
	}
	rows := [][]string{{"NAME", "AGE", "CLUSTER", "SELECTION", "ACTION", "REASON"}}
	for _, g := range done.Groups {
		for _, v := range g.Verdicts {
			action, reason := "kept", strings.Join(v.Reasons, ", ")
			switch {
			case removed[v.Name]:
				action = gone
			case denied[v.Name] != "":
				action, reason = "denied", denied[v.Name]
			case !v.Keep && o.dryRun:
				action = gone
			case !v.Keep:
				action = "not reached"
			}
			rows = append(rows, []string{v.Name, console.Age(o.s.Now(), v.Receipt.Created), v.Receipt.Cluster, v.Receipt.Scope(), action, reason})
		}
	}
	for _, name := range done.Swept {
		rows = append(rows, []string{name, "-", "-", "-", gone, "no receipt"})
	}
	for _, name := range done.Cold {
		rows = append(rows, []string{name, "-", "-", "-", "kept", "its receipt is stored cold"})
	}
	if len(rows) > 1 {
		o.s.Table(rows)
	}
	if n := len(done.Gone); n > 0 {
		o.s.Warn("gone since this machine saw them there, and not by its prune: %s, such as %s", console.Count(int64(n), "archive"), done.Gone[0])
	}
	o.s.Talk("%s %s, %d unfinished %s, %d denied", console.Count(int64(len(done.Removed)), "archive"), gone, len(done.Swept), gone, len(done.Denied))
}
