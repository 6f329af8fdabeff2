package console

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/dustin/go-humanize"
)

// Printable escapes what could steer a terminal: names in an archive may come
// from anybody.
func Printable(s string) string { return escaped(s, unprintable) }

func escaped(s string, unprintable func(rune) bool) string {
	if strings.IndexFunc(s, unprintable) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unprintable(r) {
			fmt.Fprintf(&b, "\\u%04x", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func unprintable(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar
}

// Bytes is n bytes in IEC units.
func Bytes(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// Count is a number with its noun: "1 key", "1,106 keys".
func Count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return humanize.Comma(n) + " " + noun + "s"
}

// OrNone is s, or a word for nothing, as kubectl shows it.
func OrNone(s string) string {
	if s == "" {
		return "<none>"
	}
	return s
}

// Moment is when it was, to the minute, in UTC as in the names of archives.
func Moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04Z") }

// Age is how long ago t was, as kubectl shows it.
func Age(now, t time.Time) string {
	if t.After(now) {
		return "<future>"
	}
	return Span(now.Sub(t))
}

// Span is a duration in its two largest units, or in one where that says enough,
// as kubectl shows ages.
func Span(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}

// Quote is a word as a shell takes it.
func Quote(word string) string {
	plain := func(r rune) bool {
		return r > unicode.MaxASCII || unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_./:@%+=,", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
