package object

import (
	"bytes"
	"errors"
	"reflect"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"k8s.io/apimachinery/pkg/api/resource"
)

// errQuantity: resource.ParseQuantity works in proportion to the exponent and, worse, to
// the number of digits: with "12345678901234567890e99999" for seconds, with more digits
// for days. No API server has ever stored one like that.
var errQuantity = errors.New("it has a quantity that no machine has")

// maxQuantity is how long a quantity may be, in bytes. Those of Kubernetes have 20.
const maxQuantity = 64

var (
	// amount is what a quantity is: digits, and a suffix or an exponent.
	amount = regexp.MustCompile(`^[+-]?[0-9.]+([eE][+-]?[0-9]+|[numkKMGTPE]?i?)$`)
	// far is an exponent of which no machine has the quantity.
	far = regexp.MustCompile(`[eE][+-]?0*[1-9][0-9]{2}`)
	// mayBeOutsized finds in JSON what may be an outsized quantity.
	mayBeOutsized = regexp.MustCompile(`[0-9.][eE][+-]?[0-9]{3}|[0-9.]{60}`)
)

// outsized tells whether a text is a number, and one of 100 digits or more.
func outsized(text []byte) bool {
	if len(text) < 4 || text[0] > '9' || len(text) <= maxQuantity && bytes.IndexByte(text, 'e') < 0 && bytes.IndexByte(text, 'E') < 0 {
		return false
	}
	return amount.Match(text) && (len(text) > maxQuantity || far.Match(text))
}

// checkQuantitiesOf looks for outsized quantities in JSON that is to be decoded into a
// type, where this type has them.
func checkQuantitiesOf(into any, text []byte) error {
	if !mayBeOutsized.Match(text) {
		return nil
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if err := eachQuantity(dec, reflect.TypeOf(into)); errors.Is(err, errQuantity) {
		return err
	}
	return nil // what else is wrong, the decoder says
}

// isQuantity tells whether a type is that of quantities.
func isQuantity(t reflect.Type) bool { return t == reflect.TypeFor[resource.Quantity]() }

// eachQuantity reads one value, which is to become a t; nil: nothing that is known.
func eachQuantity(dec *jsontext.Decoder, t reflect.Type) error {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch kind := dec.PeekKind(); {
	case t == nil:
		return dec.SkipValue()
	case isQuantity(t):
		text, err := dec.ReadValue()
		if err == nil && outsized(bytes.Trim(text, `" `)) {
			err = errQuantity
		}
		return err
	case kind == jsontext.KindBeginObject:
		return eachMember(dec, func(name string) error { return eachQuantity(dec, memberType(t, name)) })
	case kind == jsontext.KindBeginArray && t.Kind() == reflect.Slice:
		if _, err := dec.ReadToken(); err != nil {
			return err
		}
		for dec.PeekKind() != jsontext.KindEndArray {
			if err := eachQuantity(dec, t.Elem()); err != nil {
				return err
			}
		}
		_, err := dec.ReadToken()
		return err
	}
	return dec.SkipValue()
}

// memberType is what a member of a JSON object becomes: a field, or a map's value.
func memberType(t reflect.Type, name string) reflect.Type {
	if t.Kind() == reflect.Map {
		return t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	for i := range t.NumField() {
		f := t.Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case tag == name && name != "":
			return f.Type
		case tag == "" && f.Anonymous:
			if found := memberType(f.Type, name); found != nil {
				return found
			}
		}
	}
	return nil
}
