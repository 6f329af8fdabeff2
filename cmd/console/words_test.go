package console

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
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

func TestWordsAreQuotedForAShell(t *testing.T) {
	for word, want := range map[string]string{
		"/var/backups/a.zip.age": "/var/backups/a.zip.age",
		"":                       "''",
		"with space":             "'with space'",
		"it's":                   `'it'\''s'`,
		"$(reboot)":              "'$(reboot)'",
		"~root":                  "'~root'",
		"s3://b/p?endpoint=x":    "'s3://b/p?endpoint=x'",
	} {
		if got := Quote(word); got != want {
			t.Errorf("Quote(%q) = %s, want %s", word, got, want)
		}
	}
	out, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+Quote(`a'b "c" $d \e`)).Output()
	if err != nil || string(out) != `a'b "c" $d \e` {
		t.Errorf("a shell makes %q of it: %v", out, err)
	}
}

func TestCountsAndSpans(t *testing.T) {
	for n, want := range map[int64]string{0: "0 keys", 1: "1 key", 2: "2 keys", 1106: "1,106 keys"} {
		if got := Count(n, "key"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 119 * time.Second: "119s", 2 * time.Minute: "2m", 26 * time.Hour: "26h", 50 * time.Hour: "2d",
	} {
		if got := Span(d); got != want {
			t.Errorf("%s: got %s, want %s", d, got, want)
		}
	}
}

func TestNumbersStandToTheRight(t *testing.T) {
	got := columns([][]string{{"NAME", "KEYS", "STATE"}, {"a", "1106", "ok"}, {"much\x1blonger", "2", ""}}, "  ", numeric)
	want := []string{"NAME              KEYS  STATE", "a                 1106  ok", `much\u001blonger     2`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
