package cmd

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/remote/catalog"
	"github.com/kubeferry/kubeferry/remote/dir"
)

type listOptions struct {
	all bool
}

func newList(p *printer) *cobra.Command {
	o := &listOptions{}
	c := &cobra.Command{
		Use:   "list DIR",
		Short: "List the archives in a folder, by their receipts",
		Long: `Lists the archives that have a receipt, newest first. No key is needed.

An archive without a receipt is unfinished, or was copied without it: --all
shows it. An archive whose receipt and size disagree is listed as broken, and
makes the command exit with 3.` + ends(exitIncomplete, exitNotFound, exitStore, exitDenied),
		Example: `  kubeferry list /var/backups/etcd`,
		Args:    exactly(1, "DIR, the folder with the archives"),
		RunE:    func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), p, args[0]) },
	}
	c.Flags().BoolVar(&o.all, "all", false, "show archives without a receipt too")
	return c
}

type listResult struct {
	Archives   []catalog.Item `json:"archives"`
	Unfinished []string       `json:"unfinished"`
}

func (o *listOptions) run(ctx context.Context, p *printer, folder string) error {
	if err := mustBeFolder(folder); err != nil {
		return err
	}
	listing, err := catalog.List(ctx, dir.New(folder, dir.Options{}))
	if err != nil {
		return fmt.Errorf("listing %s: %w", folder, err)
	}
	rows := [][]string{{"NAME", "AGE", "SIZE", "KEYS", "REVISION", "CLUSTER", "SELECTION", "STATE"}}
	broken := 0
	for _, item := range listing.Items {
		state := "ok"
		if item.Broken != "" {
			state, broken = item.Broken, broken+1
		}
		r := item.Receipt
		if r.Name == "" { // it could not be read
			rows = append(rows, []string{item.Name, "-", "-", "-", "-", "-", "-", state})
			continue
		}
		rows = append(rows, []string{
			item.Name, age(p.sh.now(), r.Created), bytesText(r.Size), strconv.FormatInt(r.Keys, 10),
			strconv.FormatInt(r.Revision, 10), r.Cluster, wholeText(r.Whole), state,
		})
	}
	for _, name := range listing.Unfinished {
		if o.all {
			rows = append(rows, []string{name, "-", "-", "-", "-", "-", "-", "no receipt"})
		}
	}
	p.result = listResult{Archives: append([]catalog.Item{}, listing.Items...), Unfinished: append([]string{}, listing.Unfinished...)}
	p.table(rows)
	if n := len(listing.Unfinished); n > 0 && !o.all {
		p.talk("%d without a receipt not shown; --all shows them", n)
	}
	if broken > 0 {
		return fmt.Errorf("%d of %d archives in %s are broken: %w", broken, len(listing.Items), folder, ferry.ErrIncomplete)
	}
	return nil
}

func wholeText(whole bool) string {
	if whole {
		return "whole"
	}
	return "part"
}
