package cmd

import (
	"bytes"
	"context"
	_ "embed" // for the sample
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/etcdwalk/embedded"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// sample is an archive, not encrypted, of some hundred objects as a real
// kube-apiserver wrote them: namespaces with workloads, services, RBAC, custom
// resources, and events under leases. testdata/README.md tells where they
// come from. All certificates, tokens and passwords in it are test material.
//
//go:embed demo/sample.zip
var sample string

// demoNamespace is the namespace of the sample that the demo loses and finds.
const demoNamespace = "shop-frontend"

func newDemo(p *printer) *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Watch the main job happen, on an etcd inside this process",
		Long: `Starts an etcd inside this process, loads objects that a real kube-apiserver
wrote, backs them up encrypted, deletes a namespace, restores it, and compares
every key and value with what was there before. Nothing outside a temporary
folder is touched, and that is removed in the end.` + ends(),
		Example: `  kubeferry demo`,
		Args:    noWords,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runDemo(cmd.Context(), p) },
	}
}

// A demo is the world of one demonstration.
type demo struct {
	p       *printer
	dir     string
	server  *embedded.Server
	cluster *cluster
}

func runDemo(ctx context.Context, p *printer) (err error) {
	dir, err := os.MkdirTemp("", "kubeferry-demo-")
	if err != nil {
		return fmt.Errorf("making a folder for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d := &demo{p: p, dir: dir}
	if d.server, err = embedded.Start(ctx, dir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.server.Close()) }()
	if d.cluster, err = dialV3(ctx, connect.Config{Endpoints: []string{d.server.Endpoint()}, Log: p.log()}); err != nil {
		return err
	}
	defer d.cluster.close()
	return d.play(ctx)
}

// play is the story: each step in one line, with the command that a user would
// type. The commands are run as they are printed.
func (d *demo) play(ctx context.Context) error {
	loaded, err := d.load(ctx)
	if err != nil {
		return fmt.Errorf("loading the sample: %w", err)
	}
	d.p.data("An etcd runs at %s, with %d objects that a kube-apiserver wrote.", d.server.Endpoint(), loaded)
	layout := kube.Query{}.Layout()
	before, err := d.cluster.source.Open(ctx, etcdwalk.Newest, layout.Scope())
	if err != nil {
		return err
	}
	identity, backups := filepath.Join(d.dir, "kubeferry.identity"), filepath.Join(d.dir, "backups")
	recipient, err := d.step(ctx, "Make a key pair; the identity stays off the cluster:", "keygen", "--here", "--out", identity)
	if err != nil {
		return err
	}
	archive, err := d.step(ctx, "Back everything up, compressed and encrypted:", "backup", "--endpoints", d.server.Endpoint(), "--to", backups, "-r", recipient)
	if err != nil {
		return err
	}
	if _, err = d.step(ctx, "Check every byte of the archive:", "verify", archive, "-i", identity); err != nil {
		return err
	}
	lost, err := d.lose(ctx)
	if err != nil {
		return err
	}
	d.p.data("\nAn accident: %d keys of namespace %s are deleted.\n  $ kubectl delete namespace %s", lost, demoNamespace, demoNamespace)
	_, err = d.step(ctx, "Put back what is missing, and only that:",
		"restore", "-n", demoNamespace, "--from", archive, "-i", identity, "--endpoints", d.server.Endpoint(), "--leases=regrant", "--yes")
	if err != nil {
		return err
	}
	after, err := d.cluster.source.Open(ctx, etcdwalk.Newest, layout.Scope())
	if err != nil {
		return err
	}
	equal, err := compare(ctx, before, after, layout.Scope())
	if err != nil {
		return fmt.Errorf("comparing the keyspace with what it was: %w", err)
	}
	d.p.result = map[string]any{"loaded": loaded, "lost": lost, "equal": equal}
	d.p.data("\nCompared: all %d keys and values are what they were before the accident, leases included.", equal)
	return nil
}

// step tells and runs one command line, shows what it told, and returns the
// first line of its data.
func (d *demo) step(ctx context.Context, what string, args ...string) (string, error) {
	d.p.data("\n%s\n  $ kubeferry %s", what, strings.Join(args, " "))
	var out, talk bytes.Buffer
	code := run(ctx, args, &shell{
		stdin: strings.NewReader(""), stdout: &out, stderr: &talk,
		errTerminal: true, environ: []string{"TERM=dumb"},
		unset: d.p.sh.unset, now: d.p.sh.now, hostname: d.p.sh.hostname,
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
		d.p.data("  %s", strings.TrimSuffix(line, "\n"))
	}
	first, _, _ := strings.Cut(out.String(), "\n")
	return first, nil
}

// load fills the empty cluster with the sample, leases included, and returns the
// number of keys.
func (d *demo) load(ctx context.Context) (int64, error) {
	reader, err := archive.Open(strings.NewReader(sample), int64(len(sample)))
	if err != nil {
		return 0, err
	}
	r := ferry.Restore{Source: reader, Cluster: d.cluster.source, Target: d.cluster.target, Scenario: kube.ScenarioNew, Regrant: true, InFlight: 4}
	planned, err := r.Plan(ctx)
	if err != nil {
		return 0, err
	}
	done, err := r.Apply(ctx, planned)
	return done.Counts[replay.Created], err
}

// lose is the accident: it deletes all that is in the namespace, and counts it.
func (d *demo) lose(ctx context.Context) (int64, error) {
	query, err := kube.Filter{Namespaces: []string{demoNamespace}}.Compile()
	if err != nil {
		return 0, err
	}
	view, err := d.cluster.source.Open(ctx, etcdwalk.Newest, query.Layout().Scope())
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
	for i, r := range d.cluster.target.Apply(ctx, deletes) {
		if r.State != etcdwalk.WriteApplied {
			return 0, fmt.Errorf("deleting key %q: it was not done: %w", deletes[i].Key, errors.Join(r.Err, etcdwalk.ErrInvariant))
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
