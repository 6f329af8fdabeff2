package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/kubeferry/kubeferry/scripts/bench/keyspace"
)

const (
	getAll     = "kubeferry get -A -o json"
	getOne     = "kubeferry get of one ConfigMap"
	listOne    = "kubeferry describe --keys of it"
	walkAll    = "kubeferry backup --dry-run"
	walkLabels = "kubeferry backup --dry-run -l"
	versionRun = "kubeferry version"
	etcdctlRun = "etcdctl version"
)

// lookGroup measures what reads values and not only keys: all objects of S shown, and
// selected by their labels.
func lookGroup() group {
	return group{
		name:  "look-s",
		about: "objects of S shown from a local archive, and selected by labels on etcd 3.6",
		quick: true,
		contenders: func(ctx context.Context, b *bench) ([]contender, error) {
			d, archive, err := b.archived(ctx, "s")
			if err != nil {
				return nil, err
			}
			return []contender{
				{name: getAll, run: func(ctx context.Context) (figures, error) { return b.showAll(ctx, d, archive) }},
				{name: walkAll, run: func(ctx context.Context) (figures, error) { return b.walk(ctx, d) }},
				// Every object has no such label.
				{name: walkLabels, run: func(ctx context.Context) (figures, error) { return b.walk(ctx, d, "-l", "!example.com/nothing") }},
			}, nil
		},
	}
}

// showAll shows all objects of an archive, into a pipe.
func (b *bench) showAll(ctx context.Context, d *dataset, archive string) (figures, error) {
	f, printed, err := job{{
		{b.programs.kubeferry, "get", "-A", "-o", "json", "--reveal-secrets", "--from", archive, "-i", b.identity}, {"wc", "-c"},
	}}.run(ctx)
	if err != nil {
		return nil, err
	}
	if f[out], err = strconv.ParseFloat(strings.TrimSpace(string(printed)), 64); err != nil {
		return nil, fmt.Errorf("count what get printed: %w", err)
	}
	if f[out] < float64(d.total()) {
		return nil, fmt.Errorf("kubeferry get showed %.0f bytes of %d that are stored", f[out], d.total())
	}
	f[flow] = float64(d.total()) / f[wall]
	return f, nil
}

// walk counts what a backup would take.
func (b *bench) walk(ctx context.Context, d *dataset, words ...string) (figures, error) {
	f, printed, err := job{{append(command{b.programs.kubeferry, "backup", "--dry-run", "--endpoints", d.endpoint, "--json"}, words...)}}.run(ctx)
	if err != nil {
		return nil, err
	}
	var done struct{ Result struct{ Keys float64 } }
	if err := lastLine(printed, &done); err != nil {
		return nil, err
	}
	f[keys] = done.Result.Keys
	if f[keys] != float64(d.Keys) {
		return nil, fmt.Errorf("kubeferry backup --dry-run counts %.0f of %d keys", f[keys], d.Keys)
	}
	return f, nil
}

// lookOneGroup measures what one object of a large archive costs.
func lookOneGroup() group {
	return group{
		name:  "look-m",
		about: "one object of M shown from a local archive",
		contenders: func(ctx context.Context, b *bench) ([]contender, error) {
			d, archive, err := b.archived(ctx, "m")
			if err != nil {
				return nil, err
			}
			namespace, name, err := b.someConfigMap(d)
			if err != nil {
				return nil, err
			}
			look := func(words ...string) func(ctx context.Context) (figures, error) {
				return func(ctx context.Context) (figures, error) { return b.lookAt(ctx, append(words, "-n", namespace)...) }
			}
			return []contender{
				{name: getOne, run: look("get", "cm/"+name, "--from", archive)},
				{name: listOne, run: look("describe", archive, "--keys", "cm/"+name)},
			}, nil
		},
	}
}

// someConfigMap is one from the middle of a dataset.
func (b *bench) someConfigMap(d *dataset) (namespace, name string, err error) {
	k, err := keyspace.New(d.Keys, b.settings.seed)
	if err != nil {
		return "", "", err
	}
	found := 0
	for i := range k.Len() {
		o, err := k.At(i, 0)
		if err != nil {
			return "", "", err
		}
		if o.Resource != "configmaps" {
			continue
		}
		if found++; found == d.Keys/50 {
			parts := strings.Split(o.Key, "/")
			return parts[len(parts)-2], parts[len(parts)-1], nil
		}
	}
	return "", "", errors.New("the keyspace has too few ConfigMaps")
}

// lookAt shows one object.
func (b *bench) lookAt(ctx context.Context, words ...string) (figures, error) {
	f, printed, err := job{{append(append(command{b.programs.kubeferry}, words...), "-i", b.identity, "--json")}}.run(ctx)
	if err != nil {
		return nil, err
	}
	var done struct {
		Result struct {
			Objects      float64
			ArchiveBytes float64 `json:"archive_bytes"`
		}
	}
	if err := lastLine(printed, &done); err != nil {
		return nil, err
	}
	if f[keys], f[read] = done.Result.Objects, done.Result.ArchiveBytes; f[keys] != 1 || f[read] == 0 {
		return nil, fmt.Errorf("kubeferry shows not one object: %s", printed)
	}
	return f, nil
}

// programGroup measures the program itself.
func programGroup() group {
	return group{
		name:  "program",
		about: "the program itself: its start, and its size",
		quick: true,
		contenders: func(ctx context.Context, b *bench) ([]contender, error) {
			all := []contender{{name: versionRun, run: func(ctx context.Context) (figures, error) {
				f, _, err := job{{{b.programs.kubeferry, "version"}}}.run(ctx)
				if err != nil {
					return nil, err
				}
				f[out], err = sizeOf(b.programs.kubeferry)
				return f, err
			}}}
			if len(b.programs.missing("3.6", "etcdctl")) > 0 {
				b.results.skip("program "+etcdctlRun, "there is no etcdctl")
				return all, nil
			}
			return append(all, contender{name: etcdctlRun, run: func(ctx context.Context) (figures, error) {
				f, _, err := job{{{b.programs.etcdctl["3.6"], "version"}}}.run(ctx)
				return f, err
			}}), nil
		},
	}
}
