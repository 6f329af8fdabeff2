package object

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

const hexadecimal = "0123456789abcdef"

// asIs tells whether a byte stands in a text as it is.
func asIs(c byte) bool { return c-' ' < 0x7f-' ' && c != '"' && c != '\\' }

// asTheyAre counts the bytes before the first that does not stand in a text as it is. It
// looks at eight at a time: of each, whether it is below a space or a quotation mark or a
// backslash shows in the highest bit of a subtraction, unless a byte below borrows, which
// only finds one too many.
func asTheyAre[T string | []byte](text T) int {
	n := 0
	for ; len(text)-n >= 8; n += 8 {
		const ones, high = 0x0101010101010101, 0x8080808080808080
		word := uint64(text[n]) | uint64(text[n+1])<<8 | uint64(text[n+2])<<16 | uint64(text[n+3])<<24 |
			uint64(text[n+4])<<32 | uint64(text[n+5])<<40 | uint64(text[n+6])<<48 | uint64(text[n+7])<<56
		quotes, slashes := word^ones*'"', word^ones*'\\'
		if (word|(word-ones*' ')|(word+ones)|(quotes-ones)|(slashes-ones))&high != 0 {
			break
		}
	}
	for n < len(text) && asIs(text[n]) {
		n++
	}
	return n
}

// appendText appends a text in quotes: what JSON escapes, and what is unsafe on a terminal,
// is escaped; what is no UTF-8 is U+FFFD.
func appendText(out []byte, s string) []byte {
	out = append(out, '"')
	kept := 0
	for i := 0; i < len(s); {
		if i += asTheyAre(s[i:]); i == len(s) {
			break
		}
		c := s[i]
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

// What may be escaped in simple JSON: as it is printed.
const (
	inNames = `"\`
	inTexts = `"\nrtbf`
)

// reindent prints JSON without spaces whose texts and numbers need no new form, as
// managedFields are. It tells whether this was such; else it may have printed a part.
func (w *jsonWriter) reindent(text []byte, depth int) bool {
	rest, ok := w.simple(text, depth, 0)
	return ok && len(rest) == 0
}

// A rawMember is a member of an object that has been printed: its name in quotes, and where
// it is.
type rawMember struct {
	name     []byte
	from, to int
}

// simple prints a value, and says what is behind it.
func (w *jsonWriter) simple(text []byte, depth, nested int) (rest []byte, ok bool) {
	switch {
	case len(text) == 0 || nested > deepest:
		return nil, false
	case text[0] == '{':
		return w.simpleObject(text, depth, nested)
	case text[0] == '[':
		return w.simpleList(text, depth, nested)
	case text[0] == '"':
		quoted, rest, ok := simpleText(text, inTexts)
		w.out = append(w.out, quoted...)
		return rest, ok
	}
	end := 0
	for end < len(text) && (text[end] >= '0' && text[end] <= '9' || text[end] >= 'a' && text[end] <= 'z') {
		end++
	}
	w.out = append(w.out, text[:end]...)
	return text[end:], simpleScalar(text[:end])
}

// simpleScalar tells whether a text is a whole number of up to 18 digits, or a word.
func simpleScalar(text []byte) bool {
	switch string(text) {
	case "true", "false", "null":
		return true
	}
	for _, c := range text {
		if c > '9' {
			return false
		}
	}
	return len(text) > 0 && len(text) < 19 && (text[0] != '0' || len(text) == 1)
}

func (w *jsonWriter) simpleList(text []byte, depth, nested int) (rest []byte, ok bool) {
	if len(text) < 2 {
		return nil, false
	}
	if text[1] == ']' {
		w.out = append(w.out, "[]"...)
		return text[2:], true
	}
	for first := true; text[0] != ']'; first = false { // at a bracket or a comma before an element
		w.open('[', first, depth)
		if text, ok = w.simple(text[1:], depth+1, nested+1); !ok || len(text) == 0 || text[0] != ',' && text[0] != ']' {
			return nil, false
		}
	}
	w.line(depth)
	w.out = append(w.out, ']')
	return text[1:], true
}

// simpleObject prints the members of an object as they come, and puts them in order then.
// Of a name that is there twice it is not clear what is meant: then it does not.
func (w *jsonWriter) simpleObject(text []byte, depth, nested int) (rest []byte, ok bool) {
	if len(text) < 2 {
		return nil, false
	}
	if text[1] == '}' {
		w.out = append(w.out, "{}"...)
		return text[2:], true
	}
	begun, members, ordered := len(w.out), len(w.members), true
	for text[0] != '}' { // at a brace or a comma before a member
		name, after, ok := simpleText(text[1:], inNames)
		if !ok || len(after) == 0 || after[0] != ':' {
			return nil, false
		}
		from := len(w.out)
		w.out = append(w.out, ',')
		w.line(depth + 1)
		w.out = append(append(w.out, name...), ": "...)
		if text, ok = w.simple(after[1:], depth+1, nested+1); !ok || len(text) == 0 || text[0] != ',' && text[0] != '}' {
			return nil, false
		}
		m := rawMember{name, from, len(w.out)}
		ordered = ordered && (len(w.members) == members || compareNames(w.members[len(w.members)-1], m) < 0)
		w.members = append(w.members, m)
	}
	if !ordered && !w.order(w.members[members:], begun) {
		return nil, false
	}
	w.members = w.members[:members]
	w.out[begun] = '{' // in the place of the first comma
	w.line(depth)
	w.out = append(w.out, '}')
	return text[1:], true
}

// order puts members that have been printed in the order of their names, if each has its
// own.
func (w *jsonWriter) order(members []rawMember, begun int) bool {
	slices.SortFunc(members, compareNames)
	w.scratch = w.scratch[:0]
	for i, m := range members {
		if i > 0 && compareNames(members[i-1], m) == 0 {
			return false
		}
		w.scratch = append(w.scratch, w.out[m.from:m.to]...)
	}
	copy(w.out[begun:], w.scratch)
	return true
}

// isSimple tells whether JSON is of the form that reindent prints, but for names that are
// there twice.
func isSimple(text []byte) bool {
	rest, ok := simpleEnd(text, 0)
	return ok && len(rest) == 0
}

// simpleEnd finds the end of a value of that form: what is behind it.
func simpleEnd(text []byte, nested int) (rest []byte, ok bool) {
	if len(text) == 0 || nested > deepest {
		return nil, false
	}
	switch text[0] {
	case '"':
		_, rest, ok := simpleText(text, inTexts)
		return rest, ok
	case '{', '[':
		return simpleInner(text, nested)
	}
	end := 0
	for end < len(text) && (text[end] >= '0' && text[end] <= '9' || text[end] >= 'a' && text[end] <= 'z') {
		end++
	}
	return text[end:], simpleScalar(text[:end])
}

func simpleInner(text []byte, nested int) (rest []byte, ok bool) {
	object := text[0] == '{'
	closing := byte(']')
	if object {
		closing = '}'
	}
	if len(text) > 1 && text[1] == closing {
		return text[2:], true
	}
	for text[0] != closing { // at a bracket or a comma
		text = text[1:]
		if object {
			_, after, ok := simpleText(text, inNames)
			if !ok || len(after) == 0 || after[0] != ':' {
				return nil, false
			}
			text = after[1:]
		}
		if text, ok = simpleEnd(text, nested+1); !ok || len(text) == 0 || text[0] != ',' && text[0] != closing {
			return nil, false
		}
	}
	return text[1:], true
}

// simpleText is a text in quotes that is printed as it stands, and what is behind it. In a
// name only quotes and backslashes are escaped, so that it can be compared.
func simpleText(text []byte, escapes string) (quoted, rest []byte, ok bool) {
	if len(text) == 0 || text[0] != '"' {
		return nil, nil, false
	}
	for i := 1; i < len(text); i++ {
		if i += asTheyAre(text[i:]); i == len(text) {
			break
		}
		switch c := text[i]; {
		case c == '"':
			return text[:i+1], text[i+1:], true
		case c == '\\' && i+1 < len(text) && strings.IndexByte(escapes, text[i+1]) >= 0:
			i++
		default:
			return nil, nil, false
		}
	}
	return nil, nil, false
}

// compareNames compares members by their names, as they are without escapes.
func compareNames(x, y rawMember) int {
	a, b := x.name[1:len(x.name)-1], y.name[1:len(y.name)-1]
	escaped := false
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] {
			escaped = a[i] == '\\' && !escaped
			continue
		}
		return cmp.Compare(meant(a[i:], escaped), meant(b[i:], escaped))
	}
	return cmp.Compare(len(a), len(b))
}

// meant is the first byte of a text, or the one behind it if that escapes it.
func meant(text []byte, escaped bool) byte {
	if text[0] == '\\' && !escaped {
		return text[1]
	}
	return text[0]
}
