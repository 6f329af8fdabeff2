package cmd

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/cmd/ferry"
)

type checkOptions struct {
	maxAge   time.Duration
	minCount int
	verify   bool
	cluster  string
	bucket   bucket
}

func newCheck(p *printer) *cobra.Command {
	o := &checkOptions{}
	c := &cobra.Command{
		Use:   "check PLACE",
		Short: "Tell whether the archives are as fresh and as many as they should be",
		Long: `Looks at the receipts of a place, for the monitoring of a second machine: no key
is needed. Every cluster that has archives of its whole keyspace there must have a
good one, as young as --max-age and as many as --min-count say.` +
			ends(exitNotFound, exitStore, exitDenied, exitCheck),
		Example: `  kubeferry check /var/backups/etcd --max-age 26h`,
		Args:    exactly(1, "PLACE, where the archives are"),
		RunE:    func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), p, args[0]) },
	}
	flags := c.Flags()
	flags.DurationVar(&o.maxAge, "max-age", 0, "most age of the newest archive, such as 26h (default any)")
	flags.IntVar(&o.minCount, "min-count", 1, "fewest good archives")
	flags.BoolVar(&o.verify, "verify", false, "read the newest archive, and hold its bytes against the receipt")
	flags.StringVar(&o.cluster, "cluster", "", "label of the one cluster to check (default all)")
	o.bucket.addFlags(flags)
	return c
}

func (o *checkOptions) run(ctx context.Context, p *printer, place string) error {
	if o.maxAge < 0 || o.minCount < 1 {
		return usagef("--max-age=%s --min-count=%d: they take a time, and a number from 1 on", o.maxAge, o.minCount)
	}
	store, err := o.bucket.store(ctx, p, place)
	if err != nil {
		return err
	}
	found, err := ferry.Check{
		Store: store, Label: o.cluster, MaxAge: o.maxAge, MinCount: o.minCount, Verify: o.verify, Now: p.sh.now,
	}.Run(ctx)
	p.result = map[string]any{"clusters": found}
	rows := [][]string{{"CLUSTER", "GOOD", "BROKEN", "NEWEST", "AGE", "STATE"}}
	for _, c := range found {
		state := "ok"
		if len(c.Problems) > 0 {
			state = strings.Join(c.Problems, "; ")
		}
		rows = append(rows, []string{c.Label, strconv.Itoa(c.Good), strconv.Itoa(c.Broken), c.Newest, c.Age.Round(time.Minute).String(), state})
	}
	if len(rows) > 1 {
		p.table(rows)
	}
	return err
}
