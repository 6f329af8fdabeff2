package main

import (
	"context"
	"fmt"
	"strings"
)

// Contenders that several groups have.
const (
	ours       = "kubeferry backup"
	configMaps = "kubeferry backup configmaps"
	pipeFiles  = "snapshot; zstd -3; age"
	piped      = "snapshot; zstd -3 | age"
	snapshot   = "etcdctl snapshot save"
)

// backupGroup measures backups of one dataset.
func backupGroup(name, version string, quick bool, more ...string) group {
	return group{
		name:  "backup-" + name + "-" + version,
		about: "backups of " + dataName(name) + " on etcd " + version,
		quick: quick,
		contenders: func(ctx context.Context, b *bench) ([]contender, error) {
			d, err := b.open(ctx, name, version)
			if err != nil {
				return nil, err
			}
			b.noteShare(d)
			all := []contender{b.oursOf(d, ours)}
			for _, resource := range more {
				all = append(all, b.oursOf(d, ours+" "+resource, resource))
			}
			return append(all, b.peersOf("backup-"+name+"-"+version, d)...), nil
		},
	}
}

// noteShare notes which part of the data configmaps are.
func (b *bench) noteShare(d *dataset) {
	b.results.Facts[d.Name+" keys"] = float64(d.Keys)
	b.results.Facts[d.Name+" bytes"] = float64(d.total())
	b.results.Facts[d.Name+" configmaps share"] = float64(d.Bytes["configmaps"]) / float64(d.total())
}

// oursOf is the product with everything on: ZIP, manifest, checksums, age,
// fsync, receipt.
func (b *bench) oursOf(d *dataset, name string, words ...string) contender {
	return contender{name: name, run: func(ctx context.Context) (figures, error) {
		return beside(d.server, func() (figures, error) {
			f, archive, err := b.backup(ctx, d, words...)
			if err != nil {
				return nil, err
			}
			if len(words) == 0 && f[keys] != float64(d.Keys) {
				return nil, fmt.Errorf("kubeferry backup took %.0f of %d keys", f[keys], d.Keys)
			}
			f[out], err = sizeOf(archive)
			return f, err
		})
	}}
}

// peersOf are what people do without us. Of those whose programs are missing it
// is said so.
func (b *bench) peersOf(group string, d *dataset) []contender {
	db, zst, sealed := b.work("b.db"), b.work("b.zst"), b.work("b.age")
	save := pipeline{{b.programs.etcdctl[d.Version], "--endpoints", d.endpoint, "--command-timeout=10m", "snapshot", "save", db}}
	zstd, age := b.programs.zstd, b.programs.age
	all := []peer{
		{pipeFiles, job{save, {{zstd, "-q", "-3", db, "-o", zst}}, {{age, "-r", b.public, "-o", sealed, zst}}}, sealed, []string{"etcdctl", "zstd", "age"}},
		{piped, job{save, {{zstd, "-q", "-3", "-c", db}, {age, "-r", b.public, "-o", sealed}}}, sealed, []string{"etcdctl", "zstd", "age"}},
		{snapshot, job{save}, db, []string{"etcdctl"}},
	}
	return b.contend(group, d, all)
}

// A peer is a job that leaves a backup in a file, with programs that may be
// missing.
type peer struct {
	contender string
	job       job
	result    string
	needs     []string
}

// contend makes contenders of the peers whose programs are there. Of the others it
// is said that they are missing.
func (b *bench) contend(group string, d *dataset, peers []peer) []contender {
	var contenders []contender
	for _, p := range peers {
		if missing := b.programs.missing(d.Version, p.needs...); len(missing) > 0 {
			b.results.skip(group+" "+p.contender, "there is no "+strings.Join(missing, ", "))
			continue
		}
		most := 0
		if p.contender == piped && d.Name == "m" {
			most = 3 // it takes long, and no goal names it
		}
		contenders = append(contenders, contender{name: p.contender, most: most, run: func(ctx context.Context) (figures, error) {
			return beside(d.server, func() (figures, error) {
				f, _, err := p.job.run(ctx)
				if err != nil {
					return nil, err
				}
				f[out], err = sizeOf(p.result)
				return f, err
			})
		}})
	}
	return contenders
}

// dataName is the name of a dataset in texts.
func dataName(name string) string {
	return map[string]string{"s": "S", "h": "H", "m": "M", "o": "S in API v2"}[name]
}
