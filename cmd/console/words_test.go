package console

import (
	"strings"
	"testing"
)

// M09: what an archive's maker has chosen cannot steer a terminal.
func TestPrintableEscapes(t *testing.T) {
	for in, want := range map[string]string{
		"plain ümläut": "plain ümläut",
		"a\x1b[2Jb":    `a\u001b[2Jb`,
		"a\rb\x00\x7f": `a\u000db\u0000\u007f`,
		"\u202eabc":    `\u202eabc`,
		"\u0085\u009b": `\u0085\u009b`,
		"\xff":         `\ufffd`,
	} {
		if got := Printable(in); got != want {
			t.Errorf("Printable(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzPrintable(f *testing.F) {
	for _, seed := range []string{"", "a", "\x1b]0;x\x07", "\u202e", "\xff\xfe", "\u009b31m"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if out := Printable(s); strings.IndexFunc(out, unprintable) >= 0 {
			t.Errorf("Printable(%q) = %q", s, out)
		}
	})
}
