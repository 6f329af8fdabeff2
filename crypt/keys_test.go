package crypt

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// pair is a generated key pair, as texts.
type pair struct{ identity, recipient string }

func generate(t testing.TB, postQuantum bool) pair {
	t.Helper()
	identity, recipient, err := Generate(postQuantum)
	if err != nil {
		t.Fatal(err)
	}
	return pair{identity, recipient}
}

func (p pair) to(t testing.TB) Recipient {
	t.Helper()
	r, err := ParseRecipient(p.recipient, "test")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (p pair) from(t testing.TB) Identity {
	t.Helper()
	list, err := ParseIdentities(strings.NewReader(p.identity), "test")
	if err != nil {
		t.Fatal(err)
	}
	return list[0]
}

func TestParseRecipients(t *testing.T) {
	a, b := generate(t, false).recipient, generate(t, false).recipient
	pa, pb := generate(t, true).recipient, generate(t, true).recipient
	secret, pqSecret := generate(t, false).identity, generate(t, true).identity
	for _, tc := range []struct {
		name, file string
		want       []string
		err        string // part of the error; empty: none
	}{
		{"takes one", a, []string{a}, ""},
		{"takes post-quantum ones", pa + "\n" + pb + "\n", []string{pa, pb}, ""},
		{"skips comments, empty lines and spaces", "# ops\n\n  " + a + " \n#x\n" + b, []string{a, b}, ""},
		{"takes CRLF and a byte order mark", "\uFEFF" + a + "\r\n" + b + "\r\n", []string{a, b}, ""},
		{"refuses an empty file", "", nil, "keys.txt: no usable key: the file is empty"},
		{"refuses comments only", "# nobody\n\n", nil, "keys.txt: no usable key: holds no recipient"},
		{"refuses only a byte order mark", "\uFEFF", nil, "keys.txt: no usable key: holds no recipient"},
		{"refuses a doubled one", a + "\n" + b + "\n" + a, nil, "keys.txt line 3: no usable key: the same recipient as keys.txt line 1"},
		{"refuses a mixture", a + "\n\n" + pa, nil, "keys.txt line 3: no usable key: a post-quantum recipient does not mix with an X25519 recipient (keys.txt line 1)"},
		{"refuses a plugin's", a + "\nage1yubikey1qdvmq9q9", nil, "keys.txt line 2: no usable key: a plugin's recipient"},
		{"refuses a tagged one", "age1tag1" + a[5:], nil, "keys.txt line 1: no usable key: a plugin's recipient"},
		{"refuses an SSH key", "ssh-ed25519 AAAA me", nil, "SSH keys are not supported"},
		{"refuses an unknown type", "# x\nrsa:12", nil, "keys.txt line 2: no usable key: unknown type"},
		{"refuses a mistyped one", a[:30] + "bb" + a[32:], nil, "mistyped or cut"},
		{"refuses a cut one", pa[:200], nil, "keys.txt line 1: no usable key: a post-quantum recipient that is mistyped or cut"},
		{"refuses two on a line", a + " " + b, nil, "line 1"},
		{"refuses an identity", a + "\n" + secret, nil, "keys.txt line 2: no usable key: this is an identity"},
		{"refuses a post-quantum identity", pqSecret, nil, "this is an identity"},
		{"refuses an identity in lower case", strings.ToLower(secret), nil, "this is an identity"},
		{"refuses what is not text", "age1\xff\xfe", nil, "keys.txt line 1: no usable key: not text"},
		{"refuses a huge file", strings.Repeat("# x\n", 1<<18) + a, nil, "larger than 1 MiB"},
		{"refuses a huge line", strings.Repeat("age1", 1000), nil, "line 1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			list, err := ParseRecipients(strings.NewReader(tc.file), "keys.txt")
			checkKeyError(t, err, tc.err, tc.file)
			var got []string
			for _, r := range list {
				got = append(got, r.String())
			}
			if diff := cmp.Diff(got, tc.want); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseIdentities(t *testing.T) {
	a, p := generate(t, false), generate(t, true)
	for _, tc := range []struct {
		name, file string
		want       int
		err        string
	}{
		{"takes one", a.identity, 1, ""},
		{"takes both kinds", "# created\n" + a.identity + "\r\n\n" + p.identity + "\n", 2, ""},
		{"takes a byte order mark", "\uFEFF" + a.identity, 1, ""},
		{"refuses an empty file", "", 0, "id.txt: no usable key: the file is empty"},
		{"refuses comments only", "#\n", 0, "id.txt: no usable key: holds no identity"},
		{"refuses a plugin's", "AGE-PLUGIN-YUBIKEY-1QQQQ", 0, "id.txt line 1: no usable key: a plugin's identity"},
		{"refuses a recipient", "\n" + a.recipient, 0, "id.txt line 2: no usable key: this is a recipient"},
		{"refuses an encrypted file", intro + "-> scrypt x 18\n", 0, "decrypt it with age -d first"},
		{"refuses an armoured file", armourLine + "\nYWdl\n", 0, "decrypt it with age -d first"},
		{"refuses an SSH key", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl", 0, "SSH and PEM keys"},
		{"refuses a mistyped one", a.identity[:30] + "BB" + a.identity[32:], 0, "id.txt line 1: no usable key: an identity that is mistyped or cut"},
		{"refuses a cut one", a.identity + "\n" + p.identity[:50], 0, "id.txt line 2: no usable key: an identity that is mistyped or cut"},
		{"refuses an unknown type", "hunter2", 0, "unknown type of identity"},
		{"refuses a huge file", strings.Repeat("#\n", 1<<20), 0, "larger than 1 MiB"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			list, err := ParseIdentities(strings.NewReader(tc.file), "id.txt")
			checkKeyError(t, err, tc.err, tc.file)
			if got := len(list); got != tc.want {
				t.Errorf("got %d identities, want %d", got, tc.want)
			}
		})
	}
}

// checkKeyError wants an ErrKey that contains text and quotes nothing of the
// file that is longer than a word.
func checkKeyError(t *testing.T, err error, text, file string) {
	t.Helper()
	if text == "" {
		if err != nil {
			t.Fatalf("got error %v, want none", err)
		}
		return
	}
	if !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), text) {
		t.Errorf("got error %v, want an ErrKey with %q", err, text)
	}
	assertQuotesNothing(t, err, file)
}

func assertQuotesNothing(t testing.TB, err error, file string) {
	t.Helper()
	for word := range strings.FieldsSeq(file) {
		for ; len(word) > 24; word = word[8:] {
			if strings.Contains(err.Error(), word[:24]) {
				t.Fatalf("error %q quotes the file", err)
			}
		}
	}
}

func TestKeyFilesReportReadErrors(t *testing.T) {
	broken := errors.New("disk on fire")
	if _, err := ParseRecipients(iotest.ErrReader(broken), "f"); !errors.Is(err, broken) || errors.Is(err, ErrKey) {
		t.Errorf("recipients: got %v, want the reader's error alone", err)
	}
	if _, err := ParseIdentities(iotest.ErrReader(broken), "f"); !errors.Is(err, broken) || errors.Is(err, ErrKey) {
		t.Errorf("identities: got %v, want the reader's error alone", err)
	}
}

func TestCompatible(t *testing.T) {
	a, p := generate(t, false).to(t), generate(t, true).to(t)
	pass := passphraseRecipient(t, "one")
	many := make([]Recipient, maxRecipients+1)
	for _, tc := range []struct {
		name string
		list []Recipient
		err  string
	}{
		{"refuses none", nil, "no recipient"},
		{"refuses an empty value", []Recipient{{}}, "empty recipient"},
		{"refuses more than age reads", many, "1025 recipients"},
		{"refuses a mixture", []Recipient{p, a}, "does not mix"},
		{"refuses a passphrase beside a key", []Recipient{a, pass}, "a passphrase does not mix with an X25519 recipient"},
		{"refuses two passphrases", []Recipient{pass, passphraseRecipient(t, "two")}, "only one passphrase"},
		{"refuses a doubled key", []Recipient{a, a}, "the same recipient"},
		{"takes a passphrase alone", []Recipient{pass}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			checkKeyError(t, Compatible(tc.list...), tc.err, "")
			if tc.err == "" {
				return
			}
			if _, err := Encrypt(failOnWrite{t}, tc.list...); !errors.Is(err, ErrKey) {
				t.Errorf("Encrypt: got %v, want ErrKey", err)
			}
		})
	}
}

// failOnWrite is a writer that must stay untouched.
type failOnWrite struct{ t *testing.T }

func (f failOnWrite) Write(p []byte) (int, error) {
	f.t.Error("written to")
	return len(p), nil
}

func TestSecretsAreNotFormatted(t *testing.T) {
	const secret = "correct horse battery"
	p := generate(t, false)
	id, err := PassphraseIdentity(secret, Work)
	if err != nil {
		t.Fatal(err)
	}
	nested := struct {
		Open   []Identity
		closed Identity
		To     Recipient
		to     []Recipient
	}{[]Identity{id, p.from(t)}, id, passphraseRecipient(t, secret), []Recipient{passphraseRecipient(t, secret)}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		got := fmt.Sprintf(verb, nested)
		raw := []string{secret, fmt.Sprintf("%x", secret), fmt.Sprint([]byte(secret)), strings.Trim(fmt.Sprint([]byte(secret)), "[]"), p.identity}
		for _, s := range raw {
			if strings.Contains(got, s) {
				t.Errorf("%s shows a secret: %s", verb, got)
			}
		}
	}
	if got, want := fmt.Sprintf("%v %#v", id, id), "[redacted] [redacted]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPassphraseRefuses(t *testing.T) {
	_, emptyTo := PassphraseRecipient("", Work)
	_, emptyFrom := PassphraseIdentity("", Work)
	_, low := PassphraseRecipient("x", 0)
	_, high := PassphraseRecipient("x", MaxWorkInteractive+1)
	_, highFrom := PassphraseIdentity("x", 31)
	for i, err := range []error{emptyTo, emptyFrom, low, high, highFrom} {
		if !errors.Is(err, ErrKey) {
			t.Errorf("case %d: got %v, want ErrKey", i, err)
		}
	}
}

func passphraseRecipient(t testing.TB, secret string) Recipient {
	t.Helper()
	r, err := PassphraseRecipient(secret, 5)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
