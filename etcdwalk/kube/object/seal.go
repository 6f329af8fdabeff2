package object

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/aes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	configv1 "k8s.io/apiserver/pkg/apis/apiserver/v1"
	storage "k8s.io/apiserver/pkg/storage/value"
	k8saes "k8s.io/apiserver/pkg/storage/value/encrypt/aes"
	"k8s.io/apiserver/pkg/storage/value/encrypt/secretbox"
	"sigs.k8s.io/yaml"
)

var (
	// ErrConfig: what is given as an EncryptionConfiguration is none, or has a key that
	// cannot be one. The error repeats nothing of it.
	ErrConfig = errors.New("no EncryptionConfiguration")
	// ErrSealed: a value that is encrypted at rest and that no key at hand opens.
	ErrSealed = errors.New("sealed at rest")
)

// An Opener opens values that are encrypted at rest, with the keys of the API server's
// EncryptionConfiguration. The nil Opener has no keys.
type Opener struct {
	keys map[Encoding][]storage.Transformer // by provider and key name
}

// Bounds of what is read as a configuration. A Secret, in which OpenShift keeps it, has
// a MiB at most.
const (
	maxConfig  = 1 << 20
	maxTar     = 64 << 20
	configName = "encryption-config"
)

// ParseEncryption reads the configuration file of an API server, or the archive of
// OpenShift's cluster-backup.sh that holds it (static_kuberesources_*.tar.gz, with a
// file for each revision of the API server).
func ParseEncryption(file []byte) (*Opener, error) {
	o := &Opener{keys: map[Encoding][]storage.Transformer{}}
	if !bytes.HasPrefix(file, []byte("\x1f\x8b")) {
		return o, o.addFile(file)
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("%w: no gzip", ErrConfig)
	}
	files := tar.NewReader(io.LimitReader(unpacked, maxTar))
	found := 0
	for {
		header, err := files.Next()
		switch {
		case errors.Is(err, io.EOF) && found > 0:
			return o, nil
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("%w: the archive has no file named %s", ErrConfig, configName)
		case err != nil:
			return nil, fmt.Errorf("%w: no tar in the gzip", ErrConfig)
		}
		if path.Base(header.Name) != configName || header.Typeflag != tar.TypeReg {
			continue
		}
		text, err := io.ReadAll(io.LimitReader(files, maxConfig+1))
		if err != nil {
			return nil, fmt.Errorf("%w: %s in the archive breaks off", ErrConfig, configName)
		}
		if err := o.addFile(text); err != nil {
			return nil, err
		}
		found++
	}
}

// addFile takes the keys of one configuration.
func (o *Opener) addFile(text []byte) error {
	if len(text) > maxConfig {
		return fmt.Errorf("%w: it is longer than %d bytes", ErrConfig, maxConfig)
	}
	var config configv1.EncryptionConfiguration
	if yaml.Unmarshal(text, &config) != nil {
		return fmt.Errorf("%w: no YAML of one", ErrConfig)
	}
	if config.Kind != "EncryptionConfiguration" || !strings.HasPrefix(config.APIVersion, "apiserver.config.k8s.io/") {
		return fmt.Errorf("%w: its kind is not EncryptionConfiguration of apiserver.config.k8s.io", ErrConfig)
	}
	for _, r := range config.Resources {
		for _, p := range r.Providers {
			if err := o.addProvider(p); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o *Opener) addProvider(p configv1.ProviderConfiguration) error {
	if p.AESCBC != nil {
		if err := o.addKeys("aescbc", p.AESCBC.Keys); err != nil {
			return err
		}
	}
	if p.AESGCM != nil {
		if err := o.addKeys("aesgcm", p.AESGCM.Keys); err != nil {
			return err
		}
	}
	if p.Secretbox == nil {
		return nil // identity, or a KMS, whose keys are elsewhere
	}
	return o.addKeys("secretbox", p.Secretbox.Keys)
}

func (o *Opener) addKeys(provider string, keys []configv1.Key) error {
	for _, k := range keys {
		opens, err := newTransformer(provider, k.Secret)
		if err != nil {
			return fmt.Errorf("%w: key %.40q of %s: %w", ErrConfig, k.Name, provider, err)
		}
		id := Encoding(sealedMagic + provider + ":v1:" + k.Name)
		o.keys[id] = append(o.keys[id], opens)
	}
	return nil
}

// newTransformer makes what a kube-apiserver would make of a key
// (apiserver: pkg/server/options/encryptionconfig/config.go).
func newTransformer(provider, secret string) (storage.Transformer, error) {
	key, err := base64.StdEncoding.DecodeString(secret)
	if err != nil {
		return nil, errors.New("its secret is no base64")
	}
	if provider == "secretbox" {
		if len(key) != 32 {
			return nil, fmt.Errorf("its secret has %d bytes, not 32", len(key))
		}
		return secretbox.NewSecretboxTransformer([32]byte(key)), nil
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("its secret has %d bytes, not 16, 24 or 32", len(key))
	}
	if provider == "aescbc" {
		return k8saes.NewCBCTransformer(block), nil
	}
	return k8saes.NewGCMTransformer(block)
}

// Open returns the value as it was before it was encrypted at rest; one that was not is
// returned as it is. key is the one in etcd, which some providers bind the value to.
// What no key opens is an [ErrSealed].
func (o *Opener) Open(ctx context.Context, key, value []byte) ([]byte, error) {
	plain, _, err := o.open(ctx, key, value)
	return plain, err
}

// open tells beside the value what has opened it; nil if it was not sealed.
func (o *Opener) open(ctx context.Context, key, value []byte) (plain []byte, by storage.Transformer, err error) {
	encoding := encodingByMark(value)
	if !encoding.Encrypted() {
		return value, nil, nil
	}
	if o == nil || len(o.keys[encoding]) == 0 {
		return nil, nil, fmt.Errorf("%w by %s: there is no such key", ErrSealed, encoding.Seal())
	}
	sealed := value[len(encoding)+1:]
	for _, opens := range o.keys[encoding] {
		// aescbc does not authenticate: with a wrong key it may make bytes of it.
		plain, err := transform(ctx, opens, key, sealed)
		if err == nil && EncodingOf(plain) != Opaque {
			return plain, opens, nil
		}
	}
	return nil, nil, fmt.Errorf("%w by %s: the key does not open it", ErrSealed, encoding.Seal())
}

// edit is a value with a change to what was stored before it was encrypted at rest. It is
// encrypted again by what had done it, under the same key of etcd; without a change it is the
// very same value.
func (o *Opener) edit(ctx context.Context, key, value []byte, change func(plain []byte) ([]byte, error)) ([]byte, error) {
	plain, by, err := o.open(ctx, key, value)
	if err != nil {
		return nil, err
	}
	made, err := change(plain)
	if err != nil || by == nil {
		return made, err
	}
	if bytes.Equal(made, plain) {
		return value, nil
	}
	sealed, err := by.TransformToStorage(ctx, made, storage.DefaultContext(key))
	if err != nil {
		return nil, errors.New("it cannot be encrypted again")
	}
	return slices.Concat([]byte(encodingByMark(value)), []byte(":"), sealed), nil
}

// Decode opens a value and decodes it: see [Opener.Open] and [Decode] for its errors.
func (o *Opener) Decode(ctx context.Context, key, value []byte) (*Object, error) {
	plain, err := o.Open(ctx, key, value)
	if err != nil {
		return nil, err
	}
	return Decode(plain)
}

// Read opens a value and reads its metadata: see [Opener.Open] and [Read] for its errors.
func (o *Opener) Read(ctx context.Context, key, value []byte) (Meta, error) {
	plain, err := o.Open(ctx, key, value)
	if err != nil {
		return Meta{}, err
	}
	_, m, err := Read(plain)
	return m, err
}

// transform opens a value. A provider may panic on one that is too short: aescbc does on
// a single block.
func transform(ctx context.Context, opens storage.Transformer, key, sealed []byte) (plain []byte, err error) {
	defer func() {
		if recover() != nil {
			plain, err = nil, errors.New("the provider gave up")
		}
	}()
	plain, _, err = opens.TransformFromStorage(ctx, sealed, storage.DefaultContext(key))
	return plain, err
}

// Seals are the providers and key names that the Opener has keys of.
func (o *Opener) Seals() []string {
	var names []string
	for encoding := range o.keys {
		names = append(names, encoding.Seal())
	}
	slices.Sort(names)
	return names
}
