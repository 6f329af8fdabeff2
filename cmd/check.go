package cmd

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/remote/catalog"
)

type checkOptions struct {
	maxAge    time.Duration
	minCount  int
	verify    bool
	query     catalog.Query
	unlocking unlocking
	bucket    bucket
}

func newCheck(p *printer, s *settings) *cobra.Command {
	o := &checkOptions{}
	c := &cobra.Command{
		Use:   "check PLACE",
		Short: "Tell whether the archives are as fresh and as many as they should be",
		Long: `Looks at the receipts of a place, for the monitoring of a second machine: no key
is needed. Every cluster that has archives there must have a good one, as young as
--max-age and as many as --min-count say. Archives of the whole keyspace count; where
a cluster has none, those of a selection that was taken on three days or more.

With --verify -i the newest archive is opened too, and all that its receipt says is
held against it.` +
			ends(exitNotFound, exitKey, exitIntegrity, exitPolicy, exitStore, exitDenied, exitCheck),
		Example: `  kubeferry check /var/backups/etcd --max-age 26h`,
		Args:    exactly(1, "PLACE, where the archives are"),
		RunE:    func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), p, s, args[0]) },
	}
	flags := c.Flags()
	flags.DurationVar(&o.maxAge, "max-age", 0, "most age of the newest archive, such as 26h (default any)")
	flags.IntVar(&o.minCount, "min-count", 1, "fewest good archives")
	flags.BoolVar(&o.verify, "verify", false, "read the newest archive, and hold its bytes against the receipt")
	addQuery(flags, &o.query)
	o.unlocking.addFlags(flags)
	o.bucket.addFlags(flags)
	return c
}

func (o *checkOptions) run(ctx context.Context, p *printer, s *settings, place string) error {
	switch {
	case o.maxAge < 0 || o.minCount < 1:
		return usagef("--max-age=%s --min-count=%d: they take a time, and a number from 1 on", o.maxAge, o.minCount)
	case !o.verify && s.typed("identity", "passphrase", "passphrase-file"):
		return usagef("a key opens nothing without --verify")
	}
	var keys ferry.Keys
	if o.verify {
		var err error
		if keys, err = o.unlocking.open(ctx, s); err != nil {
			return err
		}
	}
	store, err := o.bucket.store(ctx, p, place)
	if err != nil {
		return err
	}
	found, err := ferry.Check{
		Store: store, Query: o.query, MaxAge: o.maxAge, MinCount: o.minCount, Verify: o.verify, Keys: keys, Now: p.sh.now,
	}.Run(ctx)
	p.result = map[string]any{"clusters": found}
	rows := [][]string{{"CLUSTER", "SELECTION", "GOOD", "BROKEN", "NEWEST", "AGE", "STATE"}}
	for _, c := range found {
		state := "ok"
		if len(c.Problems) > 0 {
			state = strings.Join(c.Problems, "; ")
		}
		rows = append(rows, []string{c.Label, c.Selection.Text, strconv.Itoa(c.Good), strconv.Itoa(c.Broken), c.Newest, c.Age.Round(time.Minute).String(), state})
	}
	if len(rows) > 1 {
		p.table(rows)
	}
	return err
}
