package s3

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/kubeferry/kubeferry/remote"
)

// AtHand is the store for objects that must be readable at any time: what is created
// through it is of the bucket's own storage class, whatever the others are.
func (s *Store) AtHand() remote.Store { return atHand{s} }

type atHand struct{ *Store }

// Create begins an object that will lie at hand.
func (h atHand) Create(ctx context.Context, name string) (remote.Upload, error) {
	return h.create(ctx, name, "")
}

// IsCold tells whether objects of a storage class cannot be read at once, by its name.
func IsCold(class string) bool { return class == "GLACIER" || class == "DEEP_ARCHIVE" }

// confirm looks at an object that cannot be read back: its size, and its checksum if the
// store tells one.
func (u *upload) confirm(whole sums) error {
	info, err := u.s.stat(u.ctx, u.name)
	if err != nil {
		return err
	}
	if !holds(info, whole) {
		return fmt.Errorf("look at %s: %w", u.s.url(u.name), differing(info, whole))
	}
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	u.s.notes.Cold++
	return nil
}

// thawing is the command that makes a cold object readable for a week.
func (s *Store) thawing(name string) string {
	words := []string{"aws", "s3api", "restore-object", "--bucket", s.at.Bucket, "--key", quoted(s.key(name)), "--restore-request", "Days=7"}
	if !s.aws {
		words = append(words, "--endpoint-url", s.endpoint)
	}
	return strings.Join(words, " ")
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9._/:@+-]+$`)

// quoted is a word for a shell.
func quoted(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
