package journal

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A Digest stands for what a key holds, without telling it: it is made with a key of the
// run. The zero value stands for nothing.
type Digest [16]byte

// A Line is what a plan has decided about one key.
type Line struct {
	Key      []byte // on the target
	Fate     string
	Reason   string
	Revision int64 // at which the target's value was seen; 0: there was none
	// Seen is of what the target holds, Wanted of what is to be written. They are there
	// for keys that are to be written.
	Seen, Wanted Digest
}

const (
	none    = "-"
	columns = 6
	// maxReasons is how many reasons have numbers, to bound what is remembered.
	maxReasons = 1000
)

var digits = base64.RawURLEncoding //nolint:gochecknoglobals // an alphabet never changes

// append appends the line as text.
func (l Line) append(b []byte, reasons map[string]int) []byte {
	b = append(append(b, l.Fate...), '\t')
	b = append(strconv.AppendInt(b, l.Revision, 10), '\t')
	b = append(l.Seen.append(b), '\t')
	b = append(l.Wanted.append(b), '\t')
	b = append(appendReason(b, l.Reason, reasons), '\t')
	return append(strconv.AppendQuoteToASCII(b, string(l.Key)), '\n')
}

func (d Digest) append(b []byte) []byte {
	if d == (Digest{}) {
		return append(b, none...)
	}
	return digits.AppendEncode(b, d[:])
}

func appendReason(b []byte, reason string, known map[string]int) []byte {
	if reason == "" {
		return append(b, none...)
	}
	n, is := known[reason]
	if is {
		return strconv.AppendInt(b, int64(n), 10)
	}
	if n = len(known); n < maxReasons {
		known[reason] = n
		b = append(strconv.AppendInt(b, int64(n), 10), '=')
	}
	return strconv.AppendQuoteToASCII(b, reason)
}

// parse reads a line that append has made; reasons are those that came before.
func parse(text []byte, reasons []string) (Line, []string, error) {
	var parts [columns][]byte
	rest, more := text, true
	for i := range parts {
		if !more {
			return Line{}, reasons, fmt.Errorf("it has %d columns, not %d", i, columns)
		}
		parts[i], rest, more = bytes.Cut(rest, []byte{'\t'})
	}
	if more {
		return Line{}, reasons, fmt.Errorf("it has more than %d columns", columns)
	}
	l := Line{Fate: string(parts[0])}
	var err error
	if l.Revision, err = strconv.ParseInt(string(parts[1]), 10, 64); err != nil || l.Revision < 0 {
		return Line{}, reasons, errors.New("its revision is none")
	}
	if l.Seen, err = parseDigest(parts[2]); err != nil {
		return Line{}, reasons, err
	}
	if l.Wanted, err = parseDigest(parts[3]); err != nil {
		return Line{}, reasons, err
	}
	if l.Reason, reasons, err = parseReason(string(parts[4]), reasons); err != nil {
		return Line{}, reasons, err
	}
	if l.Key = unquoted(parts[5]); len(l.Key) == 0 {
		return Line{}, reasons, errors.New("its key is none")
	}
	return l, reasons, nil
}

// unquoted is the key that a text quotes; nil: none.
func unquoted(text []byte) []byte {
	n := len(text)
	if n < 2 || text[0] != '"' || text[n-1] != '"' {
		return nil
	}
	plain := text[1 : n-1]
	if !bytes.ContainsFunc(plain, func(r rune) bool { return r == '"' || r == '\\' || r < ' ' || r > '~' }) { // as most are
		return bytes.Clone(plain)
	}
	key, err := strconv.Unquote(string(text))
	if err != nil {
		return nil
	}
	return []byte(key)
}

func parseDigest(text []byte) (d Digest, err error) {
	if string(text) == none {
		return d, nil
	}
	if digits.DecodedLen(len(text)) != len(d) {
		return d, errors.New("a digest of it is none")
	}
	if _, err := digits.Decode(d[:], text); err != nil {
		return d, errors.New("a digest of it is none")
	}
	return d, nil
}

func parseReason(text string, known []string) (string, []string, error) {
	bad := errors.New("its reason is none")
	if text == none {
		return "", known, nil
	}
	if text[:min(1, len(text))] == `"` {
		reason, err := strconv.Unquote(text)
		if err != nil {
			return "", known, bad
		}
		return reason, known, nil
	}
	number, quoted, begins := strings.Cut(text, "=")
	n, err := strconv.Atoi(number)
	switch {
	case err != nil || n < 0 || n > len(known) || !begins && n == len(known) || begins && (n != len(known) || n >= maxReasons):
		return "", known, bad
	case !begins:
		return known[n], known, nil
	}
	reason, err := strconv.Unquote(quoted)
	if err != nil || reason == "" {
		return "", known, bad
	}
	return reason, append(known, reason), nil
}
