package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/etcdwalk/embedded"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

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
	if d.cluster, _, err = dialV3(ctx, connect.Config{Endpoints: []string{d.server.Endpoint()}, Log: p.log()}); err != nil {
		return err
	}
	defer d.cluster.close()
	return d.play(ctx)
}

// play is the story: each step in one line, with the command that a user would
// type. The commands are run as they are printed.
func (d *demo) play(ctx context.Context) error {
	loaded, err := ferry.Load(ctx, embedded.Sample(), d.cluster.pin, d.cluster.target)
	if err != nil {
		return fmt.Errorf("loading the sample: %w", err)
	}
	d.p.data("An etcd runs at %s, with %d objects that a kube-apiserver wrote.", d.server.Endpoint(), loaded)
	layout, err := kube.NewLayout()
	if err != nil {
		return err
	}
	before, err := d.cluster.pin(ctx, layout.Scope())
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
	lost, err := d.lose(ctx, layout)
	if err != nil {
		return err
	}
	d.p.data("\nAn accident: %d keys of namespace %s are deleted.\n  $ kubectl delete namespace %s", lost, demoNamespace, demoNamespace)
	_, err = d.step(ctx, "Put back what is missing, and only that:",
		"restore", "-n", demoNamespace, "--from", archive, "-i", identity, "--endpoints", d.server.Endpoint(), "--leases=regrant", "--yes")
	if err != nil {
		return err
	}
	after, err := d.cluster.pin(ctx, layout.Scope())
	if err != nil {
		return err
	}
	equal, err := ferry.Compare(ctx, before, after, layout.Scope())
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

// lose is the accident.
func (d *demo) lose(ctx context.Context, layout *kube.Layout) (int64, error) {
	view, err := d.cluster.pin(ctx, layout.Scope())
	if err != nil {
		return 0, err
	}
	sel, err := kube.Filter{Namespaces: []string{demoNamespace}}.Resolve(ctx, view)
	if err != nil {
		return 0, err
	}
	return d.server.Delete(ctx, sel.Ranges)
}
