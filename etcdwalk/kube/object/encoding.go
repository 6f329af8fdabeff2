package object

import (
	"bytes"
	"strings"
	"unicode"
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

// Unnamed is the encoding of a value that is encrypted at rest by nobody knows what, or
// of an opaque one: what an encoding is counted as that is one too many to name.
func (e Encoding) Unnamed() Encoding {
	if e.Encrypted() {
		return sealedUnknown
	}
	return Opaque
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

// Seal names provider and key of a value that was encrypted at rest, as in
// "aescbc key cbc32"; a KMS has the name of its plugin. It is empty for others.
func (e Encoding) Seal() string {
	rest, ok := strings.CutPrefix(string(e), sealedMagic)
	parts := strings.SplitN(rest, ":", 3)
	switch {
	case e == sealedUnknown:
		return "an unknown provider"
	case !ok || len(parts) != 3:
		return ""
	case parts[0] == "kms":
		return "kms " + parts[1] + " plugin " + parts[2]
	}
	return parts[0] + " key " + parts[2]
}
