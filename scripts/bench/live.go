package main

import (
	"context"
	"fmt"
	"time"

	"github.com/kubeferry/kubeferry/scripts/bench/keyspace"
)

const (
	idle   = "idle"
	dryRun = "kubeferry restore --dry-run -n " + keyspace.OnePercent
)

// liveGroup asks what other clients of the cluster feel beside a backup.
func liveGroup(version string) group {
	return group{
		name:  "live-m-" + version,
		about: "a put and a read every 5 ms, beside backups of M on etcd " + version,
		contenders: func(ctx context.Context, b *bench) ([]contender, error) {
			d, err := b.open(ctx, "m", version)
			if err != nil {
				return nil, err
			}
			all := []contender{{name: idle, run: doNothing}, b.oursOf(d, ours)}
			for _, peer := range b.peersOf("live-m-"+version, d) {
				if peer.name == snapshot {
					all = append(all, peer)
				}
			}
			for i, c := range all {
				all[i].run = func(ctx context.Context) (figures, error) { return probing(ctx, d.server, c.run) }
			}
			return all, nil
		},
	}
}

// doNothing is what the server is like when nobody backs it up.
func doNothing(ctx context.Context) (figures, error) {
	begun := time.Now()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(4 * time.Second):
	}
	return figures{wall: time.Since(begun).Seconds()}, nil
}

// probing runs something with the prober beside it.
func probing(ctx context.Context, s *server, run func(context.Context) (figures, error)) (figures, error) {
	p, err := probe(ctx, s)
	if err != nil {
		return nil, err
	}
	f, err := run(ctx)
	if err != nil {
		p.cancel()
		p.group.Wait()
		p.client.Close()
		return nil, err
	}
	return f, p.stop(f)
}

// liveRestoreGroup asks the same beside a restore of M as it is by default.
func liveRestoreGroup() group {
	return group{
		name:  "live-restore-m",
		about: "a put and a read every 5 ms, beside a default restore of M into an empty etcd 3.6",
		most:  3,
		contenders: func(ctx context.Context, b *bench) ([]contender, error) {
			d, archive, err := b.archived(ctx, "m")
			if err != nil {
				return nil, err
			}
			restore := b.restoring(d, archive)
			return []contender{
				b.intoEmpty(idle, 0, func(ctx context.Context, to *server) (figures, error) { return probing(ctx, to, doNothing) }),
				b.intoEmpty(restoreDefault, 0, func(ctx context.Context, to *server) (figures, error) {
					return probing(ctx, to, func(ctx context.Context) (figures, error) { return restore(ctx, to) })
				}),
			}, nil
		},
	}
}

// growthGroup asks how far the server's anonymous memory grows. Each run begins
// with a new process, since one that has answered before has grown already.
func growthGroup(version string) group {
	return group{
		name:  "growth-m-" + version,
		about: "backups of M on an etcd " + version + " that was just started",
		most:  3,
		cold:  true,
		contenders: func(ctx context.Context, b *bench) ([]contender, error) {
			d, err := b.open(ctx, "m", version)
			if err != nil {
				return nil, err
			}
			all := []contender{b.oursOf(d, ours)}
			for _, peer := range b.peersOf("growth-m-"+version, d) {
				if peer.name == snapshot {
					all = append(all, peer)
				}
			}
			for i, c := range all {
				if c.name != ours {
					all[i].most = 1 // for comparison only
				}
				all[i].run = func(ctx context.Context) (figures, error) {
					if err := d.restart(ctx); err != nil {
						return nil, err
					}
					time.Sleep(settle)
					return c.run(ctx)
				}
			}
			return all, nil
		},
	}
}

// settle is how long a new server is left alone before it is measured.
const settle = 3 * time.Second

// namespaceGroup asks how much of an archive a plan reads for one namespace.
func namespaceGroup() group {
	return group{
		name:  "namespace-m",
		about: "the plan of a restore of one namespace, 1 % of M",
		most:  1,
		cold:  true,
		contenders: func(ctx context.Context, b *bench) ([]contender, error) {
			d, archive, err := b.archived(ctx, "m")
			if err != nil {
				return nil, err
			}
			return []contender{{name: dryRun, run: func(ctx context.Context) (figures, error) {
				c := command{b.programs.kubeferry, "restore", "--from", archive, "-i", b.identity, "--endpoints", d.endpoint,
					"--dry-run", "-n", keyspace.OnePercent, "--leases=regrant", "--json"}
				f, printed, err := job{{c}}.run(ctx)
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
				if f[keys] == 0 {
					return nil, fmt.Errorf("the plan holds no key of %s", keyspace.OnePercent)
				}
				if f[out], err = sizeOf(archive); err != nil {
					return nil, err
				}
				s.addTo(f)
				return f, nil
			}}}, nil
		},
	}
}
