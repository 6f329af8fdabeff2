package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

const (
	planNow       = "kubeferry restore --dry-run"
	planBefore    = "kubeferry restore --dry-run, before"
	restoreNow    = "kubeferry restore into what lives"
	restoreBefore = "kubeferry restore into what lives, before"
	noBefore      = "no kubeferry from before a change is given: -before"
	perKeyBytes   = "bytes_per_key" // of the file of a plan
)

// before is the same bench of a kubeferry from before a change; nil if none is given.
func (b *bench) before() *bench {
	if b.settings.before == "" {
		return nil
	}
	old := *b
	old.programs.kubeferry = b.settings.before
	return &old
}

// product begins a command of the product. One from before may refuse what it knows nothing of.
func (b *bench) product() command {
	if b.programs.kubeferry == b.settings.before {
		return command{"env", "-u", "KUBEFERRY_STATE_DIR", b.programs.kubeferry}
	}
	return command{b.programs.kubeferry}
}

// boundGroup asks what it costs a restore that a file binds it to its plan.
func boundGroup() group {
	return group{
		name:  "bound-s",
		about: "restores of S into the cluster that it is of, by this kubeferry and by one from before a change",
		contenders: func(ctx context.Context, b *bench) ([]contender, error) {
			d, archive, err := b.archived(ctx, "s")
			if err != nil {
				return nil, err
			}
			left, err := leftOf(d.Keys, b.settings.seed)
			if err != nil {
				return nil, err
			}
			into := func(name string, by *bench) contender {
				living := by.creating(d.Keys-1, archive, "--no-watch", "--allow", "derived")
				return b.intoEmpty(name, 0, func(ctx context.Context, to *server) (figures, error) {
					if err := putAll(ctx, to, left); err != nil {
						return nil, err
					}
					return living(ctx, to)
				})
			}
			all := []contender{into(restoreNow, b)}
			if old := b.before(); old != nil {
				return append(all, into(restoreBefore, old)), nil
			}
			b.results.skip("bound-s "+restoreBefore, noBefore)
			return all, nil
		},
	}
}

// planGroup asks what a plan costs over what is there already, and its file.
func planGroup() group {
	return group{
		name:  "plan-m",
		about: "plans of a restore of M over itself, by this kubeferry and by one from before a change",
		most:  3,
		contenders: func(ctx context.Context, b *bench) ([]contender, error) {
			d, archive, err := b.archived(ctx, "m")
			if err != nil {
				return nil, err
			}
			all := []contender{{name: planNow, run: func(ctx context.Context) (figures, error) {
				file := filepath.Join(b.dir, "plan")
				f, err := b.planOver(ctx, d, archive, "--plan-out", file)
				if err != nil {
					return nil, err
				}
				size, err := sizeOf(file)
				f[perKeyBytes] = size / f[keys]
				if err == nil {
					err = os.Remove(file)
				}
				return f, err
			}}}
			if old := b.before(); old != nil {
				return append(all, contender{name: planBefore, run: func(ctx context.Context) (figures, error) { return old.planOver(ctx, d, archive) }}), nil
			}
			b.results.skip("plan-m "+planBefore, noBefore)
			return all, nil
		},
	}
}

// planOver plans to write over what the dataset's server holds.
func (b *bench) planOver(ctx context.Context, d *dataset, archive string, flags ...string) (figures, error) {
	c := append(b.product(), "restore", "--from", archive, "-i", b.identity, "--endpoints", d.endpoint,
		"--dry-run", "--on-conflict", "overwrite", "--leases=regrant", "--allow", "derived", "--json")
	f, printed, err := job{{append(c, flags...)}}.run(ctx)
	if err != nil {
		return nil, err
	}
	var s summary
	if err := lastLine(printed, &s); err != nil {
		return nil, err
	}
	for _, n := range s.Result.Plan.Counts {
		f[keys] += float64(n)
	}
	if f[keys] != float64(d.Keys) {
		return nil, fmt.Errorf("kubeferry restore plans %.0f of %d keys: %s", f[keys], d.Keys, printed)
	}
	s.addTo(f)
	return f, nil
}
