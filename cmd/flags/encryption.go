package flags

import (
	"fmt"
	"io"

	"github.com/spf13/pflag"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// An Encryption is the flag that names the configuration with which an API server
// encrypts values at rest.
type Encryption struct {
	s    *Settings
	file string
}

// AddFlags adds the flag, which says what it is there for.
func (f *Encryption) AddFlags(flags *pflag.FlagSet, s *Settings, purpose string) {
	f.s = s
	flags.StringVar(&f.file, "encryption-config", "", "`FILE` with the API server's EncryptionConfiguration, "+purpose+"; OpenShift's static_kuberesources_*.tar.gz too")
}

// Opener opens values with the configuration; nil without one.
func (f *Encryption) Opener() (*object.Opener, error) {
	if f.file == "" {
		return nil, nil
	}
	file, err := console.OpenSecretFile("encryption configuration", f.file, f.s.Shell)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read
	text, err := io.ReadAll(io.LimitReader(file, maxEncryption+1))
	if err == nil && len(text) > maxEncryption {
		err = fmt.Errorf("it is longer than %d bytes", maxEncryption)
	}
	if err != nil {
		return nil, console.Configf("read encryption configuration %s: %w", f.file, err)
	}
	opener, err := object.ParseEncryption(text)
	if err != nil {
		return nil, console.Configf("read encryption configuration %s: %w", f.file, err)
	}
	if len(opener.Seals()) == 0 {
		return nil, console.Configf("read encryption configuration %s: it has no key of aescbc, aesgcm or secretbox; values that a KMS seals cannot be opened", f.file)
	}
	return opener, nil
}

// maxEncryption bounds a configuration, or OpenShift's archive with one, in bytes.
const maxEncryption = 16 << 20
