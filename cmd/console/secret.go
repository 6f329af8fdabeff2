package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// A Secret is a string that does not print itself.
type Secret struct{ value string }

const redacted = "[redacted]"

// String implements fmt.Stringer.
func (Secret) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return redacted }

// Format implements fmt.Formatter, whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText implements encoding.TextMarshaler, and so JSON and slog.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Reveal returns the string itself.
func (s Secret) Reveal() string { return s.value }

// maxSecret bounds what is read as one secret, in bytes.
const maxSecret = 64 << 10

// ReadSecretFile reads a secret from a file that nobody else may read.
func ReadSecretFile(what, path string, sh *Shell) (Secret, error) {
	f, err := OpenSecretFile(what, path, sh)
	if err != nil {
		return Secret{}, err
	}
	defer func() { _ = f.Close() }() // only read
	return readSecret(what+" file "+path, f)
}

// OpenSecretFile opens a file that holds secrets. It must be a regular file of
// this user or of root, closed to group and others; credentials that systemd
// hands over are exempt. Links are not followed.
func OpenSecretFile(what, path string, sh *Shell) (*os.File, error) {
	handedOver := false
	if folder, ok := sh.Getenv("CREDENTIALS_DIRECTORY"); ok {
		handedOver = filepath.Dir(filepath.Clean(path)) == filepath.Clean(folder)
	}
	flags := os.O_RDONLY | syscall.O_NONBLOCK
	if !handedOver {
		flags |= syscall.O_NOFOLLOW
	}
	f, err := os.OpenFile(path, flags, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, Configf("the %s file %s is a symbolic link; name the file that it points to", what, path)
	}
	if err != nil {
		return nil, Configf("open %s file %s: %w", what, path, Cause(err))
	}
	if err := checkSecretFile(f, handedOver); err != nil {
		_ = f.Close() // only read
		return nil, Configf("the %s file %s %w", what, path, err)
	}
	return f, nil
}

func checkSecretFile(f *os.File, handedOver bool) error {
	info, err := f.Stat()
	switch {
	case err != nil:
		return fmt.Errorf("cannot be examined: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("is not a regular file")
	case handedOver:
		return nil
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("has no owner that could be checked")
	}
	if stat.Uid != 0 && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("belongs to user %d; it must be yours or root's", stat.Uid)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("has mode %#o: others can read it; chmod 600 it", mode)
	}
	return nil
}

// readSecret takes one secret from r, without the newline that ends it.
func readSecret(what string, r io.Reader) (Secret, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxSecret+1))
	switch {
	case err != nil:
		return Secret{}, Configf("read the %s: %w", what, err)
	case len(b) > maxSecret:
		return Secret{}, Usagef("the %s is longer than %d bytes", what, maxSecret)
	}
	b = bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
	switch {
	case len(b) == 0:
		return Secret{}, Usagef("the %s is empty", what)
	case bytes.IndexByte(b, 0) >= 0:
		return Secret{}, Usagef("the %s holds a NUL byte", what)
	}
	return Secret{string(b)}, nil
}

// SecretFromCommand takes a secret from the output of a command. The words are
// split at spaces and run without a shell.
func SecretFromCommand(ctx context.Context, what, line string, sh *Shell) (Secret, error) {
	words := strings.Fields(line)
	if len(words) == 0 {
		return Secret{}, Usagef("the command for the %s is empty", what)
	}
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Stderr = sh.Stderr
	out, err := cmd.Output()
	switch {
	case ctx.Err() != nil:
		return Secret{}, fmt.Errorf("run the command for the %s, %s: %w", what, words[0], ctx.Err())
	case err != nil:
		return Secret{}, Usagef("the command for the %s, %s, failed: %w", what, words[0], err)
	}
	return readSecret(what+" printed by "+words[0], bytes.NewReader(out))
}

// SecretFromDescriptor takes a secret from a file that the caller has opened.
func SecretFromDescriptor(what string, fd int) (Secret, error) {
	what = fmt.Sprintf("%s on descriptor %d", what, fd)
	// A number that the caller did not open can be one of the Go runtime's own.
	var stat syscall.Stat_t
	if err := syscall.Fstat(fd, &stat); err != nil || stat.Mode&syscall.S_IFMT == 0 {
		return Secret{}, Usagef("the %s: nothing is open there; in a shell: --passphrase-fd %d %d<FILE", what, fd, fd)
	}
	f := os.NewFile(uintptr(fd), what)
	defer func() { _ = f.Close() }() // only read
	return readSecret(what, f)
}

// NewSecret is a secret that is known already, such as the value of a variable.
func NewSecret(value string) Secret { return Secret{value} }
