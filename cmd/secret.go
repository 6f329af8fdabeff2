package cmd

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

// A secret is a string that does not print itself.
type secret struct{ value string }

const redacted = "[redacted]"

// String implements fmt.Stringer.
func (secret) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (secret) GoString() string { return redacted }

// Format implements fmt.Formatter, whatever the verb.
func (secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText implements encoding.TextMarshaler, and so JSON and slog.
func (secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// reveal returns the string itself.
func (s secret) reveal() string { return s.value }

// maxSecret bounds what is read as one secret, in bytes.
const maxSecret = 64 << 10

// readSecretFile reads a secret from a file that nobody else may read.
func readSecretFile(what, path string, sh *shell) (secret, error) {
	f, err := openSecretFile(what, path, sh)
	if err != nil {
		return secret{}, err
	}
	defer func() { _ = f.Close() }() // only read
	return readSecret(what+" file "+path, f)
}

// openSecretFile opens a file that holds secrets. It must be a regular file of
// this user or of root, closed to group and others; credentials that systemd
// hands over are exempt. Links are not followed.
func openSecretFile(what, path string, sh *shell) (*os.File, error) {
	handedOver := false
	if folder, ok := sh.getenv("CREDENTIALS_DIRECTORY"); ok {
		handedOver = filepath.Dir(filepath.Clean(path)) == filepath.Clean(folder)
	}
	flags := os.O_RDONLY | syscall.O_NONBLOCK
	if !handedOver {
		flags |= syscall.O_NOFOLLOW
	}
	f, err := os.OpenFile(path, flags, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, configf("the %s file %s is a symbolic link; name the file that it points to", what, path)
	}
	if err != nil {
		return nil, configf("opening the %s file: %w", what, err)
	}
	if err := checkSecretFile(f, handedOver); err != nil {
		_ = f.Close() // only read
		return nil, configf("the %s file %s %w", what, path, err)
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
func readSecret(what string, r io.Reader) (secret, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxSecret+1))
	switch {
	case err != nil:
		return secret{}, configf("reading the %s: %w", what, err)
	case len(b) > maxSecret:
		return secret{}, usagef("the %s is longer than %d bytes", what, maxSecret)
	}
	b = bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
	switch {
	case len(b) == 0:
		return secret{}, usagef("the %s is empty", what)
	case bytes.IndexByte(b, 0) >= 0:
		return secret{}, usagef("the %s holds a NUL byte", what)
	}
	return secret{string(b)}, nil
}

// secretFromCommand takes a secret from the output of a command. The words are
// split at spaces and run without a shell.
func secretFromCommand(ctx context.Context, what, line string, sh *shell) (secret, error) {
	words := strings.Fields(line)
	if len(words) == 0 {
		return secret{}, usagef("the command for the %s is empty", what)
	}
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Stderr = sh.stderr
	out, err := cmd.Output()
	switch {
	case ctx.Err() != nil:
		return secret{}, fmt.Errorf("running the command for the %s, %s: %w", what, words[0], ctx.Err())
	case err != nil:
		return secret{}, usagef("the command for the %s, %s, failed: %w", what, words[0], err)
	}
	return readSecret(what+" printed by "+words[0], bytes.NewReader(out))
}

// secretFromDescriptor takes a secret from a file that the caller has opened.
func secretFromDescriptor(what string, fd int) (secret, error) {
	what = fmt.Sprintf("%s on descriptor %d", what, fd)
	// A number that the caller did not open can be one of the Go runtime's own.
	var stat syscall.Stat_t
	if err := syscall.Fstat(fd, &stat); err != nil || stat.Mode&syscall.S_IFMT == 0 {
		return secret{}, usagef("the %s: nothing is open there; in a shell: --passphrase-fd %d %d<FILE", what, fd, fd)
	}
	f := os.NewFile(uintptr(fd), what)
	defer func() { _ = f.Close() }() // only read
	return readSecret(what, f)
}
