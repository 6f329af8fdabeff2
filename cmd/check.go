package cmd

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/cmd/flags"
	"github.com/kubeferry/kubeferry/remote/catalog"
	"github.com/kubeferry/kubeferry/remote/dir"
)

type checkOptions struct {
	s         *flags.Settings
	maxAge    time.Duration
	minCount  int
	verify    bool
	query     catalog.Query
	unlocking flags.Unlocking
	stock     flags.Stock
}

func newCheck(s *flags.Settings) *cobra.Command {
	o := &checkOptions{s: s}
	c := &cobra.Command{
		Use:   "check PLACE",
		Short: "Check that recent, intact backups exist (for monitoring)",
		Long: `Checks the receipts in a place; no key is needed, so monitoring can run it on
another machine. Every cluster with archives there must have at least
--min-count good ones, the newest no older than --max-age. Archives of the whole
keyspace count; for a cluster without any, those of a selection that was taken
on at least three days.

--verify reads the newest archive and compares it with its receipt; with -i it
is decrypted as well. One that is stored cold is not read: 3.`,
		Annotations: ends(exitIncomplete, exitNotFound, exitKey, exitIntegrity, exitPolicy, exitStore, exitDenied, exitCheck),
		Example:     `  kubeferry check /var/backups/etcd --max-age 26h`,
		Args:        exactly(1, "PLACE (folder or s3://bucket/prefix)"),
		RunE:        func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	set := c.Flags()
	flags.Duration(set, &o.maxAge, "max-age", "maximum age of the newest archive, such as 26h or 2d (default any)")
	set.IntVar(&o.minCount, "min-count", 1, "minimum number of good archives")
	set.BoolVar(&o.verify, "verify", false, "read the newest archive and compare it with its receipt")
	flags.AddQuery(set, &o.query)
	o.unlocking.AddFlags(set, s)
	o.stock.AddFlags(set, s)
	return c
}

type checkResult struct {
	Clusters []ferry.Checked `json:"clusters"`
}

func (o *checkOptions) run(ctx context.Context, place string) error {
	switch {
	case o.maxAge < 0 || o.minCount < 1:
		return console.Usagef("--max-age=%s --min-count=%d: they take a time, and a number from 1 on", o.maxAge, o.minCount)
	case !o.verify && o.s.Typed("identity", "passphrase", "passphrase-file"):
		return console.Usagef("a key opens nothing without --verify")
	}
	var keys ferry.Keys
	if o.verify {
		var err error
		if keys, err = o.unlocking.Keys(ctx); err != nil {
			return err
		}
	}
	store, err := o.stock.Open(ctx, place, dir.Options{})
	if err != nil {
		return err
	}
	found, err := ferry.Check{
		Store: store, Query: o.query, MaxAge: o.maxAge, MinCount: o.minCount, Verify: o.verify, Keys: keys, Now: o.s.Now,
	}.Run(ctx)
	o.s.Result = checkResult{found}
	rows := [][]string{{"CLUSTER", "SELECTION", "GOOD", "BROKEN", "NEWEST", "AGE", "STATE"}}
	for _, c := range found {
		state := "ok"
		switch {
		case len(c.Problems) > 0:
			state = strings.Join(c.Problems, "; ")
		case c.Unread != "":
			state = "ok, not read"
		}
		rows = append(rows, []string{c.Label, c.Selection.Text, strconv.Itoa(c.Good), strconv.Itoa(c.Broken), c.Newest, ageOf(c), state})
	}
	if len(rows) > 1 {
		o.s.Table(rows)
	}
	return err
}

// ageOf is that of the newest good archive.
func ageOf(c ferry.Checked) string {
	if c.Newest == "" {
		return "-"
	}
	return console.Span(c.Age)
}
