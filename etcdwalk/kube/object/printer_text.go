package object

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

const hexadecimal = "0123456789abcdef"

// appendText appends a text in quotes: what JSON escapes, and what is unsafe on a terminal,
// is escaped; what is no UTF-8 is U+FFFD.
func appendText(out []byte, s string) []byte {
	out = append(out, '"')
	kept := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < 0x7f && c != '"' && c != '\\' {
			i++
			continue
		}
		r, size := rune(c), 1
		if c >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
		}
		broken := r == utf8.RuneError && size == 1
		if c >= utf8.RuneSelf && !broken && !unsafe(r) {
			i += size
			continue
		}
		out = append(out, s[kept:i]...)
		i += size
		kept = i
		switch {
		case broken:
			out = append(out, "\ufffd"...)
		case r == '"', r == '\\':
			out = append(out, '\\', byte(r))
		case r == '\n':
			out = append(out, '\\', 'n')
		case r == '\r':
			out = append(out, '\\', 'r')
		case r == '\t':
			out = append(out, '\\', 't')
		case r == '\b':
			out = append(out, '\\', 'b')
		case r == '\f':
			out = append(out, '\\', 'f')
		default:
			out = append(out, '\\', 'u', hexadecimal[r>>12&0xf], hexadecimal[r>>8&0xf], hexadecimal[r>>4&0xf], hexadecimal[r&0xf])
		}
	}
	return append(append(out, s[kept:]...), '"')
}

// reindent prints JSON without spaces, of objects and texts that need no new escapes, as
// managedFields are. It tells whether this was such; else it may have printed a part.
func (w *jsonWriter) reindent(text []byte, depth int) bool {
	if simpleScalar(text) {
		w.out = append(w.out, text...)
		return true
	}
	rest, ok := simpleEnd(text, 0)
	return ok && len(rest) == 0 && w.indented(text, depth)
}

// simpleScalar tells whether a text is a whole number of up to 18 digits, or a word.
func simpleScalar(text []byte) bool {
	switch string(text) {
	case "true", "false", "null":
		return true
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(text) > 0 && len(text) < 19 && (text[0] != '0' || len(text) == 1)
}

// simpleEnd finds the end of a value that reindent can print: what is behind it.
func simpleEnd(text []byte, nested int) (rest []byte, ok bool) {
	if len(text) < 2 || text[0] != '{' || nested > deepest {
		_, rest, ok := simpleText(text)
		return rest, ok
	}
	if text[1] == '}' {
		return text[2:], true
	}
	for text[0] != '}' { // at a brace or a comma before a member
		_, after, ok := simpleText(text[1:])
		if !ok || len(after) == 0 || after[0] != ':' {
			return nil, false
		}
		if text, ok = simpleEnd(after[1:], nested+1); !ok || len(text) == 0 || text[0] != ',' && text[0] != '}' {
			return nil, false
		}
	}
	return text[1:], true
}

// A rawMember is a member of an object in JSON: its name in quotes, and its value.
type rawMember struct{ name, value []byte }

// indented prints a value that simpleEnd has found the end of. Of a name that is there
// twice it is not clear what is meant: then it does not.
func (w *jsonWriter) indented(text []byte, depth int) bool {
	if text[0] != '{' || text[1] == '}' {
		w.out = append(w.out, text...)
		return true
	}
	var few [16]rawMember
	members, ordered := few[:0], true
	for text[0] != '}' {
		name, after, _ := simpleText(text[1:])
		rest, _ := simpleEnd(after[1:], 0)
		m := rawMember{name, after[1 : len(after)-len(rest)]}
		ordered = ordered && (len(members) == 0 || compareNames(members[len(members)-1], m) < 0)
		members, text = append(members, m), rest
	}
	if !ordered {
		slices.SortFunc(members, compareNames)
	}
	for i, m := range members {
		if !ordered && i > 0 && compareNames(members[i-1], m) == 0 {
			return false
		}
		w.open('{', i == 0, depth)
		w.out = append(append(w.out, m.name...), ": "...)
		if !w.indented(m.value, depth+1) {
			return false
		}
	}
	w.line(depth)
	w.out = append(w.out, '}')
	return true
}

// simpleText is a text in quotes that is printed as it stands, and what is behind it.
func simpleText(text []byte) (quoted, rest []byte, ok bool) {
	if len(text) == 0 || text[0] != '"' {
		return nil, nil, false
	}
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return text[:i+1], text[i+1:], true
		case c == '\\' && i+1 < len(text) && (text[i+1] == '"' || text[i+1] == '\\'):
			i++
		case c < ' ', c >= 0x7f, c == '\\':
			return nil, nil, false
		}
	}
	return nil, nil, false
}

// compareNames compares members by their names.
func compareNames(x, y rawMember) int {
	a, b := x.name[1:len(x.name)-1], y.name[1:len(y.name)-1]
	if bytes.IndexByte(a, '\\') >= 0 || bytes.IndexByte(b, '\\') >= 0 {
		a, b = unquoted(a), unquoted(b)
	}
	return bytes.Compare(a, b)
}

// unquoted is a simple text without its escapes.
func unquoted(text []byte) []byte {
	plain := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' {
			i++
		}
		plain = append(plain, text[i])
	}
	return plain
}
