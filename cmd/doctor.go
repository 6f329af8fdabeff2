package cmd

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/cmd/ferry/doctor"
	"github.com/kubeferry/kubeferry/cmd/flags"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/health"
)

type doctorOptions struct {
	s         *flags.Settings
	reading   flags.Reading
	selecting flags.Selecting
	details   bool
}

func newDoctor(s *flags.Settings) *cobra.Command {
	o := &doctorOptions{s: s}
	c := &cobra.Command{
		SuggestFor: []string{"status", "diagnose", "doc"},
		Use:        "doctor [--from ARCHIVE]",
		Short:      "Look at a cluster, or an archive, and say what is wrong",
		Long: `Looks at the etcd that the connection flags name, as a source of backups or a
target of restores, or at the archive that --from names. It changes nothing.

First what it is: endpoints and members, versions, alarms, size and quota, keys,
encryption at rest, API servers that are alive. Then what is wrong with it, the
worst first, each with the command that helps; and what could not be looked at.
It ends with 21 if something is broken, and with 0 if there are warnings only;
-q tells what is broken, and nothing else.`,
		Annotations: ends(exitNotFound, exitKey, exitIntegrity, exitPolicy, exitCluster, exitStore, exitDenied, exitGuard, exitCheck),
		Example: `  kubeferry doctor
  kubeferry doctor --details --json
  kubeferry doctor --from prod.zip.age -i kubeferry.identity`,
		Args: noWords,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	set := c.Flags()
	set.BoolVar(&o.details, "details", false, "list all prefixes with their keys, and what is encrypted at rest by kind")
	o.selecting.AddScope(set, s)
	o.reading.AddFlags(c, s)
	return c
}

func (o *doctorOptions) run(ctx context.Context) error {
	query, err := o.selecting.Query(nil)
	if err != nil {
		return err
	}
	source, err := o.reading.Open(ctx, query.Layout())
	if err != nil {
		return err
	}
	defer source.Close()
	tell, stop := o.s.Progress()
	defer stop()
	d := doctor.Doctor{Source: source.Source, Query: query}
	if tell != nil {
		d.Tell = func(done, total int64) { tell(console.Phase{Name: string(ferry.Walking)}, done, total) }
	}
	report, err := d.Run(ctx)
	stop()
	o.s.Result = report
	o.show(source, report)
	if err != nil {
		return err
	}
	if n := report.Count(health.Broken); n > 0 {
		return fmt.Errorf("broken: %s%.0w", console.Count(int64(n), "finding"), ferry.ErrCheck)
	}
	return nil
}
