package crypt

import (
	"fmt"
	"strings"
)

// OneOff makes a key pair for a single file, to read it back right after it was
// written: a recipient of the same kind as the others, so that it can stand
// beside them, and its identity, which exists in memory only. Nothing can stand
// beside a passphrase: that is an [ErrKey].
func OneOff(beside ...Recipient) (Recipient, Identity, error) {
	if err := Compatible(beside...); err != nil {
		return Recipient{}, Identity{}, err
	}
	if beside[0].kind == passphrase {
		return Recipient{}, Identity{}, fmt.Errorf("%w: no other key can stand beside a passphrase", ErrKey)
	}
	secret, public, err := Generate(beside[0].kind == hybrid)
	if err != nil {
		return Recipient{}, Identity{}, err
	}
	recipient, err := ParseRecipient(public, "one-off key")
	if err != nil {
		return Recipient{}, Identity{}, err
	}
	identities, err := ParseIdentities(strings.NewReader(secret), "one-off key")
	if err != nil {
		return Recipient{}, Identity{}, err
	}
	return recipient, identities[0], nil
}
