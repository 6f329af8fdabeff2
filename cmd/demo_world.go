package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// step tells and runs one command line, shows what it told, and returns the
// first line of its data.
func (d *demo) step(ctx context.Context, what string, args ...string) (string, error) {
	d.s.Data("\n%s\n  $ kubeferry %s", what, strings.Join(args, " "))
	var out, talk bytes.Buffer
	code := run(ctx, args, &console.Shell{
		Stdin: strings.NewReader(""), Stdout: &out, Stderr: &talk,
		ErrTerminal: true, Environ: []string{"TERM=dumb"},
		Unset: d.s.Unset, Now: d.s.Now, Hostname: d.s.Hostname,
	})
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if code != int(exitDone) {
		return "", fmt.Errorf("kubeferry %s ended with exit code %d: %s", args[0], code, strings.TrimSpace(talk.String()))
	}
	shown := talk.String()
	if shown == "" {
		shown = out.String()
	}
	for line := range strings.Lines(shown) {
		d.s.Data("  %s", strings.TrimSuffix(line, "\n"))
	}
	first, _, _ := strings.Cut(out.String(), "\n")
	return first, nil
}

// load fills the empty cluster with the sample, leases included, and returns the
// number of keys.
func (d *demo) load(ctx context.Context) (keys int64, err error) {
	reader, err := archive.Open(strings.NewReader(sample), int64(len(sample)))
	if err != nil {
		return 0, err
	}
	r := ferry.Restore{Source: reader, Cluster: d.cluster, Target: d.cluster.Target(), Scenario: kube.ScenarioNew, Regrant: true, InFlight: 4}
	planned, err := r.Plan(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, planned.Close()) }()
	done, err := r.Apply(ctx, planned)
	return done.Counts[replay.Created], err
}

// lose is the accident: it deletes all that is in the namespace, and counts it.
func (d *demo) lose(ctx context.Context) (int64, error) {
	query, err := kube.Filter{Namespaces: []string{demoNamespace}}.Compile()
	if err != nil {
		return 0, err
	}
	view, err := d.cluster.Open(ctx, etcdwalk.Newest, query.Layout().Scope())
	if err != nil {
		return 0, err
	}
	sel, err := query.Resolve(ctx, view)
	if err != nil {
		return 0, err
	}
	var deletes []etcdwalk.Write
	for e, err := range view.Walk(ctx, sel) {
		if err != nil {
			return 0, err
		}
		deletes = append(deletes, etcdwalk.Write{Key: bytes.Clone(e.Key), Seen: e.ModRevision, Delete: true})
	}
	for i, r := range d.cluster.Target().Apply(ctx, deletes) {
		if r.State != etcdwalk.WriteApplied {
			return 0, fmt.Errorf("delete key %q: it was not done: %w", deletes[i].Key, errors.Join(r.Err, etcdwalk.ErrInvariant))
		}
	}
	return int64(len(deletes)), nil
}

// compare walks the ranges of two views side by side and returns how many keys they
// hold, if each key has the same value in both, and is under a lease in both or in
// neither. If not, the error names the first key that differs.
func compare(ctx context.Context, a, b etcdwalk.View, ranges etcdwalk.Ranges) (keys int64, err error) {
	for pair, err := range etcdwalk.Merge(ctx, a, b, etcdwalk.Selection{Ranges: ranges}) {
		switch {
		case err != nil:
			return 0, err
		case pair.A == nil, pair.B == nil, replay.Decide(replay.Fail, *pair.A, pair.B) != replay.Same:
			return 0, fmt.Errorf("key %q differs", pair.Key())
		}
		keys++
	}
	return keys, nil
}
