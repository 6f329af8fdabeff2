package crypt

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// The fixed keys of the fuzz corpus; they protect nothing.
const (
	fuzzRecipient = "age1ydx4a96ljnqckh95npdl2vst6e3w908nsv3pja26djh5a8ftjynswk6nvr"
	fuzzIdentity  = "AGE-SECRET-KEY-1TZ8JR9JMKXM4ULMFZU68PP6R9H26TJXL92XE43Q492YAS8NFWQTQ5MHAP6"
)

func FuzzParseRecipients(f *testing.F) {
	pq := generate(f, true)
	for _, s := range []string{"", "#\n", fuzzRecipient, pq.recipient, "\uFEFF" + fuzzRecipient + "\r\n#x\r\n",
		fuzzIdentity, "age1yubikey1qq", "ssh-ed25519 A", fuzzRecipient + "\n" + pq.recipient} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := ParseRecipients(bytes.NewReader(data), "f")
		if err != nil {
			checkFuzzedError(t, err, data)
			return
		}
		// What was taken can be encrypted to, and comes back as it was given.
		if _, err := Encrypt(io.Discard, list...); err != nil && !strings.Contains(err.Error(), "wrap") {
			t.Errorf("taken, but: %v", err)
		}
		for _, r := range list {
			if !bytes.Contains(data, []byte(r.String())) {
				t.Errorf("%s is not in the file", r)
			}
		}
	})
}

func FuzzParseIdentities(f *testing.F) {
	pq := generate(f, true)
	for _, s := range []string{"", "#\n", fuzzIdentity, pq.identity, "\uFEFF" + fuzzIdentity + "\r\n#x\r\n",
		fuzzRecipient, "AGE-PLUGIN-X-1QQ", intro, armourLine, "-----BEGIN X"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := ParseIdentities(bytes.NewReader(data), "f")
		if err != nil {
			checkFuzzedError(t, err, data)
		} else if len(list) == 0 {
			t.Error("no identity and no error")
		}
	})
}

func checkFuzzedError(t *testing.T, err error, data []byte) {
	t.Helper()
	if !errors.Is(err, ErrKey) {
		t.Errorf("got %v, want ErrKey", err)
	}
	for word := range bytes.FieldsSeq(data) {
		if len(word) > 40 && strings.Contains(err.Error(), string(word)) {
			t.Errorf("error %q quotes the file", err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	from, err := ParseIdentities(strings.NewReader(fuzzIdentity), "f")
	if err != nil {
		f.Fatal(err)
	}
	pass, err := PassphraseIdentity("secret", 6)
	if err != nil {
		f.Fatal(err)
	}
	to, err := ParseRecipient(fuzzRecipient, "f")
	if err != nil {
		f.Fatal(err)
	}
	if _, err := decrypt(encrypt(f, nil, to), from...); err != nil {
		f.Fatal("the keys are no pair:", err)
	}
	pq := generate(f, true).to(f)
	for _, seed := range [][]byte{
		nil, []byte(intro), []byte(armourLine), encrypt(f, nil, to), encrypt(f, []byte("hello"), to),
		encrypt(f, noise(chunkSize+1), to), encrypt(f, []byte("x"), pq), encrypt(f, []byte("x"), passphraseRecipient(f, "secret")),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		plain, err := decrypt(data, append(from, pass)...)
		if err != nil {
			if !errors.Is(err, ErrNoMatch) && !errors.Is(err, ErrDamaged) {
				t.Errorf("got %v, want ErrNoMatch or ErrDamaged", err)
			}
			return
		}
		if len(plain) >= len(data) {
			t.Errorf("%d bytes of plaintext from %d", len(plain), len(data))
		}
	})
}
