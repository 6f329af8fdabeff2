package cmd

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/pflag"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/cmd/ferry/undo"
	"github.com/kubeferry/kubeferry/cmd/flags"
	"github.com/kubeferry/kubeferry/crypt"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// bindOptions say where a plan is kept, and which one is applied.
type bindOptions struct {
	out, plan string
	given     ferry.Restore // what the plan says, that is to be applied
}

func (b *bindOptions) addFlags(set *pflag.FlagSet) {
	set.StringVar(&b.out, "plan-out", "", "keep the plan as `FILE`: a line for each key, without values")
	set.StringVar(&b.plan, "plan", "", "apply the plan in `FILE`, as it was made with --plan-out, and nothing else")
}

// decisions are the flags that say what a plan has said already.
var decisions = []string{"on-conflict", "scenario", "allow", "with-owners", "with-owned", "delete-extra", "retain-volumes", "leases", "raw", "allow-empty"}

func (b *bindOptions) check(s *flags.Settings) error {
	if b.plan == "" {
		return nil
	}
	if b.out != "" {
		return console.Usagef("--plan-out makes a plan, and --plan applies one that was made: use one of them")
	}
	if i := slices.IndexFunc(decisions, func(flag string) bool { return s.Typed(flag) }); i >= 0 {
		return console.Usagef("--%s: the plan has decided that already; leave the flag out, or make a new plan with it", decisions[i])
	}
	return nil
}

// keeper keeps what the restore takes away, nil if that is nothing, and says where it locks
// other runs out.
func (o *restoreOptions) keeper(identities []crypt.Identity) (keeper *undo.Keeper, locks string, err error) {
	if o.dryRun {
		return nil, "", nil
	}
	if !o.isNew() {
		if keeper, err = o.undoing.Keeper(version, identities); err != nil {
			return nil, "", err
		}
	}
	locks, err = o.undoing.Folder()
	return keeper, locks, err
}

// follow makes the restore that of the plan that is to be applied, if there is one.
func (o *restoreOptions) follow(query kube.Query) (_ kube.Query, closing func() error, err error) {
	if o.bind.plan == "" {
		return query, func() error { return nil }, nil
	}
	given := &o.bind.given
	given.Query = query
	if closing, err = given.Follow(o.bind.plan); err != nil {
		return query, nil, err
	}
	o.rules.Policy, o.rules.Scenario, o.rules.Allow, o.rules.Regrant, o.rules.Raw = given.Policy, given.Scenario, given.Allow, given.Regrant, given.Raw
	o.rules.WithOwners, o.rules.WithOwned, o.rules.DeleteExtra, o.rules.RetainVolumes = given.WithOwners, given.WithOwned, given.DeleteExtra, given.RetainVolumes
	o.allowEmpty = given.AllowEmpty
	if err := o.checkNew(); err != nil {
		return query, nil, errors.Join(err, closing())
	}
	return given.Query, closing, nil
}

// movedSince tells, for a dry run, that the plan that is followed does not hold any more.
func (o *restoreOptions) movedSince(planned *ferry.Planned) error {
	if planned == nil {
		return nil
	}
	if moved := planned.Counts[replay.Moved]; moved > 0 {
		return fmt.Errorf("%s written since the plan was made, and would be left alone: %w", wereKeys(moved), ferry.ErrIncomplete)
	}
	return nil
}
