package cmd

import (
	"cmp"
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/flags"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

type restoreOptions struct {
	s          *flags.Settings
	connection flags.Connection
	selecting  flags.Selecting
	source     flags.Source
	rules      flags.Rules
	watching   watchOptions
	bind       bindOptions
	undoing    flags.Undoing
	from       string
	report     string
	allowEmpty bool
	dryRun     bool
	confirming
	steps  steps  // taken so far
	shares shares // of what is planned
}

func newRestore(s *flags.Settings) *cobra.Command {
	o := &restoreOptions{s: s}
	c := &cobra.Command{
		Use:   "restore [TYPE | TYPE/NAME]... --from ARCHIVE",
		Short: "Restore objects from an archive into a cluster",
		Long: `Verifies the whole archive, shows a plan, asks, and only then writes, each key
guarded by the revision that the plan saw, so that no concurrent change is lost.
It creates and replaces keys, and deletes none but with --delete-extra, which
makes the selection what it was. It can be run again safely.
--plan-out keeps the plan in a file, to be looked at; --plan applies just that.

The target is the cluster that the connection flags name. UIDs, owners and
status are restored as they were. Keys under an etcd lease (in practice, events)
are skipped unless --leases=regrant is given. What controllers make anew is left
to them (kubeferry help rules). In a living cluster what was written is looked
at again for a while; what did not stay ends with 3.`,
		Annotations: ends(exitIncomplete, exitNotFound, exitLocked, exitKey, exitIntegrity, exitPolicy, exitCluster, exitStore, exitDenied, exitConflict, exitGuard, exitNoSpace),
		Example: `  # what would happen
  kubeferry restore --from prod.zip.age -i kubeferry.identity --dry-run

  # one ConfigMap, over what is there now
  kubeferry restore cm/settings -n shop --from prod.zip.age \
    -i kubeferry.identity --on-conflict=overwrite

  # everything, into an empty etcd (ETCDCTL_ENDPOINTS or --endpoints) whose API
  # servers are stopped; it says what to restart then
  kubeferry restore --from prod.zip.age -i kubeferry.identity --scenario=new`,
		ValidArgsFunction: o.selecting.Complete,
		RunE: func(cmd *cobra.Command, words []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			query, err := o.selecting.Query(words)
			if err != nil {
				return err
			}
			return o.run(cmd.Context(), query)
		},
	}
	set := c.Flags()
	set.StringVar(&o.report, "report", "", "`FILE` for the outcome of each key, as JSON lines")
	set.BoolVar(&o.allowEmpty, "allow-empty", false, "succeed even if nothing matches")
	flags.DryRun(set, &o.dryRun, "show the plan and write nothing; the exit code is that of a real run")
	o.confirming.addFlags(set)
	o.watching.addFlags(set)
	o.bind.addFlags(set)
	o.rules.AddFlags(set, s)
	o.undoing.AddFlags(set, s)
	o.selecting.AddFlags(set, s)
	o.source.AddFrom(c, &o.from)
	o.source.AddFlags(set, s)
	o.connection.AddFlags(set, s)
	return c
}

func (o *restoreOptions) validate() error {
	if o.from == "" {
		return console.Usagef("--from is missing: name the archive to restore from; kubeferry list DIR shows them")
	}
	return cmp.Or(o.watching.check(o.s), o.rules.Check(), o.bind.check(o.s), o.checkDelete(), o.checkNew())
}

// run verifies, plans, shows, asks, applies and reports, in this order: nothing
// connects to a cluster before the archive is known to be whole, but to watch it.
func (o *restoreOptions) run(ctx context.Context, query kube.Query) (err error) {
	watch := &stopwatch{now: o.s.Now, begun: o.s.Now()}
	query, closing, err := o.follow(query)
	if err != nil {
		return o.nothingWritten(err)
	}
	defer func() { err = errors.Join(err, closing()) }()
	a, err := o.source.Open(ctx, o.from, true)
	if err != nil {
		return err
	}
	defer a.Close()
	watch.read = a.BytesRead
	var cluster reached
	defer cluster.close()
	if err := watch.without(func() error { return o.watchEarly(ctx, a.Archive, query, &cluster) }); err != nil {
		return o.nothingWritten(err)
	}
	tell, stop := progress(o.s)
	defer stop()
	if query, err = a.VerifyFor(ctx, query, o.selecting.All(), tell); err != nil {
		return o.nothingWritten(err)
	}
	o.steps.Verify = watch.lap()
	if a.Receipt == nil {
		o.s.Talk("%s has no receipt: the backup may be incomplete, or was copied without its .receipt.json.", o.from)
	}
	keeper, locks, err := o.keeper(a.Identities)
	if err != nil {
		return o.nothingWritten(err)
	}
	if err := o.reach(ctx, query, &cluster); err != nil {
		return err
	}
	report, err := openReport(o.report)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, report.close()) }()
	r := o.story(cluster, query)
	r.Source, r.Keeper, r.Locks, r.Report, r.Progress = a.Archive, keeper, locks, o.counting(query.Layout(), report), tell
	watch.lap() // connecting is nobody's step
	planned, err := r.Plan(ctx)
	stop()
	defer func() { err = errors.Join(err, planned.Close()) }()
	if o.steps.Plan = watch.lap(); planned != nil {
		o.steps.Plan, o.steps.Signs = o.steps.Plan.split(planned.Waited)
		o.show(cluster.Cluster, planned)
	}
	if err != nil || o.dryRun {
		return o.nothingWritten(cmp.Or(err, o.movedSince(planned)))
	}
	return o.apply(ctx, cluster.Cluster, r, planned, report, watch)
}
