package cmd

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/cmd/flags"
	"github.com/kubeferry/kubeferry/remote/catalog"
	"github.com/kubeferry/kubeferry/remote/dir"
)

type listOptions struct {
	s     *flags.Settings
	stock flags.Stock
	all   bool
}

func newList(s *flags.Settings) *cobra.Command {
	o := &listOptions{s: s}
	c := &cobra.Command{
		Use:   "list PLACE",
		Short: "List the archives in a place, by their receipts",
		Long: `Lists the archives that have a receipt, newest first. No key is needed: what is
shown is what the receipts claim, and nobody has held it against the archives.
kubeferry verify does, and so do restore and describe.

An archive without a receipt is unfinished, or was copied without it: --all
shows it. An archive whose receipt and size disagree is listed as broken, and
makes the command exit with 3.` + ends(exitIncomplete, exitNotFound, exitStore, exitDenied),
		Example: `  kubeferry list /var/backups/etcd`,
		Args:    exactly(1, "PLACE, where the archives are"),
		RunE:    func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	c.Flags().BoolVar(&o.all, "all", false, "show archives without a receipt too")
	o.stock.AddFlags(c.Flags(), s)
	return c
}

type listResult struct {
	Archives   []catalog.Item     `json:"archives"`
	Unfinished []catalog.Fragment `json:"unfinished"`
}

func (o *listOptions) run(ctx context.Context, place string) error {
	store, err := o.stock.Open(ctx, place, dir.Options{})
	if err != nil {
		return err
	}
	listing, err := catalog.List(ctx, store)
	if err != nil {
		return fmt.Errorf("listing %s: %w", place, err)
	}
	rows := [][]string{{"NAME", "AGE", "SIZE", "KEYS", "REVISION", "CLUSTER", "SELECTION", "STATE"}}
	broken, unread := 0, error(nil)
	for _, item := range listing.Items {
		if unread == nil {
			unread = item.Err
		}
		state := "ok"
		if item.Broken != "" {
			state, broken = item.Broken, broken+1
		}
		r := item.Receipt
		if r.Name == "" { // it could not be read
			rows = append(rows, []string{item.Name, "-", "-", "-", "-", "-", "-", state})
			continue
		}
		if r.Unreadable() {
			state += ", identity unreadable"
		}
		if r.CorruptSource {
			state += ", of a corrupt source"
		}
		if until := r.RetainUntil; until.After(o.s.Now()) {
			state += ", locked until " + until.Format(time.RFC3339)
		}
		rows = append(rows, []string{
			item.Name, console.Age(o.s.Now(), r.Created), console.Bytes(r.Size), strconv.FormatInt(r.Keys, 10),
			strconv.FormatInt(r.Revision, 10), r.Cluster, r.Scope(), state,
		})
	}
	for _, f := range listing.Unfinished {
		if o.all {
			rows = append(rows, []string{f.Name, console.Age(o.s.Now(), f.Modified), console.Bytes(f.Size), "-", "-", "-", "-", "no receipt"})
		}
	}
	o.s.Result = listResult{Archives: append([]catalog.Item{}, listing.Items...), Unfinished: append([]catalog.Fragment{}, listing.Unfinished...)}
	o.s.Table(rows)
	if n := len(listing.Unfinished); n > 0 && !o.all {
		o.s.Talk("%d without a receipt not shown; --all shows them", n)
	}
	if unread != nil {
		return fmt.Errorf("reading the receipts: %w", unread)
	}
	if broken > 0 {
		return fmt.Errorf("%d of %d archives in %s are broken: %w", broken, len(listing.Items), place, ferry.ErrIncomplete)
	}
	return nil
}
