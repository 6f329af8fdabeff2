package crypt_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/crypt"
)

// What is encrypted for the recipients of identities, these open.
func TestRecipientsOfIdentities(t *testing.T) {
	identity := func(postQuantum bool) crypt.Identity {
		secret, _, err := crypt.Generate(postQuantum)
		if err != nil {
			t.Fatal(err)
		}
		ids, err := crypt.ParseIdentities(strings.NewReader(secret), "a file")
		if err != nil {
			t.Fatal(err)
		}
		return ids[0]
	}
	passphrase, err := crypt.PassphraseIdentity("correct horse", 10)
	if err != nil {
		t.Fatal(err)
	}
	classic, hybrid := identity(false), identity(true)
	for name, tt := range map[string]struct {
		of   []crypt.Identity
		want int
		not  []crypt.Identity // which do not open it
	}{
		"one":                       {[]crypt.Identity{classic}, 1, []crypt.Identity{hybrid, passphrase}},
		"two":                       {[]crypt.Identity{classic, identity(false)}, 2, nil},
		"one twice":                 {[]crypt.Identity{classic, classic}, 1, nil},
		"of several kinds":          {[]crypt.Identity{hybrid, classic}, 1, []crypt.Identity{classic}},
		"a passphrase":              {[]crypt.Identity{passphrase}, 1, []crypt.Identity{classic}},
		"a passphrase, and another": {[]crypt.Identity{passphrase, classic}, 1, []crypt.Identity{classic}},
	} {
		t.Run(name, func(t *testing.T) {
			recipients, err := crypt.RecipientsOf(tt.of...)
			if err != nil || len(recipients) != tt.want {
				t.Fatalf("%v, %v", recipients, err)
			}
			var sealed bytes.Buffer
			w, err := crypt.Encrypt(&sealed, recipients...)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(w, "secret"); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			in := bytes.NewReader(sealed.Bytes())
			plain, size, err := crypt.Open(in, in.Size(), tt.of[0])
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(io.NewSectionReader(plain, 0, size)); err != nil || string(got) != "secret" {
				t.Errorf("%q, %v", got, err)
			}
			for _, other := range tt.not {
				if _, _, err := crypt.Open(in, in.Size(), other); err == nil {
					t.Error("another identity opens it")
				}
			}
		})
	}
	if none, err := crypt.RecipientsOf(); len(none) != 0 || err != nil {
		t.Error(none, err)
	}
}
