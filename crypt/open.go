package crypt

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"filippo.io/age"
)

// What a file can begin with.
const (
	intro      = "age-encryption.org/v1\n"
	agePrefix  = "age-encryption.org/"
	armourLine = "-----BEGIN AGE ENCRYPTED FILE-----"
)

// scryptStanza is the type of stanza that a passphrase makes.
const scryptStanza = "scrypt"

// Encrypted says whether the size bytes of r begin like an age file. It takes
// armoured and mangled ones for encrypted too; Open says what is wrong with
// them. Its errors come from r.
func Encrypted(r io.ReaderAt, size int64) (bool, error) {
	head, err := readHead(r, size)
	if err != nil {
		return false, err
	}
	return !errors.Is(checkHead(head, size), ErrNotEncrypted), nil
}

// Open gives the plaintext of the age file that the size bytes of r are, and
// its length. It tries all identities. Neither r nor identities may change
// before the last read; reads may be concurrent.
//
// Errors of Open and of reading are [ErrNoMatch], [ErrDamaged] (of which
// [ErrNotEncrypted] is one), or those of r. A chunk is authenticated when it is
// read, so damage may show as late as that.
func Open(r io.ReaderAt, size int64, identities ...Identity) (io.ReaderAt, int64, error) {
	head, err := readHead(r, size)
	if err != nil {
		return nil, 0, err
	}
	if err := checkHead(head, size); err != nil {
		return nil, 0, err
	}
	if len(identities) == 0 {
		return nil, 0, fmt.Errorf("%w: no identity", ErrNoMatch)
	}
	keys := make([]age.Identity, len(identities))
	for i, identity := range identities {
		if identity.key == nil {
			return nil, 0, fmt.Errorf("%w: an empty identity", ErrKey)
		}
		keys[i] = identity.key()
	}
	plain, length, err := age.DecryptReaderAt(source{r}, size, keys...)
	if err != nil {
		return nil, 0, classify(err, size)
	}
	own := &reader{age: plain, plain: length, ciphers: size}
	own.from, _ = r.(expecter)
	return own, length, nil
}

// An expecter is told which of its bytes will be read next, before they are, piece by
// piece. A store that is asked for each over a network gets them at once.
type expecter interface{ Expect(off, n int64) }

// reader turns age's reader into a true io.ReaderAt with errors of ours.
type reader struct {
	age            io.ReaderAt
	from           expecter // nil: it does not care
	plain, ciphers int64    // lengths
}

// expect tells of the chunks that hold n bytes of plaintext.
func (r *reader) expect(off, n int64) {
	if r.from == nil || n <= chunkSize {
		return
	}
	begins := r.ciphers - r.plain - (r.plain+chunkSize-1)/chunkSize*tagSize
	first, last := off/chunkSize, min(off+n, r.plain)-1
	r.from.Expect(begins+first*(chunkSize+tagSize), (last/chunkSize-first+1)*(chunkSize+tagSize))
}

var _ io.ReaderAt = (*reader)(nil)

func (r *reader) ReadAt(p []byte, off int64) (int, error) {
	switch {
	case off < 0:
		return 0, fmt.Errorf("read the plaintext at %d: negative offset", off)
	case off >= r.plain: // age takes an offset past the end for a fault
		return 0, io.EOF
	}
	r.expect(off, int64(len(p)))
	n, err := r.age.ReadAt(p, off)
	if err == nil || errors.Is(err, io.EOF) && n > 0 && off+int64(n) == r.plain {
		return n, err
	}
	return n, classify(err, r.ciphers)
}

// source is the ciphertext. It marks its errors, so that a disk that fails is
// not taken for damage; only an end that comes too early is that.
type source struct{ io.ReaderAt }

// readError does not unwrap: age must not see an EOF that is inside.
type readError struct{ error }

func (s source) ReadAt(p []byte, off int64) (int, error) {
	n, err := s.ReaderAt.ReadAt(p, off)
	if err != nil && err != io.EOF { // a wrapped EOF is a broken connection
		err = readError{err}
	}
	return n, err
}

func classify(err error, size int64) error {
	var read readError
	if errors.As(err, &read) {
		return fmt.Errorf("read the encrypted file: %w", read.error)
	}
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return noMatch(none.StanzaTypes)
	}
	if errors.Is(err, errWork) {
		return fmt.Errorf("%w: %w", ErrNoMatch, err)
	}
	return fmt.Errorf("%w: cut or changed (%d bytes): %s", ErrDamaged, size, short(err.Error()))
}

// noMatch says what the file is encrypted to, as far as its unauthenticated
// header can be believed.
func noMatch(types []string) error {
	if slices.Contains(types, scryptStanza) {
		return fmt.Errorf("the archive is encrypted with a passphrase, and a wrong one was given, or none%.0w", ErrNoMatch)
	}
	if len(types) == 1 {
		return fmt.Errorf("%w (1 recipient)", ErrNoMatch)
	}
	return fmt.Errorf("%w (%d recipients)", ErrNoMatch, len(types))
}

// short bounds the text of an age error, which may quote lines of the file.
func short(s string) string {
	const most = 160
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

func readHead(r io.ReaderAt, size int64) ([]byte, error) {
	head := make([]byte, min(max(size, 0), 64))
	if _, err := io.ReadFull(io.NewSectionReader(source{r}, 0, size), head); err != nil {
		return nil, classify(err, size)
	}
	return head, nil
}

// checkHead names what is wrong with a file's first bytes.
func checkHead(head []byte, size int64) error {
	begins := func(prefix string) bool { return bytes.HasPrefix(head, []byte(prefix)) }
	switch {
	case begins(intro):
		return nil
	case len(head) == 0:
		return fmt.Errorf("%w: it is empty", ErrNotEncrypted)
	case begins(strings.TrimSuffix(intro, "\n") + "\r\n"):
		return fmt.Errorf("%w: its line ends were turned into CRLF, so it was carried as text", ErrDamaged)
	case begins("\xff\xfea\x00g\x00e\x00"), begins("\xfe\xff\x00a\x00g\x00e"):
		return fmt.Errorf("%w: it was turned into UTF-16, so it was carried as text", ErrDamaged)
	case begins(armourLine):
		return fmt.Errorf("%w: it is armoured (text); turn it into the binary form first", ErrDamaged)
	case len(head) < len(intro) && strings.HasPrefix(intro, string(head)):
		return fmt.Errorf("%w: cut in its first line (%d bytes)", ErrDamaged, size)
	case begins(agePrefix):
		return fmt.Errorf("%w: unknown version of age", ErrDamaged)
	}
	return fmt.Errorf("%w (%d bytes)", ErrNotEncrypted, size)
}
