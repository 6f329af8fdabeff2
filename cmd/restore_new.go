package cmd

import (
	"context"
	"time"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/cmd/flags"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// What is different where an etcd is filled whose API servers must be down.

// signTime is how long API servers may keep silent: their keys are under leases of so long.
const signTime = 15 * time.Second

func (o *restoreOptions) isNew() bool { return o.rules.Scenario == kube.ScenarioNew }

// checkNew refuses to fill whatever happens to be found.
func (o *restoreOptions) checkNew() error {
	if !o.isNew() {
		return nil
	}
	if origin, explicit := o.connection.Origin(); !explicit {
		return console.Usagef("--scenario=new fills the etcd that it is pointed at, and not one that is found (%s): name it with --endpoints HOST:PORT, ETCDCTL_ENDPOINTS, KUBEFERRY_ENDPOINTS, or endpoints of a profile", origin)
	}
	switch {
	case o.watching.never:
		o.s.Warn("--no-watch: API servers are looked for once only, and one that has just lost its etcd may show no sign of life for %s", signTime)
	case o.watching.during < signTime:
		o.s.Warn("--watch-for=%s (from %s): an API server may show no sign of life for %s, so one that lives may not be seen", o.watching.during, o.s.Origin("watch-for"), signTime)
	}
	return nil
}

// A reached target is one that is connected, perhaps already while the archive is read.
type reached struct {
	*flags.Cluster
	begun etcdwalk.Info
}

func (r *reached) close() {
	if r.Cluster != nil {
		r.Close()
	}
}

// watchEarly connects to a new target and begins to watch it, so that it costs no time of its
// own while the archive is verified. Nothing is written before that is done.
func (o *restoreOptions) watchEarly(ctx context.Context, a *ferry.Archive, query kube.Query, r *reached) (err error) {
	if !o.isNew() || o.watching.never {
		return nil
	}
	if query, err = a.Under(query); err != nil {
		return err
	}
	if r.Cluster, err = o.connection.Dial(ctx, query.Layout()); err != nil || r.API != etcdwalk.V3 {
		return err
	}
	o.s.Talk("Watching %s for %s for signs of API servers, while the archive is verified.", r.Address, o.watching.during)
	r.begun, err = ferry.Restore{Cluster: r.Source, Query: query}.Mark(ctx)
	return err
}

// reach connects, unless that was done early.
func (o *restoreOptions) reach(ctx context.Context, query kube.Query, r *reached) (err error) {
	if r.Cluster == nil {
		r.Cluster, err = o.connection.Dial(ctx, query.Layout())
	}
	return err
}

// tellSilence says for how long the target was watched, and that this is no proof.
func (o *restoreOptions) tellSilence(planned *ferry.Planned) {
	if planned.Watched > 0 {
		o.s.Talk("No API server gave a sign of life for %.0f s; one that keeps none is not seen.", planned.Watched.Seconds())
	}
}

// nextSteps are what is to be done after a new etcd was filled, in this order.
func nextSteps() []string {
	return []string{
		"restart every kube-apiserver, before anything else",
		"then restart the controllers (kube-controller-manager, operators) and schedulers",
		"then restart the kubelets",
	}
}

// tellNext says what is to be done now.
func (o *restoreOptions) tellNext(result *restoreResult) {
	if !o.isNew() {
		return
	}
	result.Next = nextSteps()
	o.s.Talk("What to do next. Restart, and do not only start: what ran before still knows the old state.")
	for i, step := range result.Next {
		o.s.Talk("  %d. %s", i+1, step)
	}
}
