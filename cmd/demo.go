package cmd

import (
	"context"
	_ "embed" // for the sample
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/cmd/flags"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/etcdwalk/embedded"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd3"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
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

func newDemo(s *flags.Settings) *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Try backup, deletion and restore on a built-in etcd",
		Long: `Starts an etcd inside this process, loads objects that a real kube-apiserver
wrote, backs them up encrypted, deletes a namespace, restores it, and compares
every key and value with what was there before. Nothing outside a temporary
folder is touched, and that is removed in the end.`,
		Annotations: ends(),
		Example:     `  kubeferry demo`,
		Args:        noWords,
		RunE:        func(cmd *cobra.Command, _ []string) error { return runDemo(cmd.Context(), s) },
	}
}

type demoResult struct {
	Loaded int64 `json:"loaded"`
	Lost   int64 `json:"lost"`
	Equal  int64 `json:"equal"`
}

// A demo is the world of one demonstration.
type demo struct {
	s       *flags.Settings
	dir     string
	server  *embedded.Server
	cluster *etcd3.Cluster
}

func runDemo(ctx context.Context, s *flags.Settings) (err error) {
	dir, err := os.MkdirTemp("", "kubeferry-demo-")
	if err != nil {
		return fmt.Errorf("make a folder for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d := &demo{s: s, dir: dir}
	if d.server, err = embedded.Start(ctx, dir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.server.Close()) }()
	if d.cluster, err = etcd3.Dial(ctx, connect.Config{Endpoints: []string{d.server.Endpoint()}, Log: s.Log()}); err != nil {
		return err
	}
	defer d.cluster.Close()
	return d.play(ctx)
}

// play is the story: each step in one line, with the command that a user would
// type. The commands are run as they are printed.
func (d *demo) play(ctx context.Context) error {
	loaded, err := d.load(ctx)
	if err != nil {
		return fmt.Errorf("load the sample: %w", err)
	}
	d.s.Data("An etcd runs at %s, with %d objects that a kube-apiserver wrote.", d.server.Endpoint(), loaded)
	layout := kube.Query{}.Layout()
	before, err := d.cluster.Open(ctx, etcdwalk.Newest, layout.Scope())
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
	d.s.Data("\nAn accident: %d keys of namespace %s are deleted.\n  $ kubectl delete namespace %s", lost, demoNamespace, demoNamespace)
	_, err = d.step(ctx, "Put back what is missing, and only that:",
		"restore", "-n", demoNamespace, "--from", archive, "-i", identity, "--endpoints", d.server.Endpoint(), "--leases=regrant", "--allow", "derived", "--undo-dir", filepath.Join(d.dir, "undo"), "--yes")
	if err != nil {
		return err
	}
	after, err := d.cluster.Open(ctx, etcdwalk.Newest, layout.Scope())
	if err != nil {
		return err
	}
	equal, err := compare(ctx, before, after, layout.Scope())
	if err != nil {
		return fmt.Errorf("compare the keyspace with what it was: %w", err)
	}
	d.s.Result = demoResult{loaded, lost, equal}
	d.s.Data("\nCompared: all %d keys and values are what they were before the accident, leases included.", equal)
	return nil
}
