// Package crypt encrypts and decrypts streams with age.
//
// The nouns:
//
//   - A [Recipient] is what an archive is encrypted to: a public key, X25519
//     (age1…) or hybrid post-quantum (age1pq1…), or a passphrase.
//   - An [Identity] is what opens it again: the secret key, or the passphrase.
//   - A [Writer] takes plaintext and knows how long the ciphertext must be.
//   - [Open] gives plaintext that can be read at random.
//
// Caveats and lifetimes:
//
//   - One kind of recipient per archive. Classic and post-quantum ones do not
//     mix, a passphrase stands alone; [Compatible] says so before any work.
//   - Plugins are never run, SSH keys and armour are not supported.
//   - Open authenticates the header and the last chunk, so the length. Every
//     other chunk is authenticated when it is touched: nothing is known to be
//     whole before it has been read to its end.
//   - age proves that a file is unchanged, not who made it.
//   - No error and no formatted value shows a secret. Errors do not quote what
//     stands in a key file, since anything may stand there.
package crypt

import "errors"

var (
	// ErrKey: a recipient or an identity that cannot be used.
	ErrKey = errors.New("no usable key")
	// ErrNoMatch: the identities are good but none opens this file.
	ErrNoMatch = errors.New("none of the given identities can decrypt this archive")
	// ErrDamaged: the file is cut, changed or extended.
	ErrDamaged = errors.New("the encrypted file is damaged")
	// ErrNotEncrypted: the file does not begin like an age file. It is an
	// [ErrDamaged] too, since the first line may be what was damaged.
	ErrNotEncrypted error = notEncryptedError{}
)

// notEncryptedError is a sentinel that is also an ErrDamaged.
type notEncryptedError struct{}

func (notEncryptedError) Error() string { return "not an age file" }
func (notEncryptedError) Unwrap() error { return ErrDamaged }
