package crypt

import (
	"errors"
	"fmt"
	"strconv"

	"filippo.io/age"
)

// Work factors of scrypt, as powers of two. The work doubles with each step,
// and so does the memory: 2^18 takes 256 MiB and about a second, 2^20 1 GiB.
const (
	// Work is what a new file costs.
	Work = 18
	// MaxWorkBatch and MaxWorkInteractive are what a file that is opened may
	// cost, without and with somebody who waits for it.
	MaxWorkBatch       = 20
	MaxWorkInteractive = 22
)

// errWork is what an identity answers to a file that costs too much.
var errWork = errors.New("its passphrase costs too much work")

// PassphraseRecipient is a recipient for those who know the passphrase. The
// work is a power of two from 1 to 22: [Work], or less in tests.
func PassphraseRecipient(secret string, work int) (Recipient, error) {
	key, err := age.NewScryptRecipient(secret)
	if err != nil {
		return Recipient{}, fmt.Errorf("%w: the passphrase is empty", ErrKey)
	}
	if err := checkWork(work); err != nil {
		return Recipient{}, err
	}
	key.SetWorkFactor(work)
	return Recipient{func() age.Recipient { return key }, passphrase, "", "passphrase"}, nil
}

// PassphraseIdentity opens what was encrypted to the passphrase, unless that
// costs more than maxWork; then Open answers [ErrNoMatch] at once.
func PassphraseIdentity(secret string, maxWork int) (Identity, error) {
	key, err := age.NewScryptIdentity(secret)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: the passphrase is empty", ErrKey)
	}
	if err := checkWork(maxWork); err != nil {
		return Identity{}, err
	}
	key.SetMaxWorkFactor(maxWork)
	return newIdentity(&passphraseIdentity{key, maxWork}, func() (Recipient, error) { return PassphraseRecipient(secret, min(maxWork, Work)) }), nil
}

// checkWork keeps out what age would panic at, and what Open would refuse.
func checkWork(work int) error {
	if work < 1 || work > MaxWorkInteractive {
		return fmt.Errorf("%w: work factor %d is not in 1 to %d", ErrKey, work, MaxWorkInteractive)
	}
	return nil
}

// passphraseIdentity refuses a file above the cap with an error of ours: age
// has no type for its own.
type passphraseIdentity struct {
	*age.ScryptIdentity
	maxWork int
}

var _ age.Identity = (*passphraseIdentity)(nil)

func (p *passphraseIdentity) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	if len(stanzas) == 1 && stanzas[0].Type == scryptStanza && len(stanzas[0].Args) == 2 {
		// What is not a number is left to age to refuse.
		if work, err := strconv.Atoi(stanzas[0].Args[1]); err == nil && work > p.maxWork {
			return nil, fmt.Errorf("%w: factor %d, where %d is the most", errWork, work, p.maxWork)
		}
	}
	return p.ScryptIdentity.Unwrap(stanzas)
}
