package flags

import (
	"fmt"
	"io"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// opener opens values with the configuration that the flag names; nil without one.
func (f *Selecting) opener() (*object.Opener, error) {
	if f.encryption == "" {
		return nil, nil
	}
	file, err := console.OpenSecretFile("encryption configuration", f.encryption, f.s.Shell)
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
