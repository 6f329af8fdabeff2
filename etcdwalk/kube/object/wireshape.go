package object

import (
	"reflect"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A wireShape is what a compiled-in type knows of its message: the fields by their numbers.
type wireShape struct{ fields []*wireField }

// A wireField is a field that a type knows.
type wireField struct {
	name     string     // in JSON; empty: its members are shown as if they were the type's
	inner    *wireShape // of the message that it is; nil: it is none
	repeated bool       // it may be there several times
	quantity bool       // it is the text of a quantity
	dropped  bool       // the type reads it and forgets it, unless it is 0
}

// mostFields is above the number of any field of Kubernetes.
const mostFields = 128

// field is the field with a number; nil: the type knows none.
func (s *wireShape) field(number protowire.Number) *wireField {
	if int(number) >= len(s.fields) {
		return nil
	}
	return s.fields[number]
}

func (s *wireShape) set(number int, f wireField) {
	for len(s.fields) <= number {
		s.fields = append(s.fields, nil)
	}
	s.fields[number] = &f
}

// A shapeMemo remembers the shapes of types. The zero value is ready.
type shapeMemo struct{ known sync.Map }

var wireShapes shapeMemo //nolint:gochecknoglobals // what a type knows never changes

// of is the shape of a type.
func (s *shapeMemo) of(t reflect.Type) *wireShape {
	if known, ok := s.known.Load(t); ok {
		shape, _ := known.(*wireShape)
		return shape
	}
	shape := shapeOf(t, map[reflect.Type]*wireShape{})
	s.known.Store(t, shape)
	return shape
}

// shapeOf makes the shape of a type's message out of what its fields' tags say; nil if the
// type is no message. The types that Kubernetes encodes by hand have no tags.
func shapeOf(t reflect.Type, begun map[reflect.Type]*wireShape) *wireShape {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if shape, ok := begun[t]; ok {
		return shape
	}
	shape := &wireShape{}
	switch {
	case t == reflect.TypeFor[resource.Quantity]():
		shape.set(1, wireField{quantity: true})
	case t == reflect.TypeFor[metav1.Time]():
		shape.set(1, wireField{})
		shape.set(2, wireField{name: "nanos", dropped: true})
	case t == reflect.TypeFor[metav1.MicroTime]():
		shape.set(1, wireField{})
		shape.set(2, wireField{})
	case t.Kind() == reflect.Struct:
		begun[t] = shape
		for i := range t.NumField() {
			shape.add(t.Field(i), begun)
		}
	case reflect.PointerTo(t).Implements(reflect.TypeFor[wireMessage]()): // a named list
		shape.set(1, wireField{repeated: true, inner: shapeOf(t.Elem(), begun)})
	default:
		return nil
	}
	return shape
}

// add takes a field of a struct, if it has a number.
func (s *wireShape) add(f reflect.StructField, begun map[reflect.Type]*wireShape) {
	_, rest, _ := strings.Cut(f.Tag.Get("protobuf"), ",")
	digits, _, _ := strings.Cut(rest, ",")
	number, err := strconv.Atoi(digits)
	if err != nil || number >= mostFields {
		return
	}
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	field, t := wireField{name: name}, f.Type
	switch message := reflect.PointerTo(t).Implements(reflect.TypeFor[wireMessage]()); {
	case message:
		field.inner = shapeOf(t, begun)
	case t.Kind() == reflect.Map:
		field.repeated, field.inner = true, &wireShape{}
		field.inner.set(1, wireField{})
		field.inner.set(2, wireField{inner: shapeOf(t.Elem(), begun)})
	case t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8:
		field.repeated, field.inner = true, shapeOf(t.Elem(), begun)
	default:
		field.inner = shapeOf(t, begun)
	}
	s.set(number, field)
}
