package kubetest

import (
	"bytes"
	"crypto/aes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	storage "k8s.io/apiserver/pkg/storage/value"
	k8saes "k8s.io/apiserver/pkg/storage/value/encrypt/aes"

	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

const sealMark = "k8s:enc:aesgcm:v1:key1:"

// Sealing is what encrypts at rest as an API server does, and decrypts; and an Opener with its
// key.
func Sealing(t testing.TB) (opener *object.Opener, seal, open func(key, value string) string) {
	t.Helper()
	secret := bytes.Repeat([]byte("k"), 32)
	opener, err := object.ParseEncryption(fmt.Appendf(nil, `{"kind":"EncryptionConfiguration","apiVersion":"apiserver.config.k8s.io/v1","resources":[{"resources":["*.*"],
		"providers":[{"aesgcm":{"keys":[{"name":"key1","secret":%q}]}}]}]}`, base64.StdEncoding.EncodeToString(secret)))
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		t.Fatal(err)
	}
	seals, err := k8saes.NewGCMTransformer(block) // which binds a value to its key of etcd
	if err != nil {
		t.Fatal(err)
	}
	seal = func(key, plain string) string {
		value, err := seals.TransformToStorage(t.Context(), []byte(plain), storage.DefaultContext(key))
		if err != nil {
			t.Fatal(err)
		}
		return sealMark + string(value)
	}
	open = func(key, value string) string {
		plain, _, err := seals.TransformFromStorage(t.Context(), []byte(strings.TrimPrefix(value, sealMark)), storage.DefaultContext(key))
		if err != nil || !strings.HasPrefix(value, sealMark) {
			t.Fatalf("%q does not open: %v", value, err)
		}
		return string(plain)
	}
	return opener, seal, open
}
