package object

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Numbers of fields that each compiled-in type of Kubernetes has alike
// (apimachinery: pkg/runtime/generated.proto, pkg/apis/meta/v1/generated.proto).
const (
	unknownType, unknownRaw, unknownEncoding = 1, 2, 3
	typeAPIVersion, typeKind                 = 1, 2

	objectMetadata = 1

	metaName, metaNamespace, metaUID         = 1, 3, 5
	metaCreated, metaDeleted                 = 8, 9
	metaLabels, metaOwners, metaFinalizers   = 11, 13, 14
	timeSeconds                              = 1
	labelKey, labelValue                     = 1, 2
	ownerKind, ownerName, ownerUID, ownerAPI = 1, 3, 4, 5
	ownerController                          = 6
)

// readProtobuf reads a runtime.Unknown, and the metadata of the object in it. A single
// field that comes twice, which protobuf would merge, is an error.
func (m *Meta) readProtobuf(b []byte) error {
	raw, err := m.readEnvelope(b)
	if err != nil {
		return err
	}
	var about []byte
	err = eachField(raw, "object", func(f field) error {
		if f.number == objectMetadata {
			return f.once(&about)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return m.readMetadata(about)
}

// readEnvelope reads the type of the object in a runtime.Unknown, and returns the object.
func (m *Meta) readEnvelope(b []byte) (raw []byte, err error) {
	var typed []byte
	err = eachField(b, "envelope", func(f field) error {
		switch f.number {
		case unknownType:
			return f.once(&typed)
		case unknownRaw:
			return f.once(&raw)
		case unknownEncoding:
			if len(f.bytes) > 0 {
				return errors.New("the object in its envelope is encoded once more")
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return raw, texts(typed, "type", text{typeAPIVersion, &m.APIVersion}, text{typeKind, &m.Kind})
}

// fromTyped takes the metadata of a decoded object.
func (m *Meta) fromTyped(about metav1.Object) {
	m.Name, m.Namespace, m.UID = about.GetName(), about.GetNamespace(), string(about.GetUID())
	m.Labels, m.Finalizers, m.Deleting = about.GetLabels(), about.GetFinalizers(), about.GetDeletionTimestamp() != nil
	if created := about.GetCreationTimestamp(); !created.IsZero() {
		m.Created = created.UTC()
	}
	for _, o := range about.GetOwnerReferences() {
		m.Owners = append(m.Owners, Owner{o.APIVersion, o.Kind, o.Name, string(o.UID), o.Controller != nil && *o.Controller})
	}
}

// readMetadata reads an ObjectMeta.
func (m *Meta) readMetadata(b []byte) error {
	var name, namespace, uid, created, deleted []byte
	err := eachField(b, "metadata", func(f field) error {
		switch f.number {
		case metaName:
			return f.once(&name)
		case metaNamespace:
			return f.once(&namespace)
		case metaUID:
			return f.once(&uid)
		case metaCreated:
			return f.once(&created)
		case metaDeleted:
			return f.once(&deleted)
		case metaLabels:
			return m.readLabel(f)
		case metaOwners:
			return m.readOwner(f)
		case metaFinalizers:
			if f.kind != protowire.BytesType {
				return f.wrong()
			}
			m.Finalizers = append(m.Finalizers, string(f.bytes))
		}
		return nil
	})
	if err != nil {
		return err
	}
	m.Name, m.Namespace, m.UID, m.Deleting = string(name), string(namespace), string(uid), deleted != nil
	if created == nil {
		return nil
	}
	return eachField(created, "creationTimestamp", func(f field) error {
		if f.number == timeSeconds && f.kind == protowire.VarintType {
			m.Created = time.Unix(int64(f.number64), 0).UTC()
		}
		return nil
	})
}

func (m *Meta) readLabel(f field) error {
	var key, value string
	if err := texts(f.bytes, "label", text{labelKey, &key}, text{labelValue, &value}); err != nil {
		return err
	}
	if m.Labels == nil {
		m.Labels = map[string]string{}
	}
	m.Labels[key] = value
	return nil
}

func (m *Meta) readOwner(f field) error {
	var o Owner
	err := texts(f.bytes, "owner reference", text{ownerKind, &o.Kind}, text{ownerName, &o.Name}, text{ownerUID, &o.UID}, text{ownerAPI, &o.APIVersion})
	if err != nil {
		return err
	}
	_ = eachField(f.bytes, "", func(f field) error { // it has just been read
		if f.number == ownerController {
			o.Controller = f.number64 != 0
		}
		return nil
	})
	m.Owners = append(m.Owners, o)
	return nil
}

// A text is a field that is wanted, and where it goes.
type text struct {
	number protowire.Number
	to     *string
}

// texts reads fields that are texts.
func texts(message []byte, what string, want ...text) error {
	seen := 0
	return eachField(message, what, func(f field) error {
		for i, t := range want {
			if t.number != f.number {
				continue
			}
			if f.kind != protowire.BytesType || seen&(1<<i) != 0 {
				return f.wrong()
			}
			seen |= 1 << i
			*t.to = string(f.bytes)
		}
		return nil
	})
}

// A field is one of a protobuf message: bytes or a number, by its kind.
type field struct {
	what     string // the message's name, for an error
	number   protowire.Number
	kind     protowire.Type
	bytes    []byte
	number64 uint64
}

// once takes the field's bytes, if they were not there already.
func (f field) once(to *[]byte) error {
	if f.kind != protowire.BytesType || *to != nil {
		return f.wrong()
	}
	*to = f.bytes[:len(f.bytes):len(f.bytes)]
	return nil
}

func (f field) wrong() error {
	return fmt.Errorf("%s, field %d: of a wrong type, or there twice", f.what, f.number)
}

// eachField calls f with each field of a protobuf message, and checks the form of all.
func eachField(message []byte, what string, f func(field) error) error {
	for rest := message; len(rest) > 0; {
		number, kind, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return fmt.Errorf("%s: %w", what, protowire.ParseError(n))
		}
		rest = rest[n:]
		at := field{what: what, number: number, kind: kind}
		switch kind {
		case protowire.BytesType:
			if at.bytes, n = protowire.ConsumeBytes(rest); at.bytes == nil {
				at.bytes = []byte{}
			}
		case protowire.VarintType:
			at.number64, n = protowire.ConsumeVarint(rest)
		default:
			n = protowire.ConsumeFieldValue(number, kind, rest)
		}
		if n < 0 {
			return fmt.Errorf("%s, field %d: %w", what, number, protowire.ParseError(n))
		}
		if err := f(at); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}
