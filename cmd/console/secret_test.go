package console

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// K-6: a secret does not print itself, in whichever way it is asked.
func TestASecretDoesNotPrintItself(t *testing.T) {
	const word = "canary-hunter2"
	s := Secret{word}
	nested := struct {
		Password Secret
		Pointer  *Secret
		List     []Secret
		Map      map[string]Secret
	}{s, &s, []Secret{s}, map[string]Secret{"a": s}}
	var shown strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&shown, verb+verb+verb, s, &s, nested)
	}
	fmt.Fprintln(&shown, s, nested, errors.New(fmt.Sprint(s)))
	for _, v := range []any{s, &s, nested} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		shown.Write(b)
	}
	text, err := s.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	shown.Write(text)
	for _, handler := range []slog.Handler{slog.NewTextHandler(&shown, nil), slog.NewJSONHandler(&shown, nil)} {
		slog.New(handler).Info("with", "secret", s, "nested", nested, slog.Any("pointer", &s), slog.Group("g", "secret", s))
	}
	if strings.Contains(shown.String(), word) || strings.Contains(shown.String(), hex.EncodeToString([]byte(word))) {
		t.Errorf("it shows itself:\n%s", shown.String())
	}
	if n := strings.Count(shown.String(), redacted); n < 40 {
		t.Errorf("it says %s %d times:\n%s", redacted, n, shown.String())
	}
	if s.Reveal() != word {
		t.Errorf("it reveals %q", s.Reveal())
	}
}

func TestReadSecretTakesOffOneNewline(t *testing.T) {
	for in, want := range map[string]string{"a": "a", "a\n": "a", "a\r\n": "a", "a\n\n": "a\n", " a ": " a ", "ä\n": "ä"} {
		got, err := readSecret("secret", strings.NewReader(in))
		if err != nil || got.Reveal() != want {
			t.Errorf("from %q: got %q, want %q: %v", in, got.Reveal(), want, err)
		}
	}
	for _, in := range []string{"", "\n", "\r\n", "a\x00", strings.Repeat("x", maxSecret+1)} {
		if _, err := readSecret("secret", strings.NewReader(in)); !errors.Is(err, ErrUsage) {
			t.Errorf("from %d bytes: %v", len(in), err)
		}
	}
}
