package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/flags"
	"github.com/kubeferry/kubeferry/crypt"
)

type keygenOptions struct {
	s *flags.Settings

	out         string
	postQuantum bool
	here        bool
	root        string
}

func newKeygen(s *flags.Settings) *cobra.Command {
	o := &keygenOptions{s: s}
	c := &cobra.Command{
		Use:   "keygen --out FILE",
		Short: "Generate a key pair for encryption",
		Long: `Generates an age key pair. The identity, which decrypts archives, is written to
FILE with mode 0600; the recipient, which can only encrypt, is printed, for
backup -r.

Keep the identity off the machines that make backups, so that nobody who breaks
into one of them can read older archives.`,
		Annotations: ends(exitNotFound, exitDenied, exitConflict),
		Example:     `  kubeferry keygen --out kubeferry.identity`,
		Args:        noWords,
		RunE:        func(*cobra.Command, []string) error { return o.run() },
	}
	set := c.Flags()
	set.StringVar(&o.out, "out", "", "`FILE` for the identity; it must not exist")
	set.BoolVar(&o.postQuantum, "post-quantum", false, "generate a hybrid post-quantum pair (needs age 1.3 or newer)")
	set.BoolVar(&o.here, "here", false, "allow it on a control-plane node")
	set.StringVar(&o.root, "root", "/", "`FOLDER` in which the control plane's files are looked for")
	return c
}

type keygenResult struct {
	IdentityFile string `json:"identity_file"`
	Recipient    string `json:"recipient"`
}

func (o *keygenOptions) run() error {
	if o.out == "" {
		return console.Usagef("--out is missing: name a file for the identity, on another machine than the backed-up one")
	}
	if sign, ok := o.controlPlane(); ok && !o.here {
		return console.Usagef("this looks like a control-plane node (%s): make the key on another machine, so that a break-in here cannot read old archives; --here does it all the same", sign)
	}
	identity, recipient, err := crypt.Generate(o.postQuantum)
	if err != nil {
		return fmt.Errorf("make a key pair: %w", err)
	}
	if err := writeIdentity(o.out, o.s.Now(), identity, recipient); err != nil {
		return err
	}
	o.s.Result = keygenResult{o.out, recipient}
	o.s.Data("%s", recipient)
	o.s.Talk("The identity is in %s: keep it safe and off the machines that make backups.\nNext, on one of those: kubeferry backup -r %s --to DIR", o.out, recipient)
	return nil
}

// controlPlane tells by which file this machine looks like a control-plane node.
func (o *keygenOptions) controlPlane() (sign string, ok bool) {
	for _, sign := range []string{
		"etc/kubernetes/manifests/kube-apiserver.yaml", "etc/kubernetes/manifests/etcd.yaml",
		"var/lib/rancher/k3s/server/tls", "var/lib/rancher/rke2/server/tls", "var/lib/k0s/pki",
	} {
		path := filepath.Join(o.root, sign)
		if _, err := os.Stat(path); err == nil {
			return path, true
		}
	}
	return "", false
}

// writeIdentity writes an identity file as age-keygen does, for its owner only.
func writeIdentity(path string, now time.Time, identity, recipient string) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("create identity file %s: %w; an identity is never overwritten, archives may need it", path, console.Cause(err))
	}
	if err != nil {
		return fmt.Errorf("create identity file %s: %w", path, console.Cause(err))
	}
	_, err = fmt.Fprintf(f, "# created: %s\n# public key: %s\n%s\n", now.Format(time.RFC3339), recipient, identity)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return fmt.Errorf("write identity file %s: %w", path, errors.Join(err, os.Remove(path)))
	}
	return nil
}
