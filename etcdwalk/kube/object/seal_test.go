package object_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

const sealedFixture, sealedConfig = "registry-1.36-encrypted", "registry-1.36-encrypted.config.yaml"

// TestSealedValuesOpen: all values that the fixture's API server sealed open with its
// configuration; without one key, exactly those under it do not.
func TestSealedValuesOpen(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(fixtures, sealedConfig))
	if err != nil {
		t.Fatal(err)
	}
	entries := entriesOf(t, sealedFixture)
	sealed := map[string]int{}
	for _, e := range entries {
		if seal := object.EncodingOf(e.Value).Seal(); seal != "" {
			sealed[seal]++
		}
	}
	// The database has no value under its third aescbc key any more.
	if diff := cmp.Diff(sealed, map[string]int{"aescbc key cbc32": 107, "aesgcm key gcm16": 85, "secretbox key sb1": 149}); diff != "" {
		t.Fatalf("sealed values (-got +want):\n%s", diff)
	}
	for _, missing := range []string{"none", "cbc32", "gcm16", "sb1"} {
		opener, err := object.ParseEncryption(bytes.ReplaceAll(text, []byte("name: "+missing), []byte("name: other")))
		if err != nil {
			t.Fatal(err)
		}
		closed := map[string]int{}
		for _, e := range entries {
			plain, err := opener.Open(t.Context(), e.Key, e.Value)
			switch {
			case errors.Is(err, object.ErrSealed):
				closed[object.EncodingOf(e.Value).Seal()]++
			case err != nil:
				t.Errorf("%s: %v", e.Key, err)
			case object.EncodingOf(plain).Encrypted(), object.EncodingOf(e.Value) == object.Protobuf && !bytes.Equal(plain, e.Value):
				t.Errorf("%s is %s", e.Key, object.EncodingOf(plain))
			}
		}
		want := map[string]int{}
		for seal, n := range sealed {
			if strings.HasSuffix(seal, " "+missing) {
				want[seal] = n
			}
		}
		if diff := cmp.Diff(closed, want); diff != "" {
			t.Errorf("without %s these stay closed (-got +want):\n%s", missing, diff)
		}
	}
}

// A key of the right name and the wrong bytes opens nothing: aescbc, which authenticates
// nothing, yields rubbish at times.
func TestWrongKeysOpenNothing(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(fixtures, sealedConfig))
	if err != nil {
		t.Fatal(err)
	}
	wrong := strings.NewReplacer("gXv1", "gXv2", "5+Ba", "5+Bb", "1j3a", "1j3b").Replace(string(text))
	opener, err := object.ParseEncryption([]byte(wrong))
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, e := range entriesOf(t, sealedFixture) {
		if !object.EncodingOf(e.Value).Encrypted() {
			continue
		}
		tried++
		if _, err := opener.Open(t.Context(), e.Key, e.Value); !errors.Is(err, object.ErrSealed) || !strings.Contains(err.Error(), "the key does not open it") {
			t.Errorf("%s: %v", e.Key, err)
		}
	}
	if tried != 341 {
		t.Errorf("tried %d values", tried)
	}
}

// A value that is too short for its provider is not opened, and nothing panics.
func TestShortSealedValues(t *testing.T) {
	opener := openerOf(t, sealedConfig)
	for _, seal := range []string{"aescbc:v1:cbc32", "aesgcm:v1:gcm16", "secretbox:v1:sb1"} {
		for n := range 70 {
			value := append([]byte("k8s:enc:"+seal+":"), make([]byte, n)...)
			if _, err := opener.Open(t.Context(), []byte("/k"), value); !errors.Is(err, object.ErrSealed) {
				t.Errorf("%s with %d bytes: %v", seal, n, err)
			}
		}
	}
}

// A value that was put under another key: aesgcm notices.
func TestSwappedValues(t *testing.T) {
	opener := openerOf(t, sealedConfig)
	for _, e := range entriesOf(t, sealedFixture) {
		seal := object.EncodingOf(e.Value).Seal()
		if seal == "" {
			continue
		}
		if _, err := opener.Open(t.Context(), append(e.Key, 'x'), e.Value); errors.Is(err, object.ErrSealed) != strings.HasPrefix(seal, "aesgcm") {
			t.Errorf("%s, by %s: %v", e.Key, seal, err)
		}
	}
}

// The configuration is also found in the archive of OpenShift's cluster-backup.sh.
func TestEncryptionInOpenShiftsBackup(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(fixtures, sealedConfig))
	if err != nil {
		t.Fatal(err)
	}
	packed := func(files map[string][]byte) []byte {
		var out bytes.Buffer
		zipped := gzip.NewWriter(&out)
		w := tar.NewWriter(zipped)
		for name, content := range files {
			if err := errors.Join(w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(len(content))}), second(w.Write(content))); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(w.Close(), zipped.Close()); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	const at = "static-pod-resources/kube-apiserver-pod-7/secrets/encryption-config/encryption-config"
	got, err := object.ParseEncryption(packed(map[string][]byte{at: text, "static-pod-resources/kube-apiserver-pod-7/configmaps/config/config.yaml": []byte("kind: X")}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got.Seals(), openerOf(t, sealedConfig).Seals()); diff != "" {
		t.Error(diff)
	}
	for name, file := range map[string][]byte{
		"no file of it": packed(map[string][]byte{"x": text}), "cut": packed(map[string][]byte{at: text})[:200], "no tar": packed(nil)[:10], "another kind in it": packed(map[string][]byte{at: []byte("kind: X")}),
	} {
		if _, err := object.ParseEncryption(file); !errors.Is(err, object.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is no configuration is refused, and nothing of it repeated.
func TestBadConfigurations(t *testing.T) {
	const head = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources: [{resources: [secrets], providers: ["
	for name, text := range map[string]string{
		"nothing":       "",
		"no YAML":       "{hunter2",
		"another kind":  "apiVersion: v1\nkind: Secret\ndata: {a: hunter2}",
		"no base64":     head + `{aescbc: {keys: [{name: k, secret: "hunter2!"}]}}]}]`,
		"a short key":   head + `{aesgcm: {keys: [{name: k, secret: aHVudGVyMg==}]}}]}]`,
		"a short box":   head + `{secretbox: {keys: [{name: k, secret: aHVudGVyMg==}]}}]}]`,
		"a wrong shape": head + `{secretbox: {keys: hunter2}}]}]`,
	} {
		_, err := object.ParseEncryption([]byte(text))
		if !errors.Is(err, object.ErrConfig) || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "aHVu") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }
