package crypt

import (
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
)

// maxRecipients is how many age itself reads (age: internal/format, 1.3.2). It
// writes more without a word, so that the file could never be opened.
const maxRecipients = 1024

// kind is what must not be mixed among the recipients of one file. Its text
// is for errors.
type kind string

const (
	classic    kind = "an X25519 recipient"
	hybrid     kind = "a post-quantum recipient"
	passphrase kind = "a passphrase"
)

// A Recipient is a public key or a passphrase that a file is encrypted to.
type Recipient struct {
	key    func() age.Recipient // a func, since fmt looks into unexported fields
	kind   kind
	text   string // the public key; empty for a passphrase
	origin string // where it was given, for errors
}

// String is the public key, or the word passphrase.
func (r Recipient) String() string {
	if r.text == "" {
		return "passphrase"
	}
	return r.text
}

// IsPassphrase tells whether it takes a passphrase to open what is encrypted to r.
func (r Recipient) IsPassphrase() bool { return r.kind == passphrase }

// Format prints String whatever the verb, so that no verb shows a passphrase.
func (r Recipient) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

// ParseRecipient parses one public key. Its errors are [ErrKey], begin with
// origin, which says where the key was given, and do not quote s.
func ParseRecipient(s, origin string) (Recipient, error) {
	s = strings.TrimSpace(s)
	var (
		of  kind
		key age.Recipient
		err error
	)
	switch last := strings.LastIndexByte(s, '1'); {
	case isIdentity(s):
		return Recipient{}, keyError(origin, "this is an identity, a secret key; a recipient begins with age1")
	case strings.HasPrefix(s, "ssh-"):
		return Recipient{}, keyError(origin, "SSH keys are not supported; make a key with keygen")
	case !strings.HasPrefix(s, "age1"):
		return Recipient{}, keyError(origin, "unknown type of recipient; one begins with age1")
	case strings.HasPrefix(s, "age1pq1"):
		of = hybrid
		key, err = age.ParseHybridRecipient(s)
	case last > len("age"):
		return Recipient{}, keyError(origin, "a plugin's recipient (age1NAME1…); plugins are not supported")
	default:
		of = classic
		key, err = age.ParseX25519Recipient(s)
	}
	if err != nil { // not wrapped: it quotes the line
		return Recipient{}, keyError(origin, "%s that is mistyped or cut", of)
	}
	return Recipient{func() age.Recipient { return key }, of, s, origin}, nil
}

// ParseRecipients parses a file of public keys, one per line. Empty lines and
// lines that begin with # are skipped, CRLF and a byte order mark tolerated.
// Errors begin with name and the line.
func ParseRecipients(r io.Reader, name string) ([]Recipient, error) {
	var recipients []Recipient
	err := eachLine(r, name, func(line, origin string) error {
		recipient, err := ParseRecipient(line, origin)
		recipients = append(recipients, recipient)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(recipients) == 0 {
		return nil, keyError(name, "holds no recipient")
	}
	if err := Compatible(recipients...); err != nil {
		return nil, err
	}
	return recipients, nil
}

// Compatible says whether one file can be encrypted to all of the recipients:
// there is one, all are of a kind, none comes twice, a passphrase is alone. Its
// errors are [ErrKey].
func Compatible(recipients ...Recipient) error {
	if len(recipients) == 0 {
		return fmt.Errorf("%w: no recipient", ErrKey)
	}
	if len(recipients) > maxRecipients {
		return fmt.Errorf("%w: %d recipients, where %d are the most", ErrKey, len(recipients), maxRecipients)
	}
	seen := make(map[string]string, len(recipients))
	first := recipients[0]
	for _, r := range recipients {
		if r.key == nil {
			return fmt.Errorf("%w: an empty recipient", ErrKey)
		}
		if r.kind != first.kind {
			return keyError(r.origin, "%s does not mix with %s (%s)", r.kind, first.kind, first.origin)
		}
		if before, ok := seen[r.text]; ok {
			if r.kind == passphrase {
				return keyError(r.origin, "only one passphrase can be used")
			}
			return keyError(r.origin, "the same recipient as %s", before)
		}
		seen[r.text] = r.origin
	}
	return nil
}

// ages are the recipients in age's terms.
func ages(recipients []Recipient) []age.Recipient {
	list := make([]age.Recipient, len(recipients))
	for i, r := range recipients {
		list[i] = r.key()
	}
	return list
}
