package strictjson

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
)

// fieldsOf are the members that encoding/json knows of a struct; nil for all
// other types and for those that decode themselves.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	if t == nil || t.Kind() != reflect.Struct || decodesItself(t) {
		return nil
	}
	fields := make(map[string]reflect.Type)
	for _, f := range reflect.VisibleFields(t) {
		tag := f.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		if !f.IsExported() || tag == "-" || (f.Anonymous && name == "") {
			continue
		}
		if name == "" {
			name = f.Name
		}
		fields[name] = f.Type
		if strings.Contains(","+options+",", ",string,") {
			fields[name] = nil // the whole decoding checks it
		}
	}
	return fields
}

// hasParts tells whether the value that token begins is decoded into t part by
// part, so that each part was checked by itself.
func hasParts(token json.Token, t reflect.Type) bool {
	delim, ok := token.(json.Delim)
	if !ok || decodesItself(t) {
		return false
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return delim == '{'
	case reflect.Slice, reflect.Array:
		return delim == '['
	}
	return false
}

// isPlain tells whether token fits into t for certain. It spares the common
// leaves a decoding of their own.
func isPlain(token json.Token, t reflect.Type) bool {
	if decodesItself(t) {
		return false
	}
	switch v := token.(type) {
	case string:
		return t.Kind() == reflect.String
	case bool:
		return t.Kind() == reflect.Bool
	case json.Number:
		if reflect.Int <= t.Kind() && t.Kind() <= reflect.Int64 {
			_, err := strconv.ParseInt(v.String(), 10, t.Bits())
			return err == nil
		}
	}
	return false
}

func decodesItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[json.Unmarshaler]()) || p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// refusesNull tells whether encoding/json would pass over a null silently.
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
