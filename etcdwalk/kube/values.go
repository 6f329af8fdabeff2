package kube

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"unicode"

	"google.golang.org/protobuf/encoding/protowire"
)

// An Encoding is how a value is stored: one of the constants, or, for a value
// that is encrypted at rest, provider and key name as the value states them:
// "k8s:enc:aescbc:v1:key1".
type Encoding string

// The encodings of values that are not encrypted.
const (
	Protobuf Encoding = "protobuf"
	JSON     Encoding = "json"
	YAML     Encoding = "yaml" // which no API server writes, and each reads
	CBOR     Encoding = "cbor"
	Opaque   Encoding = "opaque" // not a stored object
)

const (
	protobufMagic = "k8s\x00"
	cborMagic     = "\xd9\xd9\xf7" // the self-described tag
	sealedMagic   = "k8s:enc:"
	sealedUnknown = "k8s:enc" // encrypted, but nobody knows by what
	maxSealName   = 300       // bytes of provider and key name that are believed
)

// ErrUnreadable: the metadata of a value cannot be read, because the value is
// encrypted, of an encoding that kubeferry does not decode, or damaged.
var ErrUnreadable = errors.New("metadata cannot be read")

var errNoObject = errors.New("it does not begin like a stored object")

// EncodingOf tells the encoding as a kube-apiserver does: by the value's first
// bytes, and YAML, which has no such mark, by reading it
// (apimachinery: pkg/runtime/serializer/recognizer, json.Serializer.RecognizesData).
func EncodingOf(value []byte) Encoding {
	encoding := encodingByMark(value)
	if encoding == Opaque {
		if _, ok := metaOfYAML(value); ok {
			return YAML
		}
	}
	return encoding
}

// encodingByMark is opaque for YAML as well.
func encodingByMark(value []byte) Encoding {
	switch {
	case bytes.HasPrefix(value, []byte(protobufMagic)):
		return Protobuf
	case bytes.HasPrefix(value, []byte("{")):
		return JSON
	case bytes.HasPrefix(value, []byte(cborMagic)):
		return CBOR
	case bytes.HasPrefix(value, []byte(sealedMagic)):
		return sealOf(value)
	case bytes.HasPrefix(bytes.TrimLeftFunc(value, unicode.IsSpace), []byte("{")):
		return JSON
	default:
		return Opaque
	}
}

// Encrypted tells whether the value was encrypted at rest.
func (e Encoding) Encrypted() bool {
	return e == sealedUnknown || (len(e) > len(sealedMagic) && e[:len(sealedMagic)] == sealedMagic)
}

// sealOf reads "k8s:enc:<provider>:<version>:<key name>:".
func sealOf(value []byte) Encoding {
	head, colons := value[:min(len(value), maxSealName)], 0
	for i, c := range head {
		switch {
		case c < ' ' || c > '~':
			return sealedUnknown
		case c == ':':
			colons++
		}
		if colons == 5 {
			return Encoding(head[:i])
		}
	}
	return sealedUnknown
}

// Meta is what a stored object says of itself.
type Meta struct {
	APIVersion, Kind     string
	Name, Namespace, UID string
	// Deleting says that it has a deletionTimestamp.
	Deleting bool
}

// MetaOf reads the metadata of a protobuf, JSON or YAML value without decoding the
// rest. Its error is an [ErrUnreadable].
func MetaOf(value []byte) (Meta, error) {
	_, meta, err := read(value)
	return meta, err
}

// read tells the encoding and the metadata.
func read(value []byte) (Encoding, Meta, error) {
	var (
		meta Meta
		err  error
	)
	encoding := encodingByMark(value)
	switch encoding {
	case Protobuf:
		err = meta.readEnvelope(value[len(protobufMagic):])
	case JSON:
		err = meta.readJSON(value)
	case CBOR:
		err = errors.New("CBOR is not decoded")
	case Opaque:
		var ok bool
		if meta, ok = metaOfYAML(value); ok {
			return YAML, meta, nil
		}
		err = errNoObject
	default:
		err = fmt.Errorf("it is encrypted at rest (%s)", encoding)
	}
	if err != nil {
		return encoding, Meta{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return encoding, meta, nil
}

// readEnvelope reads a runtime.Unknown: 1 TypeMeta{1 apiVersion, 2 kind}, 2 the
// object, 3 its content encoding. In every compiled-in message field 1 is the
// metadata: 1 name, 3 namespace, 5 uid, 9 deletionTimestamp.
func (m *Meta) readEnvelope(b []byte) error {
	envelope, err := fields(b, "envelope", 1, 2, 3)
	if err != nil {
		return err
	}
	if len(envelope[2]) > 0 {
		return errors.New("the object in its envelope is encoded once more")
	}
	typed, err := fields(envelope[0], "type", 1, 2)
	if err != nil {
		return err
	}
	object, err := fields(envelope[1], "object", 1)
	if err != nil {
		return err
	}
	about, err := fields(object[0], "metadata", 1, 3, 5, 9)
	if err != nil {
		return err
	}
	m.APIVersion, m.Kind = string(typed[0]), string(typed[1])
	m.Name, m.Namespace, m.UID = string(about[0]), string(about[1]), string(about[2])
	m.Deleting = about[3] != nil
	return nil
}

// fields picks length-delimited fields out of a protobuf message: nil for one
// that is absent. It checks the form of all others. A wanted field that comes
// twice, which protobuf would merge, is an error.
func fields(message []byte, what string, want ...protowire.Number) ([][]byte, error) {
	got := make([][]byte, len(want))
	for rest := message; len(rest) > 0; {
		field, kind, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return nil, fmt.Errorf("%s: %w", what, protowire.ParseError(n))
		}
		rest = rest[n:]
		if n = protowire.ConsumeFieldValue(field, kind, rest); n < 0 {
			return nil, fmt.Errorf("%s, field %d: %w", what, field, protowire.ParseError(n))
		}
		if i := slices.Index(want, field); i >= 0 {
			if kind != protowire.BytesType || got[i] != nil {
				return nil, fmt.Errorf("%s, field %d: of a wrong type, or there twice", what, field)
			}
			v, _ := protowire.ConsumeBytes(rest)
			got[i] = v[:len(v):len(v)]
		}
		rest = rest[n:]
	}
	return got, nil
}
