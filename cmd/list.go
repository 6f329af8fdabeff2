package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/cmd/flags"
	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/catalog"
	"github.com/kubeferry/kubeferry/remote/dir"
)

type listOptions struct {
	s     *flags.Settings
	stock flags.Stock
	all   bool
	wide  bool
}

func newList(s *flags.Settings) *cobra.Command {
	o := &listOptions{s: s}
	c := &cobra.Command{
		Use:        "list PLACE",
		SuggestFor: []string{"ls", "snapshots", "archives"},
		Short:      "List archives",
		Long: `Lists the archives in a folder or in s3://bucket/prefix that have a receipt,
newest first. No key is needed: the values come from the receipts, and only
sizes are compared with the archives; kubeferry verify checks everything.

--all also shows archives without a receipt (unfinished, or copied without it)
and leftovers of killed runs. An archive whose receipt does not match its size
is listed as broken, and the exit code is then 3.`,
		Annotations: ends(exitIncomplete, exitNotFound, exitStore, exitDenied),
		Example:     `  kubeferry list /var/backups/etcd`,
		Args:        exactly(1, "PLACE (folder or s3://bucket/prefix)"),
		RunE:        func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	c.Flags().BoolVar(&o.all, "all", false, "also show archives without a receipt, and leftovers")
	flags.EnumP(c.Flags(), &o.wide, "output", "o", "columns of the table; JSON is --json",
		flags.Choice[bool]{Word: "short", Help: "what fits into 80 columns"}, flags.Choice[bool]{Word: "wide", Value: true, Help: "all"})
	o.stock.AddFlags(c.Flags(), s)
	return c
}

type listResult struct {
	Archives   []catalog.Item     `json:"archives"`
	Unfinished []catalog.Fragment `json:"unfinished"`
	Leftovers  []string           `json:"leftovers"` // with --all
	Cold       []catalog.Fragment `json:"cold,omitempty"`
}

func (o *listOptions) run(ctx context.Context, place string) error {
	store, err := o.stock.Open(ctx, place, dir.Options{})
	if err != nil {
		return err
	}
	listing, err := catalog.List(ctx, store)
	if err != nil {
		return err
	}
	var left []string
	if o.all {
		left, err = ferry.Leftovers(ctx, store, o.s.Now())
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, remote.ErrDenied) {
			o.s.Warn("unfinished uploads are not shown: %v", err) // a reader of archives need not have that right
		} else if err != nil {
			return err
		}
	}
	o.s.Result = listResult{Cold: listing.Cold, Leftovers: append([]string{}, left...), Archives: append([]catalog.Item{}, listing.Items...), Unfinished: append([]catalog.Fragment{}, listing.Unfinished...)}
	if !o.show(listing, left) {
		o.s.Talk("There are no archives in %s%s.", place, below(ctx, store))
	}
	broken := 0
	for _, item := range listing.Items {
		if item.Err != nil {
			return item.Err
		}
		if item.Broken != "" {
			broken++
		}
	}
	if broken > 0 {
		return fmt.Errorf("broken archives in %s: %d of %d%.0w", place, broken, len(listing.Items), ferry.ErrIncomplete)
	}
	return nil
}
