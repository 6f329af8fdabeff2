// Package strictjson decodes JSON that has one meaning only.
//
// [Unmarshal] fills Go values as encoding/json does, and refuses what
// encoding/json lets pass although two readers could understand it
// differently: members given twice, members that fit a field only if case is
// ignored, text that is not UTF-8, half surrogates, null for a plain value,
// arrays of another length. It also bounds what a hostile document may cost:
// nesting, members per object, and the memory that lists take once decoded.
//
// Caveats:
//
//   - Members that the Go type does not know are ignored, so that documents can
//     grow. The rules above hold inside them too.
//   - A missing member leaves its field as it is. Whether it had to be there is
//     for the caller to say.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxDepth   = 32
	maxMembers = 4096
	// listSlack is how many bytes of list elements any document may have; a
	// larger one may have as many as its text is long.
	listSlack = 1 << 20
)

// Unmarshal decodes data, which must be one JSON value, into what v points to.
// Its errors name the member, as in `segments[3].keys`. After an error v may
// be partly filled.
func Unmarshal(data []byte, v any) error {
	target := reflect.ValueOf(v)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return fmt.Errorf("cannot decode JSON into a %T: not a pointer", v)
	}
	if bytes.HasPrefix(data, []byte("\ufeff")) {
		return errors.New("the JSON text begins with a byte order mark")
	}
	if !utf8.Valid(data) {
		return errors.New("the JSON text is not UTF-8")
	}
	if err := json.Unmarshal(data, new(syntaxOnly)); err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	w := walker{
		data: data, dec: json.NewDecoder(bytes.NewReader(data)), room: listSlack + len(data),
		known: make(map[reflect.Type]map[string]reflect.Type),
	}
	w.dec.UseNumber()
	if err := w.value(target.Type().Elem(), nil); err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}

// syntaxOnly takes any JSON value, after encoding/json has gone over the whole
// text.
type syntaxOnly struct{}

func (*syntaxOnly) UnmarshalJSON([]byte) error { return nil }

// A walker goes over a document that is known to be JSON, beside the type it
// will be decoded into, and looks for what encoding/json would let pass.
type walker struct {
	data  []byte
	dec   *json.Decoder
	room  int                                      // bytes that list elements may still take
	known map[reflect.Type]map[string]reflect.Type // the fields of each struct met
}

// A path leads to a value: a linked list, so that walking allocates nothing.
type path struct {
	up    *path
	name  string // of a member
	index int    // of an element, if name is empty
}

func (p *path) String() string {
	if p == nil {
		return ""
	}
	if p.name == "" {
		return p.up.String() + "[" + strconv.Itoa(p.index) + "]"
	}
	if p.up == nil {
		return p.name
	}
	return p.up.String() + "." + p.name
}

func (p *path) depth() (n int) {
	for ; p != nil; p = p.up {
		n++
	}
	return n
}

// errorf makes an error about the value at p.
func (p *path) errorf(format string, args ...any) error {
	if p == nil {
		return fmt.Errorf("the JSON text: "+format, args...)
	}
	return fmt.Errorf("member %.200q: "+format, append([]any{p.String()}, args...)...)
}

// value checks the next value against t; a nil t takes anything.
func (w *walker) value(t reflect.Type, at *path) error {
	start := w.dec.InputOffset()
	token, err := w.dec.Token()
	if err != nil {
		return at.errorf("%w", err)
	}
	if token == nil && refusesNull(t) {
		return at.errorf("null instead of a %s", t)
	}
	inner := t
	for inner != nil && inner.Kind() == reflect.Pointer && !decodesItself(inner) {
		inner = inner.Elem()
	}
	switch token {
	case json.Delim('{'):
		err = w.object(inner, at)
	case json.Delim('['):
		err = w.array(inner, at)
	default:
		err = w.text(start, at)
	}
	if err != nil || t == nil || token == nil || hasParts(token, inner) || isPlain(token, t) {
		return err
	}
	// Decoding a leaf by itself lets its error name the member.
	raw := bytes.TrimLeft(w.data[start:w.dec.InputOffset()], ":, \t\r\n")
	if err := json.Unmarshal(raw, reflect.New(t).Interface()); err != nil {
		return at.errorf("%w", err)
	}
	return nil
}

// object checks the members of an object, up to its closing brace.
func (w *walker) object(t reflect.Type, at *path) error {
	if at.depth() >= maxDepth {
		return at.errorf("nested deeper than %d", maxDepth)
	}
	known, ok := w.known[t]
	if !ok {
		known = fieldsOf(t)
		w.known[t] = known
	}
	seen := make(map[string]bool)
	for w.dec.More() {
		start := w.dec.InputOffset()
		token, err := w.dec.Token()
		if err != nil {
			return at.errorf("%w", err)
		}
		name, ok := token.(string)
		if !ok {
			return at.errorf("a member without a name")
		}
		member := &path{up: at, name: name}
		if err := w.text(start, member); err != nil {
			return err
		}
		if seen[name] {
			return member.errorf("given twice")
		}
		if seen[name] = true; len(seen) > maxMembers {
			return at.errorf("more than %d members", maxMembers)
		}
		value, err := memberType(t, known, name, member)
		if err != nil {
			return err
		}
		if err := w.value(value, member); err != nil {
			return err
		}
	}
	_, err := w.dec.Token()
	return err
}

// memberType is the type that a member is decoded into; nil if it is unknown.
func memberType(t reflect.Type, known map[string]reflect.Type, name string, at *path) (reflect.Type, error) {
	if t != nil && t.Kind() == reflect.Map {
		return t.Elem(), nil
	}
	if value, ok := known[name]; ok {
		return value, nil
	}
	for field := range known {
		if strings.EqualFold(field, name) {
			return nil, at.errorf("written otherwise than %q", field)
		}
	}
	return nil, nil
}

// array checks the elements of an array, up to its closing bracket.
func (w *walker) array(t reflect.Type, at *path) error {
	if at.depth() >= maxDepth {
		return at.errorf("nested deeper than %d", maxDepth)
	}
	var element reflect.Type
	if t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) && !decodesItself(t) {
		element = t.Elem()
	}
	n := 0
	for ; w.dec.More(); n++ {
		here := &path{up: at, index: n}
		if element != nil {
			if w.room -= int(element.Size()); w.room < 0 {
				return here.errorf("the lists take far more memory than the text is long")
			}
		}
		if err := w.value(element, here); err != nil {
			return err
		}
	}
	if element != nil && t.Kind() == reflect.Array && n != t.Len() {
		return at.errorf("%d elements instead of %d", n, t.Len())
	}
	_, err := w.dec.Token()
	return err
}

// text refuses half surrogates in the token that starts after offset start:
// encoding/json reads them all as the same replacement character.
func (w *walker) text(start int64, at *path) error {
	raw := w.data[start:w.dec.InputOffset()]
	for i := bytes.IndexByte(raw, '\\'); i >= 0 && i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		if raw[i+1] != 'u' {
			i++
			continue
		}
		switch unit := hex4(raw[i+2:]); {
		case unit >= 0xdc00 && unit < 0xe000:
			return at.errorf("holds half a surrogate pair")
		case unit >= 0xd800 && unit < 0xdc00:
			low := raw[i+6:]
			if !bytes.HasPrefix(low, []byte(`\u`)) || hex4(low[2:]) < 0xdc00 || hex4(low[2:]) >= 0xe000 {
				return at.errorf("holds half a surrogate pair")
			}
			i += 6
		}
		i += 5
	}
	return nil
}

// hex4 reads four hexadecimal digits, which valid JSON has after \u.
func hex4(b []byte) uint64 {
	n, _ := strconv.ParseUint(string(b[:4]), 16, 16)
	return n
}
