package flags

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// A Reading is the flags of a command that reads objects, wherever they are: in an
// archive, or in the live cluster if none is named.
type Reading struct {
	source     Source
	connection Connection
	from       string
	encryption string
}

// AddFlags adds the flags.
func (f *Reading) AddFlags(c *cobra.Command, s *Settings) {
	f.source.AddFrom(c, &f.from)
	f.source.AddFlags(c.Flags(), s)
	group(c.Flags(), titleKeys, topicKeys, func(own *pflag.FlagSet) {
		own.StringVar(&f.encryption, "encryption-config", "", "`FILE` with the API server's EncryptionConfiguration, to read values encrypted at rest; OpenShift's static_kuberesources_*.tar.gz too")
	})
	f.connection.AddFlags(c.Flags(), s)
}

// A Readable is what the flags name.
type Readable struct {
	etcdwalk.Source
	Name  string
	Close func()
}

// Open opens what the flags name. The layout is that of the selection.
func (f *Reading) Open(ctx context.Context, layout *kube.Layout) (*Readable, error) {
	switch {
	case f.from == "" && f.source.store != "":
		return nil, console.Usagef("--store needs --from, for example --from latest")
	case f.from == "":
		cluster, err := f.connection.Dial(ctx, layout)
		if err != nil {
			return nil, err
		}
		return &Readable{cluster.Source, cluster.Address, cluster.Close}, nil
	}
	a, err := f.source.Open(ctx, f.from, false)
	if err != nil {
		return nil, err
	}
	return &Readable{a.Archive, a.Path, a.Close}, nil
}

// Opener opens values with the configuration that the flags name; nil without one.
func (f *Reading) Opener() (*object.Opener, error) {
	if f.encryption == "" {
		return nil, nil
	}
	file, err := console.OpenSecretFile("encryption configuration", f.encryption, f.source.s.Shell)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read
	text, err := io.ReadAll(io.LimitReader(file, maxEncryption+1))
	if err == nil && len(text) > maxEncryption {
		err = fmt.Errorf("it is longer than %d bytes", maxEncryption)
	}
	if err != nil {
		return nil, console.Configf("read encryption configuration %s: %w", f.encryption, err)
	}
	opener, err := object.ParseEncryption(text)
	if err != nil {
		return nil, console.Configf("read encryption configuration %s: %w", f.encryption, err)
	}
	if len(opener.Seals()) == 0 {
		return nil, console.Configf("read encryption configuration %s: it has no key of aescbc, aesgcm or secretbox; values that a KMS seals cannot be opened", f.encryption)
	}
	return opener, nil
}

// maxEncryption bounds a configuration, or OpenShift's archive with one, in bytes.
const maxEncryption = 16 << 20
