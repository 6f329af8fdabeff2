// Package strictjson decodes JSON that has one meaning only, within bounds.
//
// [Unmarshal] decodes as version 2 of encoding/json does, which refuses members given
// twice, text that is not UTF-8, half surrogates, and arrays of another length. What
// is left to this package: a member that fits a field only if case is ignored, which
// other readers take for it; null for a plain value, which is no value; and what a
// hostile document may cost: nesting, members per object, and the memory that lists
// take once decoded.
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
	"encoding"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxDepth   = 32
	maxMembers = 4096
	// listSlack is how many bytes of list elements any document may have; a
	// larger one may have as many as its text is long.
	listSlack = 1 << 20
)

// Unmarshal decodes data, which must be one JSON value, into what v points to.
// Its errors name the member, as in "/segments/3/keys". After an error v may
// be partly filled.
func Unmarshal(data []byte, v any) error {
	target := reflect.ValueOf(v)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return fmt.Errorf("cannot decode JSON into a %T: not a pointer", v)
	}
	w := walker{
		dec: jsontext.NewDecoder(bytes.NewBuffer(data)), room: listSlack + len(data),
		known: make(map[reflect.Type]map[string]reflect.Type),
	}
	if err := w.value(target.Type().Elem()); err != nil {
		return err
	}
	if _, err := w.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("not JSON: something follows the value")
	}
	if err := json.Unmarshal(data, v); err != nil {
		return short(err)
	}
	return nil
}

// short bounds what an error may repeat of a document.
func short(err error) error {
	const most = 400
	text := err.Error()
	if len(text) <= most {
		return err
	}
	return errors.New(strings.ToValidUTF8(text[:most], "") + "…")
}

// A walker goes over a document beside the type that it will be decoded into, and looks
// for what decoding would let pass.
type walker struct {
	dec   *jsontext.Decoder
	room  int                                      // bytes that list elements may still take
	known map[reflect.Type]map[string]reflect.Type // the fields of each struct met
}

// errorf makes an error about the last value that was read.
func (w *walker) errorf(format string, args ...any) error {
	return fmt.Errorf("member %.200q: "+format, append([]any{string(w.dec.StackPointer())}, args...)...)
}

// token reads the next token.
func (w *walker) token() (jsontext.Token, error) {
	token, err := w.dec.ReadToken()
	if err != nil {
		return token, fmt.Errorf("not JSON: %w", short(err))
	}
	return token, nil
}

// value checks the next value against t; a nil t takes anything.
func (w *walker) value(t reflect.Type) error {
	token, err := w.token()
	if err != nil {
		return err
	}
	kind := token.Kind()
	if kind == 'n' && refusesNull(t) {
		return w.errorf("null instead of a %s", t)
	}
	for t != nil && t.Kind() == reflect.Pointer && !decodesItself(t) {
		t = t.Elem()
	}
	if t != nil && decodesItself(t) {
		t = nil
	}
	if w.dec.StackDepth() > maxDepth {
		return w.errorf("nested deeper than %d", maxDepth)
	}
	switch kind {
	case '{':
		return w.object(t)
	case '[':
		return w.array(t)
	}
	return nil
}

// object checks the members of an object, up to its closing brace.
func (w *walker) object(t reflect.Type) error {
	for members := 0; w.dec.PeekKind() != '}'; {
		token, err := w.token()
		if err != nil {
			return err
		}
		if members++; members > maxMembers {
			return w.errorf("more than %d members", maxMembers)
		}
		member, err := w.memberType(t, token.String())
		if err != nil {
			return err
		}
		if err := w.value(member); err != nil {
			return err
		}
	}
	_, err := w.token()
	return err
}

// memberType is the type that a member is decoded into; nil if it is unknown.
func (w *walker) memberType(t reflect.Type, name string) (reflect.Type, error) {
	if t != nil && t.Kind() == reflect.Map {
		return t.Elem(), nil
	}
	known := w.fieldsOf(t)
	if value, ok := known[name]; ok {
		return value, nil
	}
	for field := range known {
		if strings.EqualFold(field, name) {
			return nil, w.errorf("written otherwise than %q", field)
		}
	}
	return nil, nil
}

// array checks the elements of an array, up to its closing bracket.
func (w *walker) array(t reflect.Type) error {
	var element reflect.Type
	if t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) {
		element = t.Elem()
	}
	for w.dec.PeekKind() != ']' {
		if element != nil {
			if w.room -= int(element.Size()); w.room < 0 {
				return w.errorf("the lists take far more memory than the text is long")
			}
		}
		if err := w.value(element); err != nil {
			return err
		}
	}
	_, err := w.token()
	return err
}

// fieldsOf are the members that are decoded into fields of a struct; nil for all
// other types.
func (w *walker) fieldsOf(t reflect.Type) map[string]reflect.Type {
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	if known, ok := w.known[t]; ok {
		return known
	}
	fields := make(map[string]reflect.Type)
	for _, f := range reflect.VisibleFields(t) {
		tag := f.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		if !f.IsExported() || tag == "-" || (f.Anonymous && name == "") {
			continue
		}
		if name == "" {
			name = f.Name
		}
		fields[name] = f.Type
	}
	w.known[t] = fields
	return fields
}

// decodesItself tells whether a type has a decoding of its own. The methods are those of
// the standard library, whose interface for JSON has but one.
func decodesItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[json.Unmarshaler]()) || p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// refusesNull tells whether decoding would take a null for the zero value.
func refusesNull(t reflect.Type) bool {
	if t == nil {
		return false
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		return false
	}
	return true
}
