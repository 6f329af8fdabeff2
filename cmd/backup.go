package cmd

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/cmd/flags"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/remote/catalog"
)

type backupOptions struct {
	s           *flags.Settings
	connection  flags.Connection
	selecting   flags.Selecting
	sealing     flags.Sealing
	destination flags.Destination
	cluster     string
	allowEmpty  bool
	readBack    bool
	dryRun      bool
	corrupt     bool
	members     bool
}

func newBackup(s *flags.Settings) *cobra.Command {
	o := &backupOptions{s: s}
	c := &cobra.Command{
		SuggestFor: []string{"save", "snapshot", "dump", "create"},
		Use:        "backup [TYPE | TYPE/NAME]... --to PLACE",
		Short:      "Back up a cluster, or a part of it, to an encrypted archive",
		Long: `Reads the selected keys at one revision and writes them to one archive, which is
compressed, encrypted, verified, and published completely or not at all. Without
TYPE everything that Kubernetes stores in etcd is backed up. The path of the
archive is printed on stdout.

The members of a cluster can come to hold different data. With two or more
endpoints, one page (about a megabyte) in a hundred, and at least three pages,
are read again through another member: a single differing page is found with a
probability of about 3/p + 1 % (p: number of pages). --verify-members compares
everything.`,
		Annotations: ends(exitNotFound, exitIntegrity, exitCluster, exitStore, exitDenied, exitConflict, exitGuard, exitNoSpace),
		Example: `  # everything, for one recipient
  kubeferry backup --to /var/backups/etcd -r age1…

  # two kinds of one namespace
  kubeferry backup deploy,cm -n shop --to /var/backups/etcd -R recipients.txt

  # to S3, locked for a month
  kubeferry backup --to s3://backups/prod --retain-for 30d -R recipients.txt

  # show what would be backed up
  kubeferry backup --dry-run`,
		ValidArgsFunction: o.selecting.Complete,
		RunE: func(cmd *cobra.Command, words []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			query, err := o.selecting.Query(words)
			if err != nil {
				return err
			}
			o.warnOfAll(query.Words())
			if o.dryRun {
				return o.look(cmd.Context(), query)
			}
			return o.run(cmd.Context(), query)
		},
	}
	set := c.Flags()
	set.StringVar(&o.cluster, "cluster", "", "`NAME` of the cluster, [a-z0-9.-] (default the start of its kube-system UID)")
	set.BoolVar(&o.allowEmpty, "allow-empty", false, "succeed even if nothing matches")
	flags.Enum(set, &o.readBack, "verify", "verify what was written, or also open it as a restore would",
		flags.Choice[bool]{Word: "written", Help: "all bytes as they are written, and again on the disk"},
		flags.Choice[bool]{Word: "full", Value: true, Help: "also open it as a restore would"})
	set.BoolVar(&o.corrupt, "accept-corrupt-source", false, "back up although etcd reports CORRUPT or members disagree")
	set.BoolVar(&o.members, "verify-members", false, "compare the members' data at this revision (HashKV); a member takes no writes while it hashes")
	flags.DryRun(set, &o.dryRun, "count keys and bytes per kind; write nothing")
	o.selecting.AddFlags(set, s)
	o.sealing.AddFlags(set, s)
	o.connection.AddFlags(set, s)
	o.destination.AddFlags(set, s)
	return c
}

func (o *backupOptions) validate() error {
	switch {
	case o.readBack && o.destination.Stdout():
		return console.Usagef("--verify=full cannot read stdout back; write to a folder, or run kubeferry verify on what came out of the pipe")
	case o.readBack && o.destination.Cold():
		return console.Usagef("--verify=full cannot read back what --s3-storage-class stores cold; leave one of them out")
	case o.dryRun && o.members:
		return console.Usagef("--verify-members goes with a backup, and --dry-run makes none")
	case o.cluster == "":
		return nil
	}
	return catalog.ValidLabel(o.cluster)
}

func (o *backupOptions) run(ctx context.Context, query kube.Query) error {
	to, err := o.destination.Resolve(ctx, o.sealing.Encrypts())
	if err != nil {
		return err
	}
	if to.Stdout && o.s.JSON {
		return console.Usagef("--json and --to - both want stdout; leave one of them out")
	}
	recipients, err := o.sealing.Recipients(ctx)
	if err != nil {
		return err
	}
	if o.readBack && len(recipients) > 0 && recipients[0].IsPassphrase() {
		return console.Usagef("--verify=full adds a key of its own for this run, which a passphrase does not allow; run kubeferry verify afterwards")
	}
	folder, err := to.Probe(ctx)
	if err != nil {
		return err
	}
	cluster, err := o.connection.Dial(ctx, query.Layout())
	if err != nil {
		return err
	}
	defer cluster.Close()
	host, err := o.s.Hostname()
	if err != nil {
		return fmt.Errorf("ask for this machine's name: %w", err)
	}
	tell, stop := progress(o.s)
	defer stop()
	done, err := ferry.Backup{
		Source: cluster.Source, Query: query,
		AllowEmpty: o.allowEmpty, AcceptCorrupt: o.corrupt, VerifyMembers: o.members,
		Recipients: recipients,
		Store:      to.Store, Name: to.Name, Pipe: to.Stdout, Retain: to.RetainUntil,
		ReadBack: o.readBack, Label: o.cluster,
		Tool: version, Host: host, Now: o.s.Now, Progress: tell,
	}.Run(ctx)
	stop()
	if err != nil {
		return err
	}
	o.warn(done)
	o.tellNamed(done.Named, "were")
	return o.report(to, folder, done, opener(recipients))
}
