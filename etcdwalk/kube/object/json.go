package object

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// errShape: valid JSON, but of another type than metadata has.
var errShape = errors.New("the JSON object has a member of a wrong type")

// readJSON reads apiVersion, kind and metadata; all other members are passed
// over. It minds the case of names: a custom resource may have a member called
// metaData. Of a name that comes twice the last one counts, as it does for a
// kube-apiserver.
func (m *Meta) readJSON(value []byte) error {
	dec := jsontext.NewDecoder(bytes.NewBuffer(value), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	err := eachMember(dec, func(name string) error {
		switch name {
		case "apiVersion":
			return readText(dec, &m.APIVersion)
		case "kind":
			return readText(dec, &m.Kind)
		case "metadata":
			return eachMember(dec, func(name string) error { return m.readMember(dec, name) })
		}
		return dec.SkipValue()
	})
	if err != nil {
		return jsonError(err)
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON object")
	}
	return nil
}

func (m *Meta) readMember(dec *jsontext.Decoder, name string) error {
	switch name {
	case "name":
		return readText(dec, &m.Name)
	case "namespace":
		return readText(dec, &m.Namespace)
	case "uid":
		return readText(dec, &m.UID)
	case "deletionTimestamp":
		m.Deleting = dec.PeekKind() == jsontext.KindString
		return readText(dec, new(string))
	case "creationTimestamp":
		var text string
		err := readLenient(dec, &text)
		m.Created = moment(text)
		return err
	case "labels":
		return readLenient(dec, &m.Labels)
	case "finalizers":
		return readLenient(dec, &m.Finalizers)
	case "ownerReferences":
		return readLenient(dec, &m.Owners)
	}
	return dec.SkipValue()
}

// readLenient reads a value of a type; of another it takes nothing, as a
// kube-apiserver drops malformed metadata of a custom resource
// (apiextensions-apiserver: pkg/apiserver/schema/objectmeta/coerce.go).
func readLenient[T any](dec *jsontext.Decoder, to *T) error {
	value, err := dec.ReadValue()
	if err != nil {
		return err
	}
	var read T
	if json.Unmarshal(value, &read, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) == nil {
		*to = read
	}
	return nil
}

// readText reads a string, or a null, which leaves the string as it is.
func readText(dec *jsontext.Decoder, s *string) error {
	t, err := dec.ReadToken()
	switch {
	case err != nil:
		return err
	case t.Kind() == jsontext.KindString:
		*s = t.String()
	case t.Kind() != jsontext.KindNull:
		return errShape
	}
	return nil
}

// eachMember reads a JSON object and calls f before the value of each member,
// which f must take.
func eachMember(dec *jsontext.Decoder, f func(name string) error) error {
	if t, err := dec.ReadToken(); err != nil {
		return err
	} else if t.Kind() != jsontext.KindBeginObject {
		return errShape
	}
	for dec.PeekKind() != jsontext.KindEndObject {
		t, err := dec.ReadToken()
		if err != nil {
			return err
		}
		if err := f(t.String()); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

// jsonError says what is wrong without a byte of the value, which the library
// quotes in some of its errors.
func jsonError(err error) error {
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the JSON object breaks off")
	case errors.As(err, &syntax):
		return fmt.Errorf("no JSON at byte %d", syntax.ByteOffset)
	default:
		return errShape
	}
}
