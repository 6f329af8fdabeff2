package object

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"sigs.k8s.io/yaml"
)

// ToYAML is the object as kubectl prints it, and safe on a terminal: in a text, control
// characters and marks that change the direction of writing are escaped.
func (o *Object) ToYAML() ([]byte, error) {
	v := veil{token: "kubeferry-" + rand.Text()} // which no value can hold
	text, err := yaml.Marshal(v.cover(o.Tree()))
	if err != nil {
		return nil, errors.New("print as YAML: it holds what YAML cannot say")
	}
	return []byte(strings.NewReplacer(v.pairs...).Replace(string(text))), nil
}

// A veil puts tokens in the place of texts that YAML would print with a character that is
// unsafe, and remembers the texts in JSON's form, which YAML reads too.
type veil struct {
	token string
	pairs []string // tokens and texts
}

func (v *veil) cover(value any) any {
	switch of := value.(type) {
	case map[string]any:
		m := make(map[string]any, len(of))
		for name, inner := range of {
			m[v.text(name)] = v.cover(inner)
		}
		return m
	case []any:
		list := make([]any, len(of))
		for i, inner := range of {
			list[i] = v.cover(inner)
		}
		return list
	case string:
		return v.text(of)
	}
	return value
}

func (v *veil) text(s string) string {
	if !strings.ContainsFunc(s, unsafe) {
		return s
	}
	quoted, err := json.Marshal(s)
	if err != nil {
		return "" // not of a text
	}
	token := fmt.Sprintf("%s-%d-", v.token, len(v.pairs))
	v.pairs = append(v.pairs, token, escape(string(quoted)))
	return token
}

// escape writes unsafe characters of JSON in JSON's own way.
func escape(text string) string {
	if !strings.ContainsFunc(text, unsafe) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if unsafe(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// plain tells whether a text is of ASCII's characters that can be seen, and of ends of
// lines and tabs: most are, and none of these is unsafe.
func plain(text []byte) bool {
	for _, c := range text {
		if c >= 0x7f || c < ' ' && c != '\n' && c != '\t' {
			return false
		}
	}
	return true
}

// unsafe tells whether a terminal may do something else with a character than show it.
func unsafe(r rune) bool {
	switch {
	case r == '\n', r == '\t':
		return false
	case r < ' ', r == 0x7f, r >= 0x80 && r <= 0x9f:
		return true
	}
	return unicode.Is(unicode.Bidi_Control, r) || r == 0x2028 || r == 0x2029 || r == 0xfeff || r == 0xfffe || r == 0xffff
}
