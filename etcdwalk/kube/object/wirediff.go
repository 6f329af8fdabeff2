package object

import (
	"bytes"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// A wireMessage is a compiled-in type of Kubernetes that protobuf can carry.
type wireMessage interface {
	Marshal() ([]byte, error)
	Unmarshal(data []byte) error
}

// rawOf is the object in a runtime.Unknown.
func rawOf(value []byte) (raw []byte, err error) {
	err = eachField(value[len(protobufMagic):], "envelope", func(f field) error {
		if f.number == unknownRaw {
			return f.once(&raw)
		}
		return nil
	})
	return raw, err
}

// lostOnTheWire names what a stored message has that its type, encoded again, has not.
// Lengths would not tell: newer types write fields that the stored message has not.
func lostOnTheWire(typed any, stored, again []byte) []string {
	if bytes.Equal(stored, again) { // as long as the types are those of the writer
		return nil
	}
	d := wireDiff{}
	d.compare(reflect.TypeOf(typed), "", stored, again, 0)
	return d.lost
}

type wireDiff struct{ lost []string }

// mostLost bounds how many paths are named: a hostile value can have one in two bytes.
const mostLost = 64

// deepest bounds how deep messages are followed.
const deepest = 100

// compare holds each field of a message against those of the same number in another.
// The type gives the fields their names.
func (d *wireDiff) compare(t reflect.Type, path string, stored, again []byte, depth int) {
	have, ok := byNumber(stored)
	kept, same := byNumber(again)
	if !ok || !same || depth > deepest {
		d.add(path)
		return
	}
	for _, number := range have.order {
		name, child := member(t, number)
		left, rest := unmatched(have.fields[number], kept.fields[number])
		for i, f := range left {
			at := join(path, name)
			switch {
			case i >= len(rest):
				d.add(at)
			case f.kind != protowire.BytesType || rest[i].kind != protowire.BytesType:
				d.add(at)
			default:
				d.compare(child, at, f.bytes, rest[i].bytes, depth+1)
			}
		}
	}
}

func (d *wireDiff) add(path string) {
	if len(d.lost) < mostLost && (len(d.lost) == 0 || d.lost[len(d.lost)-1] != path) {
		d.lost = append(d.lost, path)
	}
}

// A wireFields is a message's fields by their numbers, in the order of their first.
type wireFields struct {
	order  []protowire.Number
	fields map[protowire.Number][]field
}

func byNumber(message []byte) (wireFields, bool) {
	w := wireFields{fields: map[protowire.Number][]field{}}
	err := eachField(message, "", func(f field) error {
		if w.fields[f.number] == nil {
			w.order = append(w.order, f.number)
		}
		w.fields[f.number] = append(w.fields[f.number], f)
		return nil
	})
	return w, err == nil
}

// unmatched takes out of both lists what is in both: the entries of a map have no order.
func unmatched(stored, again []field) (left, rest []field) {
	if len(stored) == len(again) { // mostly they are the same
		same := true
		for i := range stored {
			same = same && stored[i].equal(again[i])
		}
		if same {
			return nil, nil
		}
	}
	count := map[string]int{}
	for _, f := range again {
		count[f.text()]++
	}
	for _, f := range stored {
		if count[f.text()] > 0 {
			count[f.text()]--
			continue
		}
		left = append(left, f)
	}
	for _, f := range again {
		if count[f.text()] > 0 {
			count[f.text()]--
			rest = append(rest, f)
		}
	}
	return left, rest
}

func (f field) equal(g field) bool {
	return f.kind == g.kind && f.number64 == g.number64 && bytes.Equal(f.bytes, g.bytes)
}

// text is what makes the field equal to another.
func (f field) text() string {
	return strconv.Itoa(int(f.kind)) + ":" + strconv.FormatUint(f.number64, 16) + ":" + string(f.bytes)
}

// member is the name of a type's field in JSON, and its type, by its number.
func member(t reflect.Type, number protowire.Number) (name string, child reflect.Type) {
	for t != nil && (t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice) {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct {
		return fmt.Sprintf("(field %d)", number), nil
	}
	for i := range t.NumField() {
		f := t.Field(i)
		_, rest, ok := strings.Cut(f.Tag.Get("protobuf"), ",")
		digits, _, _ := strings.Cut(rest, ",")
		if !ok || digits != strconv.Itoa(int(number)) {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		return name, f.Type
	}
	return fmt.Sprintf("(field %d)", number), nil
}

// join puts a name behind a path; inlined members have none.
func join(path, name string) string {
	switch {
	case path == "":
		return name
	case name == "":
		return path
	}
	return path + "." + name
}
