package object

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// A structShape is how a struct type is printed: its members in the order of their names.
type structShape struct {
	members  []memberShape
	marshals bool // itself
	odd      bool // by rules that only the library knows
}

type memberShape struct {
	name      string
	printed   string // with what follows it
	index     []int  // of the field, in embedded ones too
	omitEmpty bool
	omitZero  bool
}

// value prints a value of a compiled-in type.
func (w *jsonWriter) value(v reflect.Value, depth int) error {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			w.out = append(w.out, "null"...)
			return nil
		}
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String:
		w.out = appendText(w.out, v.String())
	case reflect.Bool:
		w.out = strconv.AppendBool(w.out, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		w.out = strconv.AppendInt(w.out, v.Int(), 10)
	case reflect.Struct:
		return w.structure(v, depth)
	case reflect.Map:
		return w.mapping(v, depth)
	case reflect.Slice:
		return w.list(v, depth)
	default:
		return w.other(v.Interface(), depth)
	}
	return nil
}

func (w *jsonWriter) marshaler(own json.Marshaler, depth int) error {
	text, err := own.MarshalJSON()
	if err != nil {
		return errJSON
	}
	return w.raw(text, depth)
}

// inPlace is a value, or a pointer to a struct, which has its methods and saves a copy.
func inPlace(v reflect.Value) any {
	if v.Kind() == reflect.Struct && v.CanAddr() {
		return v.Addr().Interface()
	}
	return v.Interface()
}

func (w *jsonWriter) structure(v reflect.Value, depth int) error {
	shape := w.printer.shapeOf(v.Type())
	switch {
	case shape.marshals:
		own, _ := inPlace(v).(json.Marshaler)
		return w.marshaler(own, depth)
	case shape.odd:
		return w.other(inPlace(v), depth)
	}
	first := true
	for i := range shape.members {
		m := &shape.members[i]
		field := v.Field(m.index[0])
		for _, at := range m.index[1:] {
			field = field.Field(at)
		}
		if m.omitEmpty && isEmpty(field) || m.omitZero && isZero(field) {
			continue
		}
		w.open('{', first, depth)
		w.out = append(w.out, m.printed...)
		if err := w.value(field, depth+1); err != nil {
			return err
		}
		first = false
	}
	w.end("{}", first, depth)
	return nil
}

func (w *jsonWriter) mapping(v reflect.Value, depth int) error {
	if v.IsNil() {
		w.out = append(w.out, "null"...)
		return nil
	}
	if texts, ok := v.Interface().(map[string]string); ok {
		names := slices.AppendSeq(make([]string, 0, 16), maps.Keys(texts))
		slices.Sort(names)
		for i, name := range names {
			w.name(name, i == 0, depth)
			w.out = appendText(w.out, texts[name])
		}
		w.end("{}", len(texts) == 0, depth)
		return nil
	}
	if v.Type().Key().Kind() != reflect.String {
		return w.other(v.Interface(), depth)
	}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for i, key := range keys {
		w.name(key.String(), i == 0, depth)
		if err := w.value(v.MapIndex(key), depth+1); err != nil {
			return err
		}
	}
	w.end("{}", len(keys) == 0, depth)
	return nil
}

func (w *jsonWriter) list(v reflect.Value, depth int) error {
	switch {
	case v.IsNil():
		w.out = append(w.out, "null"...)
		return nil
	case v.Type().Elem().Kind() == reflect.Uint8:
		w.out = append(w.out, '"')
		w.out = base64.StdEncoding.AppendEncode(w.out, v.Bytes())
		w.out = append(w.out, '"')
		return nil
	}
	for i := range v.Len() {
		w.open('[', i == 0, depth)
		if err := w.value(v.Index(i), depth+1); err != nil {
			return err
		}
	}
	w.end("[]", v.Len() == 0, depth)
	return nil
}

// shapeOf is the shape of a struct type.
func (p *Printer) shapeOf(t reflect.Type) *structShape {
	if known, ok := p.shapes.Load(t); ok {
		shape, _ := known.(*structShape)
		return shape
	}
	marshaler := reflect.TypeFor[json.Marshaler]()
	shape := &structShape{marshals: t.Implements(marshaler), odd: reflect.PointerTo(t).Implements(marshaler)}
	shape.add(t, nil)
	slices.SortFunc(shape.members, func(a, b memberShape) int { return strings.Compare(a.name, b.name) })
	for i := range shape.members {
		if i > 0 && shape.members[i].name == shape.members[i-1].name {
			shape.odd = true // which of them is meant, the library knows
		}
	}
	p.shapes.Store(t, shape)
	return shape
}

// add takes the fields of a struct, and those of the structs that are embedded in it.
func (s *structShape) add(t reflect.Type, at []int) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		index := append(slices.Clone(at), i)
		switch {
		case f.Tag.Get("json") == "-", !f.IsExported() && !f.Anonymous:
			continue
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			s.add(f.Type, index)
			continue
		case f.Anonymous && name == "":
			s.odd = true
			continue
		case name == "":
			name = f.Name
		}
		m := memberShape{name: name, printed: string(appendText(nil, name)) + ": ", index: index}
		for option := range strings.SplitSeq(options, ",") {
			switch option {
			case "omitempty":
				m.omitEmpty = true
			case "omitzero":
				m.omitZero = true
			case "string":
				s.odd = true
			}
		}
		s.members = append(s.members, m)
	}
}

// isEmpty is what omitempty means (encoding/json).
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	default:
		return v.IsZero()
	}
}

// isZero is what omitzero means.
func isZero(v reflect.Value) bool {
	if own, ok := inPlace(v).(interface{ IsZero() bool }); ok && (v.Kind() != reflect.Pointer || !v.IsNil()) {
		return own.IsZero()
	}
	return v.IsZero()
}
