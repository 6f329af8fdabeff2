package cmd

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
	"github.com/kubeferry/kubeferry/scripts/servers/etcdproc"
)

// TestSealedValuesAreToldOf: what the API server encrypted at rest is counted by kind and
// key, by backup and describe, whether or not the archive is encrypted; verify opens every
// value with the right configuration, and names the keys that it lacks.
func TestSealedValuesAreToldOf(t *testing.T) {
	t.Parallel()
	keys := newPair(t)
	server := etcdproc.Start(t, etcdproc.Options{Version: etcdproc.V36, Snapshot: unpack(t, sealedFixture+".db.zst")})
	want := map[string]int64{}
	for _, e := range holdings(t, server.Client(t), 0) {
		if encoding := object.EncodingOf(e.Value); encoding.Encrypted() {
			want[string(encoding)]++
		}
	}
	to := t.TempDir()
	r := must(t, exitDone, "backup", "-v", "--endpoints", server.Endpoint, "--to", to, "-r", keys.recipient)
	r.says(t, "Sealed at rest by the API server: 341 values (", " by aescbc key cbc32, ", "; a restore needs the cluster's EncryptionConfiguration, which is not in the archive.")
	path := strings.TrimSpace(r.stdout)

	must(t, exitDone, "describe", path, "-i", keys.identity).says(t, "Archive encrypted:", "Values sealed at rest:", "341 values (")
	var told struct {
		Result struct{ Sealed []archive.SealedTotal }
	}
	check(t, json.Unmarshal([]byte(must(t, exitDone, "describe", path, "--json", "-i", keys.identity).stdout), &told))
	got := map[string]int64{}
	for _, s := range told.Result.Sealed {
		got[s.Encoding] += s.Keys
	}
	if !maps.Equal(got, want) {
		t.Errorf("sealed are %v, the archive counts %v", want, got)
	}
	must(t, exitDone, "describe", path, "--details", "-i", keys.identity).says(t, "SEALED AT REST BY", "secretbox key")

	config := string(readFile(t, sealedFixture+".config.yaml"))
	must(t, exitDone, "verify", path, "-i", keys.identity, "--encryption-config", secretFile(t, "config", config)).says(t, "341 values sealed at rest opened")
	wrong := secretFile(t, "wrong", strings.ReplaceAll(config, "gXv1", "gXv2"))
	must(t, exitKey, "verify", path, "-i", keys.identity, "--encryption-config", wrong).says(t, "the EncryptionConfiguration does not open what is sealed at rest: ", " by aescbc key cbc32")
	if plain := must(t, exitDone, "verify", path, "-i", keys.identity).stdout; strings.Contains(plain, "opened") {
		t.Errorf("nothing was opened, and it says %s", plain)
	}
}

// sealed encrypts a value as an API server does with aescbc
// (apiserver: pkg/storage/value/encrypt/aes).
func sealed(t *testing.T, key []byte, plain string) string {
	t.Helper()
	block, err := aes.NewCipher(key)
	check(t, err)
	padding := aes.BlockSize - len(plain)%aes.BlockSize
	text := append([]byte(plain), bytes.Repeat([]byte{byte(padding)}, padding)...)
	start := make([]byte, aes.BlockSize)
	_, _ = rand.Read(start) // which never fails
	cipher.NewCBCEncrypter(block, start).CryptBlocks(text, text)
	return "k8s:enc:aescbc:v1:key1:" + string(start) + string(text)
}

// TestASealedIdentityIsRead: a cluster that encrypts everything at rest encrypts what
// identifies it. With the configuration it is known, though each sealing has other bytes.
func TestASealedIdentityIsRead(t *testing.T) {
	t.Parallel()
	keys := newPair(t)
	server := etcdproc.Start(t, etcdproc.Options{})
	client, key := server.Client(t), []byte("0123456789abcdef")
	const plain = `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"kube-system","uid":"11111111-2222-3333-4444-555555555555"}}`
	put := func(key, value string) {
		_, err := client.Put(t.Context(), key, value)
		check(t, err)
	}
	put("/registry/namespaces/kube-system", sealed(t, key, plain))
	put("/registry/configmaps/shop/a", sealed(t, key, `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","namespace":"shop"}}`))
	config := secretFile(t, "config", fmt.Sprintf("kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\nresources: [{resources: ['*.*'], providers: [{aescbc: {keys: [{name: key1, secret: %s}]}}]}]\n",
		base64.StdEncoding.EncodeToString(key)))
	backup := func(more ...string) string {
		return strings.TrimSpace(must(t, exitDone, append([]string{"backup", "--endpoints", server.Endpoint, "--to", t.TempDir(), "-r", keys.recipient, "--cluster", "prod"}, more...)...).stdout)
	}
	blind, seeing := backup(), backup("--encryption-config", config)
	must(t, exitDone, "describe", blind, "-i", keys.identity).says(t, "unreadable (k8s:enc:aescbc:v1:key1)")
	must(t, exitDone, "describe", seeing, "-i", keys.identity).says(t, "11111111-2222-3333-4444-555555555555")

	put("/registry/namespaces/kube-system", sealed(t, key, plain)) // as a rotation of keys does
	for _, archive := range []string{blind, seeing} {
		restore := []string{"restore", "cm", "--endpoints", server.Endpoint, "--from", archive, "-i", keys.identity, "--yes"}
		must(t, exitGuard, restore...)
		must(t, exitDone, append(restore, "--encryption-config", config)...)
	}
	put("/registry/namespaces/kube-system", sealed(t, key, strings.ReplaceAll(plain, "1111", "9999")))
	for _, archive := range []string{blind, seeing} {
		must(t, exitGuard, "restore", "cm", "--endpoints", server.Endpoint, "--from", archive, "-i", keys.identity, "--yes", "--encryption-config", config).says(t, "99999999-")
	}
}
