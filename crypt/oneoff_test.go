package crypt

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

func TestAOneOffKeyOpensItsFileBesideTheOthers(t *testing.T) {
	for _, postQuantum := range []bool{false, true} {
		_, public, err := Generate(postQuantum)
		if err != nil {
			t.Fatal(err)
		}
		operator, err := ParseRecipient(public, "test")
		if err != nil {
			t.Fatal(err)
		}
		recipient, identity, err := OneOff(operator)
		if err != nil {
			t.Fatal(err)
		}
		var file bytes.Buffer
		w, err := Encrypt(&file, operator, recipient)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, "state"); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		plain, size, err := Open(bytes.NewReader(file.Bytes()), int64(file.Len()), identity)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(io.NewSectionReader(plain, 0, size))
		if err != nil || string(got) != "state" {
			t.Errorf("post-quantum %v: got %q, %v, want %q", postQuantum, got, err, "state")
		}
	}
}

func TestNoOneOffKeyStandsBesideAPassphrase(t *testing.T) {
	r, err := PassphraseRecipient("correct horse", 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := OneOff(r); !errors.Is(err, ErrKey) {
		t.Errorf("got %v, want %v", err, ErrKey)
	}
	if _, _, err := OneOff(); !errors.Is(err, ErrKey) {
		t.Errorf("no recipient: got %v, want %v", err, ErrKey)
	}
}
