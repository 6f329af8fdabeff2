package crypt

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"filippo.io/age"
)

// An Identity opens what was encrypted to its recipient. It is a secret: no
// verb of fmt shows it.
type Identity struct {
	key       func() age.Identity // a func, since fmt looks into unexported fields
	recipient func() (Recipient, error)
}

func newIdentity(key age.Identity, recipient func() (Recipient, error)) Identity {
	return Identity{func() age.Identity { return key }, recipient}
}

// RecipientsOf are those that encrypt what the identities open: what one file can be encrypted
// to, so those of the kind of the first, each once.
func RecipientsOf(identities ...Identity) ([]Recipient, error) {
	var all []Recipient
	for _, i := range identities {
		r, err := i.recipient()
		if err != nil {
			return nil, err
		}
		if Compatible(append(slices.Clip(all), r)...) == nil {
			all = append(all, r)
		}
	}
	return all, nil
}

// Format prints the same word whatever the verb.
func (Identity) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redacted]") }

// Generate makes a key pair, as texts: the identity is secret, the recipient
// public.
func Generate(postQuantum bool) (identity, recipient string, err error) {
	if postQuantum {
		i, err := age.GenerateHybridIdentity()
		if err != nil {
			return "", "", fmt.Errorf("make a post-quantum key: %w", err)
		}
		return i.String(), i.Recipient().String(), nil
	}
	i, err := age.GenerateX25519Identity()
	if err != nil {
		return "", "", fmt.Errorf("make an X25519 key: %w", err)
	}
	return i.String(), i.Recipient().String(), nil
}

// ParseIdentities parses a file of secret keys, one per line, with the same
// tolerance as [ParseRecipients]. Errors are [ErrKey], begin with name and the
// line, and show nothing of what the line holds.
func ParseIdentities(r io.Reader, name string) ([]Identity, error) {
	var identities []Identity
	err := eachLine(r, name, func(line, origin string) error {
		identity, err := parseIdentity(line, origin)
		identities = append(identities, identity)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(identities) == 0 {
		return nil, keyError(name, "holds no identity")
	}
	return identities, nil
}

func parseIdentity(s, origin string) (Identity, error) {
	switch {
	case strings.HasPrefix(s, "AGE-SECRET-KEY-PQ-1"):
		if key, err := age.ParseHybridIdentity(s); err == nil {
			return newIdentity(key, func() (Recipient, error) { return ParseRecipient(key.Recipient().String(), origin) }), nil
		}
	case strings.HasPrefix(s, "AGE-SECRET-KEY-1"):
		if key, err := age.ParseX25519Identity(s); err == nil {
			return newIdentity(key, func() (Recipient, error) { return ParseRecipient(key.Recipient().String(), origin) }), nil
		}
	case strings.HasPrefix(s, "AGE-PLUGIN-"):
		return Identity{}, keyError(origin, "a plugin's identity; plugins are not supported")
	case strings.HasPrefix(s, agePrefix), strings.HasPrefix(s, armourLine):
		return Identity{}, keyError(origin, "the identity file is itself encrypted; decrypt it with age -d first")
	case strings.HasPrefix(s, "age1"):
		return Identity{}, keyError(origin, "this is a recipient, a public key; an identity begins with AGE-SECRET-KEY-")
	case strings.HasPrefix(s, "-----BEGIN"):
		return Identity{}, keyError(origin, "SSH and PEM keys are not supported")
	default:
		return Identity{}, keyError(origin, "unknown type of identity; one begins with AGE-SECRET-KEY-")
	}
	return Identity{}, keyError(origin, "an identity that is mistyped or cut") // not wrapped: nothing of the line may come out
}

// isIdentity says whether s looks like a secret key, in whatever case.
func isIdentity(s string) bool {
	s = strings.ToUpper(s)
	return strings.HasPrefix(s, "AGE-SECRET-KEY-") || strings.HasPrefix(s, "AGE-PLUGIN-")
}
