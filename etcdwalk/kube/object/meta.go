package object

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

var (
	// ErrUnreadable: the metadata of a value cannot be read, because the value is
	// encrypted, damaged, or no object.
	ErrUnreadable = errors.New("metadata cannot be read")
	// ErrNoObject is the [ErrUnreadable] of what does not even begin like one.
	ErrNoObject = errors.New("it does not begin like a stored object")
)

// Meta is what a stored object says of itself.
type Meta struct {
	APIVersion, Kind     string
	Name, Namespace, UID string
	Labels               map[string]string
	Owners               []Owner
	Finalizers           []string
	// Created is its creationTimestamp; zero if it has none.
	Created time.Time
	// Deleting says that it has a deletionTimestamp.
	Deleting bool
}

// An Owner is an owner reference: the object that the garbage collector keeps this one
// for.
type Owner struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	UID        string `json:"uid"`
	Controller bool   `json:"controller"`
}

// Read tells the encoding of a value and reads its metadata without decoding the
// rest. Of what a kube-apiserver would drop from malformed metadata, labels that are
// no texts for instance, there is nothing. The error is an [ErrUnreadable], and
// repeats no byte of the value.
func Read(value []byte) (Encoding, Meta, error) {
	var (
		meta Meta
		err  error
	)
	encoding := encodingByMark(value)
	switch encoding {
	case Protobuf:
		err = meta.readProtobuf(value[len(protobufMagic):])
	case JSON:
		err = meta.readJSON(value)
	case CBOR:
		err = meta.readCBOR(value)
	case Opaque:
		var ok bool
		if meta, ok = metaOfYAML(value); ok {
			return YAML, meta, nil
		}
		err = ErrNoObject
	default:
		err = fmt.Errorf("it is encrypted at rest (%s)", encoding)
	}
	if err != nil {
		return encoding, Meta{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return encoding, meta, nil
}

// moment reads a time as the API writes it; zero for what is none.
func moment(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// GroupKind names the kind as kubectl's -o name does: lower case, with the group if it
// has one.
func (m Meta) GroupKind() string {
	group, _, grouped := strings.Cut(m.APIVersion, "/")
	if !grouped || group == "" {
		return strings.ToLower(m.Kind)
	}
	return strings.ToLower(m.Kind) + "." + group
}
