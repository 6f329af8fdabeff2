package object

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"sigs.k8s.io/yaml"
)

// ToYAML is a tree as kubectl prints it, and safe on a terminal: in a text, control
// characters and marks that change the direction of writing are escaped.
func ToYAML(tree map[string]any) ([]byte, error) {
	texts := map[string]string{}
	text, err := yaml.Marshal(veil(tree, texts))
	if err != nil {
		return nil, fmt.Errorf("print as YAML: %w", err)
	}
	for token, escaped := range texts {
		text = bytes.ReplaceAll(text, []byte(token), []byte(escaped))
	}
	return text, nil
}

// ToJSON is a tree as kubectl prints it, and as safe.
func ToJSON(tree map[string]any, indent string) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent(indent, "    ")
	if err := enc.Encode(tree); err != nil {
		return nil, fmt.Errorf("print as JSON: %w", err)
	}
	return []byte(escape(out.String())), nil
}

// veil puts a token in the place of each text that YAML would print with a character
// that is unsafe, and remembers the text in JSON's form, which YAML reads too.
func veil(value any, texts map[string]string) any {
	switch v := value.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for name, inner := range v {
			m[veilText(name, texts)] = veil(inner, texts)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, inner := range v {
			list[i] = veil(inner, texts)
		}
		return list
	case string:
		return veilText(v, texts)
	}
	return value
}

func veilText(s string, texts map[string]string) string {
	if !strings.ContainsFunc(s, unsafe) {
		return s
	}
	token := fmt.Sprintf("kubeferry-veil-%d-", len(texts))
	quoted, err := json.Marshal(s)
	if err != nil {
		return "" // not of a text
	}
	texts[token] = escape(string(quoted))
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

// unsafe tells whether a terminal may do something else with a character than show it.
func unsafe(r rune) bool {
	switch {
	case r == '\n', r == '\t':
		return false
	case r < ' ', r == 0x7f, r >= 0x80 && r <= 0x9f:
		return true
	}
	return unicode.Is(unicode.Bidi_Control, r) || r == 0x2028 || r == 0x2029 || r == 0xfeff
}
