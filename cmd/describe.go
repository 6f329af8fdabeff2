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
	details   bool
}

func newDescribe(s *flags.Settings) *cobra.Command {
	o := &describeOptions{s: s}
	c := &cobra.Command{
		SuggestFor: []string{"inspect"},
		Use:        "describe ARCHIVE [TYPE | TYPE/NAME]... [--keys]",
		Short:      "Show the contents of an archive",
		Long: `Shows where and when an archive was made, and its ten largest kinds. --details
lists all kinds by namespace; --keys lists the objects, or those selected.

It reads only the parts that it needs; kubeferry verify checks all of them.`,
		Annotations: ends(exitNotFound, exitKey, exitIntegrity, exitPolicy, exitStore, exitDenied),
		Example: `  kubeferry describe prod.zip.age -i kubeferry.identity
  kubeferry describe prod.zip.age -i kubeferry.identity --keys deploy -n shop`,
		ValidArgsFunction: o.source.CompleteArchive,
		Args:              atLeastOne("ARCHIVE (file or s3://bucket/key)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !o.keys && (len(args) > 1 || !o.selecting.Empty() || s.Typed("encryption-config")) {
				return console.Usagef("selecting objects needs --keys: kubeferry describe %s --keys", strings.Join(args, " "))
			}
			query, err := o.selecting.Query(args[1:])
			if err != nil {
				return err
			}
			return o.run(cmd.Context(), args[0], query)
		},
	}
	set := c.Flags()
	set.BoolVar(&o.keys, "keys", false, "list the objects")
	set.BoolVar(&o.details, "details", false, "list all kinds, by namespace")
	o.selecting.AddFlags(set, s)
	o.source.AddFlags(set, s)
	return c
}

// describeResult is what an archive says of itself, for scripts.
type describeResult struct {
	Header   archive.Header        `json:"header"`
	Kinds    []archive.KindTotal   `json:"kinds"`
	Prefixes []archive.PrefixTotal `json:"prefixes"`
	Outside  *etcdwalk.Outside     `json:"outside"`
	Sealed   []archive.SealedTotal `json:"sealed"` // null: not counted
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
	o.s.Result = describeResult{a.Header(), m.Kinds, m.Prefixes, m.Outside, m.Sealed, m.Outcome, m.Totals.Keys, m.Totals.Bytes}
	o.s.Table(facts(a.Archive))
	o.s.Data("")
	if o.details {
		o.s.Table(totals(m))
		if len(m.Sealed) > 0 {
			o.s.Data("")
			o.s.Table(sealedRows(m.Sealed))
		}
		return nil
	}
	rows, more := largest(m)
	o.s.Table(rows)
	if more > 0 {
		o.s.Data("… and %s; --details lists all of them, by namespace", console.Count(int64(more), "more kind"))
	}
	return nil
}
