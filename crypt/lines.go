package crypt

import (
	"bytes"
	"fmt"
	"io"
	"unicode/utf8"
)

// maxKeyFile is the most that a file of keys may hold, in bytes: 500
// post-quantum recipients.
const maxKeyFile = 1 << 20

// eachLine calls parse for each line of a key file that holds something, with
// the words that an error about it begins with. It ends at the first error.
func eachLine(r io.Reader, name string, parse func(line, origin string) error) error {
	data, err := io.ReadAll(io.LimitReader(r, maxKeyFile+1))
	switch {
	case err != nil:
		return fmt.Errorf("read %s: %w", name, err)
	case len(data) > maxKeyFile:
		return keyError(name, "larger than 1 MiB, so not a file of keys")
	case len(data) == 0:
		return keyError(name, "the file is empty")
	}
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	n := 0
	for line := range bytes.Lines(data) {
		n++
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		origin := fmt.Sprintf("%s line %d", name, n)
		if !utf8.Valid(line) {
			return keyError(origin, "not text in UTF-8")
		}
		if err := parse(string(line), origin); err != nil {
			return err
		}
	}
	return nil
}

func keyError(origin, format string, args ...any) error {
	return fmt.Errorf("%s: %w: %s", origin, ErrKey, fmt.Sprintf(format, args...))
}
