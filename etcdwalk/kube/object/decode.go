package object

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/cbor/direct"
	"k8s.io/client-go/kubernetes/scheme"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// ErrUndecodable: a value that cannot be shown as an object: it is sealed, damaged, of
// no encoding that is known, or in protobuf of a type that is not compiled in.
var ErrUndecodable = errors.New("it cannot be decoded")

// An Object is a stored value, decoded.
type Object struct {
	Meta     Meta
	Encoding Encoding
	// NotShown are the paths of fields that the value has and the tree has not, since
	// the types compiled in do not know them. Such a tree must not be written anywhere
	// as if it were the object.
	NotShown []string

	// Stray says that the object lies under a key of Secrets though it is none.
	Stray bool

	typed runtime.Object // nil: no type of it is compiled in
	size  int            // of the value
	text  []byte         // the JSON that the API shows, not yet in order; nil: not made, or there is the tree
	tree  map[string]any // nil: not made yet
}

// Tree is the object as the API shows it: JSON, with whole numbers as int64; nil if it was
// not decoded. It is made when it is asked for first, so not by two at once.
func (o *Object) Tree() map[string]any {
	if o.tree != nil || o.typed == nil && o.text == nil {
		return o.tree
	}
	if o.text == nil && o.encode() != nil {
		o.NotShown = append(o.NotShown, "all but its name: it holds what JSON cannot say")
		o.tree = map[string]any{"apiVersion": o.Meta.APIVersion, "kind": o.Meta.Kind, "metadata": map[string]any{"name": o.Meta.Name, "namespace": o.Meta.Namespace}}
		return o.tree
	}
	if unmarshal(o.text, &o.tree) != nil {
		// It has a number that is none for Go, as managedFields can, which have no types.
		numbers := json.NewDecoder(bytes.NewReader(o.text))
		numbers.UseNumber()
		if numbers.Decode(&o.tree) != nil {
			o.tree = map[string]any{} // which does not come to pass: it was just encoded
		}
	}
	return o.tree
}

// withTree is the object with another tree.
func (o *Object) withTree(tree map[string]any) *Object {
	changed := *o
	changed.tree, changed.text, changed.typed = tree, nil, nil
	return &changed
}

// Decode decodes a value into the object that it is. A custom resource, and what else
// has no compiled-in type, is as it was stored; of a compiled-in type it is what that
// type makes of it. The error is an [ErrUndecodable] and repeats no byte of the value.
func Decode(value []byte) (o *Object, err error) {
	defer func() { // the decoders take what only API servers write
		if recover() != nil {
			o, err = nil, fmt.Errorf("%w: its decoder gave up", ErrUndecodable)
		}
	}()
	o = &Object{size: len(value)}
	if encodingByMark(value) == Protobuf {
		o.Encoding, err = Protobuf, o.fromProtobuf(value)
	} else if o.Encoding, o.Meta, err = Read(value); err == nil {
		err = o.fromText(value)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUndecodable, err)
	}
	slices.Sort(o.NotShown)
	return o, nil
}

// fromText decodes what is not in protobuf.
func (o *Object) fromText(value []byte) error {
	switch o.Encoding {
	case CBOR:
		return o.fromCBOR(value)
	case YAML:
		text, err := yaml.YAMLToJSON(value)
		if err != nil {
			return errors.New("no YAML of an object")
		}
		return o.fromJSON(text)
	default:
		return o.fromJSON(value)
	}
}

// newTyped makes an empty object of the type that the value says it has; nil if none is
// compiled in.
func (o *Object) newTyped() runtime.Object {
	typed, err := scheme.Scheme.New(schema.FromAPIVersionAndKind(o.Meta.APIVersion, o.Meta.Kind))
	if err != nil {
		return nil
	}
	return typed
}

func (o *Object) fromProtobuf(value []byte) error {
	raw, err := o.Meta.readEnvelope(value[len(protobufMagic):])
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	typed := o.newTyped()
	message, decodes := typed.(wireMessage)
	about, named := typed.(metav1.Object)
	if !decodes || !named {
		return fmt.Errorf("no type of kind %s in %s is compiled in", o.Meta.Kind, o.Meta.APIVersion)
	}
	check := wireCheck{}
	err = check.message(wireShapes.of(reflect.TypeOf(typed)), &wirePath{}, raw)
	switch {
	case errors.Is(err, errQuantity):
		return err
	case err != nil || message.Unmarshal(raw) != nil:
		return fmt.Errorf("no %s in protobuf", o.Meta.Kind)
	}
	o.Meta.fromTyped(about)
	o.NotShown = check.lost
	return o.show(typed)
}

func (o *Object) fromJSON(text []byte) error {
	typed := o.newTyped()
	if typed == nil {
		if text = bytes.TrimSpace(text); isSimple(text) { // which is sure to be a tree
			o.text = bytes.Clone(text)
			return nil
		}
		return unmarshal(text, &o.tree)
	}
	if err := checkQuantitiesOf(typed, text); err != nil {
		return err
	}
	strict, err := kjson.UnmarshalStrict(text, typed, kjson.DisallowUnknownFields)
	if err != nil {
		return fmt.Errorf("no %s in JSON", o.Meta.Kind)
	}
	for _, e := range strict {
		var unknown kjson.FieldError
		if errors.As(e, &unknown) {
			o.NotShown = append(o.NotShown, unknown.FieldPath())
		}
	}
	return o.show(typed)
}

func (o *Object) fromCBOR(value []byte) error {
	var tree map[string]any
	if direct.Unmarshal(value, &tree) != nil {
		return errors.New("no CBOR of an object")
	}
	typed := o.newTyped()
	if typed == nil {
		o.tree = tree
		return nil
	}
	text, err := json.Marshal(tree)
	if err != nil {
		return errors.New("no CBOR of what JSON can say")
	}
	return o.fromJSON(text)
}

// show makes sure that a typed object can be shown. What may keep it from that is JSON
// which a type holds as it came: of most there is none but in managedFields.
func (o *Object) show(typed runtime.Object) error {
	typed.GetObjectKind().SetGroupVersionKind(schema.FromAPIVersionAndKind(o.Meta.APIVersion, o.Meta.Kind))
	o.typed = typed
	if holdsRaw(o.Meta) {
		return o.encode()
	}
	return nil
}

// encode makes the JSON of a typed object. managedFields that are no JSON go, and are named.
func (o *Object) encode() error {
	text, err := json.Marshal(o.typed)
	if about, ok := o.typed.(metav1.Object); ok && err != nil && len(about.GetManagedFields()) > 0 {
		about.SetManagedFields(nil)
		o.NotShown = append(o.NotShown, "metadata.managedFields")
		text, err = json.Marshal(o.typed)
	}
	if err != nil {
		return fmt.Errorf("%s cannot be shown as JSON", o.Meta.Kind)
	}
	o.text = text
	return nil
}

// holdsRaw tells whether a kind's type holds JSON that it knows nothing of.
func holdsRaw(m Meta) bool {
	return m.Kind == "ControllerRevision" || strings.HasPrefix(m.APIVersion, "resource.k8s.io/")
}

// unmarshal reads JSON as a kube-apiserver reads what has no type.
func unmarshal(text []byte, tree *map[string]any) error {
	if kjson.UnmarshalCaseSensitivePreserveInts(bytes.TrimSpace(text), tree) != nil || *tree == nil {
		return errors.New("no JSON of an object")
	}
	return nil
}
