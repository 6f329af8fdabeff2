package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	restoreFast    = "kubeferry restore, 16 in flight"
	restoreDefault = "kubeferry restore"
	mirror         = "etcdctl make-mirror"
	bareOne        = "bare load, 1 connection"
	bareMany       = "bare load, 16 connections"
	fastFlag       = "--max-in-flight"
)

// restoreGroup fills empty servers, from an archive and otherwise. What is slow
// runs on S only: the mirror, and a restore as it is by default, which a group
// of its own measures on M.
func restoreGroup(name string, most int, withSlow bool) group {
	groupName := "restore-" + name
	return group{
		name:  groupName,
		about: "restores of " + dataName(name) + " into an empty etcd 3.6",
		quick: name == "s",
		most:  most,
		contenders: func(ctx context.Context, b *bench) ([]contender, error) {
			d, archive, err := b.archived(ctx, name)
			if err != nil {
				return nil, err
			}
			var all []contender
			if b.takes(ctx, "restore", fastFlag) {
				all = append(all, b.intoEmpty(restoreFast, 0, b.restoring(d, archive, fastFlag, "16")))
			} else {
				b.results.skip(groupName+" "+restoreFast, "this kubeferry has no "+fastFlag)
			}
			all = append(all,
				b.intoEmpty(bareOne, 0, bareLoad(d.Keys, 1)),
				b.intoEmpty(bareMany, 0, bareLoad(d.Keys, inFlight)))
			if !withSlow {
				return all, nil
			}
			all = append(all, b.intoEmpty(restoreDefault, 0, b.restoring(d, archive)))
			if len(b.programs.missing("3.6", "etcdctl")) > 0 {
				b.results.skip(groupName+" "+mirror, "there is no etcdctl")
				return all, nil
			}
			most := 3 // twelve seconds each
			if b.settings.quick {
				most = 1
			}
			return append(all, b.intoEmpty(mirror, most, b.mirroring(d))), nil
		},
	}
}

// A filler fills an empty server, and says how.
type filler func(ctx context.Context, to *server) (figures, error)

// intoEmpty runs a filler on a server of its own, 3.6, that has nothing in it.
func (b *bench) intoEmpty(name string, most int, fill filler) contender {
	return contender{name: name, most: most, run: func(ctx context.Context) (f figures, err error) {
		s, err := start(ctx, b.programs.etcd["3.6"], b.work("etcd"))
		if err != nil {
			return nil, err
		}
		defer func() {
			if removed := s.remove(); err == nil {
				err = removed
			}
		}()
		f, err = beside(s, func() (figures, error) { return fill(ctx, s) })
		if err != nil {
			return nil, err
		}
		if f[keys] > 0 {
			f[rate] = f[keys] / (f[wall] - f[back] - f[watched])
		}
		if f[apply] > 0 {
			f[applyRate] = f[keys] / f[apply]
		}
		return f, nil
	}}
}

// restoring is the product, verification and plan included.
func (b *bench) restoring(d *dataset, archive string, flags ...string) filler {
	return b.creating(d.Keys, archive, append([]string{"--scenario=new"}, flags...)...)
}

// creating is the product, which must create so many keys.
func (b *bench) creating(want int, archive string, flags ...string) filler {
	return func(ctx context.Context, to *server) (figures, error) {
		c := append(b.product(), "restore", "--from", archive, "-i", b.identity, "--endpoints", to.endpoint, "--leases=regrant", "--yes", "--json")
		if !slices.Contains(flags, "--no-watch") && b.takes(ctx, "restore", "--no-watch") { // the time that it waits for signs of API servers is no work
			c = append(c, "--no-watch")
		}
		c = append(c, b.keeping(ctx)...)
		f, printed, err := job{{append(c, flags...)}}.run(ctx)
		if err != nil {
			return nil, err
		}
		var s summary
		if err := lastLine(printed, &s); err != nil {
			return nil, err
		}
		f[keys] = float64(s.Result.Applied.Counts["created"])
		if f[keys] != float64(want) {
			return nil, fmt.Errorf("kubeferry restore created not %d keys: %s", want, printed)
		}
		s.addTo(f)
		return f, nil
	}
}

// mirroring is etcdctl make-mirror from the dataset's server, until all keys are
// there. It never ends by itself.
func (b *bench) mirroring(d *dataset) filler {
	return func(ctx context.Context, to *server) (figures, error) {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
		defer cancel()
		client, err := to.client()
		if err != nil {
			return nil, err
		}
		defer client.Close()
		c := process(ctx, command{b.programs.etcdctl["3.6"], "make-mirror", "--endpoints", d.endpoint, "--prefix", "/registry/",
			"--dest-insecure-transport=true", strings.TrimPrefix(to.endpoint, "http://")})
		begun := time.Now()
		if err := c.Start(); err != nil {
			return nil, err
		}
		peak := watchPeak(c.Process.Pid, "VmHWM")
		err = awaitCount(ctx, client, int64(d.Keys))
		f := figures{wall: time.Since(begun).Seconds(), keys: float64(d.Keys), rss: float64(peak())}
		c.Process.Kill()
		waited := c.Wait()
		if err != nil {
			return nil, fmt.Errorf("%w; %w", err, explain(c, waited))
		}
		f[cpu] = (c.ProcessState.UserTime() + c.ProcessState.SystemTime()).Seconds()
		return f, nil
	}
}

// awaitCount waits until the server has so many keys.
func awaitCount(ctx context.Context, client *clientv3.Client, want int64) error {
	for {
		resp, err := client.Get(ctx, "/registry/", clientv3.WithPrefix(), clientv3.WithCountOnly(), clientv3.WithSerializable())
		if err != nil {
			return fmt.Errorf("wait for %d keys: %w", want, err)
		}
		if resp.Count >= want {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
}
