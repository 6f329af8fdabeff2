package cmd

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/flags"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

type describeOptions struct {
	s         *flags.Settings
	source    flags.Source
	selecting flags.Selecting
	keys      bool
}

func newDescribe(s *flags.Settings) *cobra.Command {
	o := &describeOptions{s: s}
	c := &cobra.Command{
		Use:   "describe ARCHIVE [TYPE | TYPE/NAME]... [--keys]",
		Short: "Show what an archive holds",
		Long: `Shows where and when an archive was made, and how many keys of each kind and
namespace it holds. With --keys it shows each object, or each of the TYPEs.

It reads only the parts it needs; kubeferry verify checks them all.` +
			ends(exitNotFound, exitKey, exitIntegrity, exitPolicy, exitStore, exitDenied),
		Example: `  kubeferry describe prod.zip.age -i kubeferry.identity
  kubeferry describe prod.zip.age -i kubeferry.identity --keys deployments -n shop`,
		Args: atLeastOne("ARCHIVE, the file to describe"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !o.keys && (len(args) > 1 || !o.selecting.Empty()) {
				return console.Usagef("what selects objects goes with --keys: kubeferry describe %s --keys", strings.Join(args, " "))
			}
			query, err := o.selecting.Query(args[1:])
			if err != nil {
				return err
			}
			return o.run(cmd.Context(), args[0], query)
		},
	}
	set := c.Flags()
	set.BoolVar(&o.keys, "keys", false, "show each object")
	o.selecting.AddFlags(set)
	o.source.AddFlags(set, s)
	return c
}

// describeResult is what an archive says of itself, for scripts.
type describeResult struct {
	Header   archive.Header        `json:"header"`
	Kinds    []archive.KindTotal   `json:"kinds"`
	Prefixes []archive.PrefixTotal `json:"prefixes"`
	Outside  *etcdwalk.Outside     `json:"outside"`
	Outcome  etcdwalk.Outcome      `json:"outcome"`
	Keys     int64                 `json:"keys"`
	Bytes    int64                 `json:"bytes"`
}

func (o *describeOptions) run(ctx context.Context, word string, query kube.Query) error {
	a, err := o.source.Open(ctx, word, false)
	if err != nil {
		return err
	}
	defer a.Close()
	if o.keys {
		return o.objects(ctx, a.Archive, query)
	}
	m := a.Manifest()
	o.s.Result = describeResult{a.Header(), m.Kinds, m.Prefixes, m.Outside, m.Outcome, m.Totals.Keys, m.Totals.Bytes}
	o.s.Table(facts(a.Archive))
	o.s.Data("")
	o.s.Table(totals(a.Manifest()))
	return nil
}
