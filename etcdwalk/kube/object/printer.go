package object

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// A Printer prints objects as JSON, as kubectl does: names in order, and indented. It does
// in one pass what takes the libraries three: to encode, to order, to indent. It remembers
// how types are printed; the zero value is ready, and may be used by several at once.
type Printer struct {
	shapes sync.Map  // of struct types, as *structShape
	spare  sync.Pool // of writers
}

// errJSON: what a type makes of itself is no JSON.
var errJSON = errors.New("print as JSON: it holds what JSON cannot say")

// AppendJSON appends an object as kubectl prints it, and safe on a terminal: in a text,
// control characters and marks that change the direction of writing are escaped. The lines
// behind the first begin with indent, and the first with before. With an error, nothing is
// appended.
func (p *Printer) AppendJSON(out []byte, o *Object, before, indent string) ([]byte, error) {
	w, ok := p.spare.Get().(*jsonWriter)
	if !ok {
		w = &jsonWriter{printer: p}
	}
	defer p.spare.Put(w)
	w.indent(indent)
	w.out = append(out, before...)
	err := w.object(o)
	if err != nil && o.typed != nil && o.encode() == nil { // without what was no JSON
		w.out = append(w.out[:len(out)], before...)
		err = w.object(o)
	}
	text := append(w.out, '\n')
	if w.out = nil; err != nil {
		return out, err
	}
	return text, nil
}

// A jsonWriter prints objects, one behind the other.
type jsonWriter struct {
	printer *Printer
	prefix  string // of each line
	newline string // a line's end, the next one's prefix, and spaces for what is nested
	out     []byte // the caller's, while it is printed to

	members []rawMember // of raw JSON that is being printed
	scratch []byte
}

// nestedLines is how deep lines are indented without care: 4 spaces each.
const nestedLines = 32

// indent has each line begin with a prefix.
func (w *jsonWriter) indent(prefix string) {
	if w.newline == "" || w.prefix != prefix {
		w.prefix, w.newline = prefix, "\n"+prefix+strings.Repeat(" ", 4*nestedLines)
	}
}

// object prints an object.
func (w *jsonWriter) object(o *Object) error {
	w.members = w.members[:0]
	if o.typed != nil {
		return w.value(reflect.ValueOf(o.typed), 0)
	}
	begun := len(w.out)
	if o.tree == nil && o.text != nil && w.reindent(o.text, 0) {
		return nil
	}
	w.out, w.members = w.out[:begun], w.members[:0]
	return w.any(o.Tree(), 0)
}

// line begins a line at a depth.
func (w *jsonWriter) line(depth int) {
	w.out = append(w.out, w.newline[:1+len(w.prefix)+4*min(depth, nestedLines)]...)
	for ; depth > nestedLines; depth-- {
		w.out = append(w.out, "    "...)
	}
}

// name begins a member; the first of an object opens it.
func (w *jsonWriter) name(name string, first bool, depth int) {
	w.open('{', first, depth)
	w.out = append(appendText(w.out, name), ": "...)
}

// open begins an element or a member.
func (w *jsonWriter) open(bracket byte, first bool, depth int) {
	if first {
		w.out = append(w.out, bracket)
	} else {
		w.out = append(w.out, ',')
	}
	w.line(depth + 1)
}

// end closes what has been opened, or prints what is empty.
func (w *jsonWriter) end(brackets string, empty bool, depth int) {
	if empty {
		w.out = append(w.out, brackets...)
		return
	}
	w.line(depth)
	w.out = append(w.out, brackets[1])
}

// any prints a value of a tree.
func (w *jsonWriter) any(value any, depth int) error {
	switch of := value.(type) {
	case map[string]any:
		first := true
		for _, name := range slices.Sorted(maps.Keys(of)) {
			w.name(name, first, depth)
			if err := w.any(of[name], depth+1); err != nil {
				return err
			}
			first = false
		}
		w.end("{}", first, depth)
	case []any:
		for i, inner := range of {
			w.open('[', i == 0, depth)
			if err := w.any(inner, depth+1); err != nil {
				return err
			}
		}
		w.end("[]", len(of) == 0, depth)
	case string:
		w.out = appendText(w.out, of)
	case int64:
		w.out = strconv.AppendInt(w.out, of, 10)
	case bool:
		w.out = strconv.AppendBool(w.out, of)
	default:
		return w.other(value, depth)
	}
	return nil
}

// other prints a value as the library does.
func (w *jsonWriter) other(value any, depth int) error {
	text, err := json.Marshal(value)
	if err != nil {
		return errJSON
	}
	return w.raw(text, depth)
}

// raw prints JSON that is there already.
func (w *jsonWriter) raw(text jsontext.Value, depth int) error {
	begun := len(w.out)
	if w.reindent(text, depth) {
		return nil
	}
	w.out = w.out[:begun]
	text = bytes.Clone(text)
	err := text.Format(jsontext.ReorderRawObjects(true), jsontext.EscapeForJS(true), jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true),
		jsontext.WithIndentPrefix(w.prefix+strings.Repeat("    ", depth)), jsontext.WithIndent("    "))
	if err != nil {
		return errJSON
	}
	if !plain(text) {
		text = []byte(escape(string(text)))
	}
	w.out = append(w.out, text...)
	return nil
}
