package object_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// FuzzParseEncryption: what is given as an EncryptionConfiguration is a file of somebody's.
// Its keys, right or wrong, are in no error.
func FuzzParseEncryption(f *testing.F) {
	config, err := os.ReadFile(fixtures + "/registry-1.36-encrypted.config.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(config)
	f.Add(bytes.ReplaceAll(config, []byte("="), []byte("?")))
	f.Add([]byte("kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\nresources: [{providers: [{kms: {name: x}}]}]"))
	f.Add([]byte("a: &a [*a]"))
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(make([]byte, 10_240)); err != nil {
		f.Fatal(err)
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(packed.Bytes())
	f.Fuzz(func(t *testing.T, file []byte) {
		opener, err := object.ParseEncryption(file)
		if err != nil {
			if !errors.Is(err, object.ErrConfig) || len(err.Error()) > 500 {
				t.Errorf("%d bytes: %v", len(file), err)
			}
			return
		}
		for _, seal := range opener.Seals() {
			value := "k8s:enc:" + strings.Replace(seal, " key ", ":v1:", 1) + ":" + string(file)
			if _, err := opener.Open(t.Context(), []byte("/registry/secrets/a/b"), []byte(value)); err != nil && !errors.Is(err, object.ErrSealed) {
				t.Error(err)
			}
		}
	})
}

// FuzzSelectors: label and field selectors are typed, or come from an archive's header.
func FuzzSelectors(f *testing.F) {
	for _, text := range []string{"app=web", "app in (a,b),!c,d notin (e)", "a=b=c", "((((", "metadata.name=a,metadata.namespace!=b", "x>5", strings.Repeat("a,", 1000)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if l, err := object.ParseLabels(text); err == nil {
			l.Match(object.Meta{Labels: map[string]string{"app": "web", text: text}})
			if again, err := object.ParseLabels(l.String()); err != nil || again.String() != l.String() {
				t.Errorf("%q is written as %q, which is read as %q, %v", text, l, again, err)
			}
		}
		if s, err := object.ParseFields(text); err == nil {
			s.Match(text, "a")
			if again, err := object.ParseFields(s.String()); err != nil || again.String() != s.String() {
				t.Errorf("%q is written as %q, which is read as %q, %v", text, s, again, err)
			}
		}
	})
}

// FuzzPaths: jsonpath of users, and of the definitions that are in an archive.
func FuzzPaths(f *testing.F) {
	for _, text := range []string{".metadata.name", "{.spec.containers[*].image}", "{range .items[*]}{.a}{end}", "{.a[?(@.b==\"c\")]}", "{.a[-1:0:-1]}", "{..}", "{..*}", "[", "{.a[0:99999999999]}"} {
		f.Add(text)
	}
	o, err := object.Decode([]byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","labels":{"b":"c"}},"spec":{"containers":[{"name":"c","image":"d"},{"name":"e"}]}}`))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(_ *testing.T, text string) {
		if p, err := object.ParsePath(text); err == nil {
			_, _ = p.Cell(o)
			p.Key(o)
		}
		if p, err := object.ParseTemplate(text); err == nil {
			_, _ = p.Text(true, o)
			_, _ = p.Text(false, o, o)
		}
	})
}
