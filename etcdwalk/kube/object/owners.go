package object

import (
	"bytes"
	"errors"
	"reflect"

	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/encoding/protowire"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// errUnedited: a value is in an encoding that is not edited.
var errUnedited = errors.New("values in its encoding are not edited")

// WithoutOwners is a stored value without its ownerReferences. All else of it stays as it
// was, which a decoder cannot promise. It is an error if its encoding is not edited, or if it
// is no object.
func WithoutOwners(value []byte) ([]byte, error) {
	switch encodingByMark(value) {
	case Protobuf:
		return protobufWithoutOwners(value)
	case JSON:
		return jsonWithoutOwners(value)
	default:
		return nil, errUnedited
	}
}

// jsonWithoutOwners leaves members out that are called so, and copies the others.
func jsonWithoutOwners(value []byte) ([]byte, error) {
	text, err := members(bytes.TrimSpace(value), func(name string, member []byte) ([]byte, error) {
		if name != "metadata" {
			return member, nil
		}
		return members(member, func(name string, member []byte) ([]byte, error) {
			if name == "ownerReferences" {
				return nil, nil
			}
			return member, nil
		})
	})
	if err != nil {
		return nil, err
	}
	return append(text, '\n'), nil // as API servers end them
}

// members is a JSON object with other members; nil: without one.
func members(object []byte, change func(name string, member []byte) ([]byte, error), options ...jsontext.Options) ([]byte, error) {
	made := append(make([]byte, 0, len(object)), '{')
	dec := jsontext.NewDecoder(bytes.NewBuffer(object), append(options, jsontext.AllowInvalidUTF8(true))...)
	if dec.PeekKind() != jsontext.KindBeginObject {
		return nil, errors.New("no JSON of an object")
	}
	err := eachMember(dec, func(name string) error {
		member, err := dec.ReadValue()
		if err != nil {
			return jsonError(err)
		}
		if member, err = change(name, member); member == nil || err != nil {
			return err
		}
		if len(made) > 1 {
			made = append(made, ',')
		}
		quoted, err := jsontext.AppendQuote(nil, name)
		made = append(append(append(made, quoted...), ':'), member...)
		return err
	})
	return append(made, '}'), err
}

func protobufWithoutOwners(value []byte) ([]byte, error) {
	return inEnvelope(value, func(raw []byte) ([]byte, error) {
		return edited(raw, objectMetadata, func(about []byte) ([]byte, error) {
			return edited(about, metaOwners, nil)
		})
	})
}

// inEnvelope is a stored value in protobuf with another object in its envelope.
func inEnvelope(value []byte, change func(raw []byte) ([]byte, error)) ([]byte, error) {
	envelope, err := edited(value[len(protobufMagic):], unknownRaw, change)
	if err != nil {
		return nil, err
	}
	return append([]byte(protobufMagic), envelope...), nil
}

// edited is a message with another content in the fields of a number; nil: without them.
func edited(message []byte, number protowire.Number, change func([]byte) ([]byte, error)) ([]byte, error) {
	made := make([]byte, 0, len(message))
	for rest := message; len(rest) > 0; {
		found, kind, n := protowire.ConsumeField(rest)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		whole := rest[:n]
		rest = rest[n:]
		if found != number || kind != protowire.BytesType {
			made = append(made, whole...)
			continue
		}
		if change == nil {
			continue
		}
		_, _, tag := protowire.ConsumeTag(whole)
		inner, _ := protowire.ConsumeBytes(whole[tag:])
		inner, err := change(inner)
		if err != nil {
			return nil, err
		}
		made = protowire.AppendBytes(append(made, whole[:tag]...), inner)
	}
	return made, nil
}

// EqualButOwners tells whether the object and another are of one substance but for their owners, as
// [Equal] does.
func (o *Object) EqualButOwners(other *Object) bool {
	a, b := o.Substance(), other.Substance()
	without(a, "metadata", "ownerReferences")
	without(b, "metadata", "ownerReferences")
	return len(o.NotShown)+len(other.NotShown) == 0 && reflect.DeepEqual(a, b)
}

// Selects is what a controller selects by its spec.selector; false: it selects nothing
// that way.
func (o *Object) Selects() (Labels, bool) {
	spec, _ := o.Tree()["spec"].(map[string]any)
	tree, _ := spec["selector"].(map[string]any)
	if len(tree) == 0 {
		return Labels{}, false
	}
	var asked metav1.LabelSelector
	if o.Meta.Kind == "ReplicationController" { // which has a map of labels
		asked.MatchLabels = map[string]string{}
		for name, value := range tree {
			asked.MatchLabels[name], _ = value.(string)
		}
	} else if runtime.DefaultUnstructuredConverter.FromUnstructured(tree, &asked) != nil {
		return Labels{}, false
	}
	selector, err := metav1.LabelSelectorAsSelector(&asked)
	if err != nil {
		return Labels{}, false
	}
	return Labels{selector}, true
}
