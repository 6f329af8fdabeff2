package object

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
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
	if o.Encoding, o.Meta, err = Read(value); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUndecodable, err)
	}
	switch o.Encoding {
	case Protobuf:
		err = o.fromProtobuf(value)
	case CBOR:
		err = o.fromCBOR(value)
	case YAML:
		text, failed := yaml.YAMLToJSON(value)
		if failed != nil {
			return nil, fmt.Errorf("%w: no YAML of an object", ErrUndecodable)
		}
		err = o.fromJSON(text)
	default:
		err = o.fromJSON(value)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUndecodable, err)
	}
	slices.Sort(o.NotShown)
	return o, nil
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
	typed := o.newTyped()
	message, ok := typed.(wireMessage)
	if !ok {
		return fmt.Errorf("no type of kind %s in %s is compiled in", o.Meta.Kind, o.Meta.APIVersion)
	}
	raw, err := rawOf(value)
	if err != nil {
		return err
	}
	if err := checkQuantities(typed, raw); err != nil {
		return err
	}
	if message.Unmarshal(raw) != nil {
		return fmt.Errorf("no %s in protobuf", o.Meta.Kind)
	}
	again, err := message.Marshal()
	if err != nil {
		return fmt.Errorf("%s cannot be encoded again", o.Meta.Kind)
	}
	o.NotShown = lostOnTheWire(typed, raw, again)
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
// which a type holds as it came: to encode all of it is needless for most.
func (o *Object) show(typed runtime.Object) error {
	typed.GetObjectKind().SetGroupVersionKind(schema.FromAPIVersionAndKind(o.Meta.APIVersion, o.Meta.Kind))
	o.typed = typed
	if about, ok := typed.(metav1.Object); ok && !holdsRaw(o.Meta) && !slices.ContainsFunc(about.GetManagedFields(), badFields) {
		return nil
	}
	return o.encode()
}

// encode makes the JSON of a typed object.
func (o *Object) encode() error {
	var err error
	if o.text, err = json.Marshal(o.typed); err != nil {
		return fmt.Errorf("%s cannot be shown as JSON", o.Meta.Kind)
	}
	return nil
}

// holdsRaw tells whether a kind's type holds JSON that it knows nothing of.
func holdsRaw(m Meta) bool {
	return m.Kind == "ControllerRevision" || strings.HasPrefix(m.APIVersion, "resource.k8s.io/")
}

func badFields(f metav1.ManagedFieldsEntry) bool {
	if f.FieldsV1 == nil {
		return false
	}
	raw := f.FieldsV1.GetRawBytes()
	return raw != nil && !isSimple(raw) && !jsontext.Value(raw).IsValid()
}

// unmarshal reads JSON as a kube-apiserver reads what has no type.
func unmarshal(text []byte, tree *map[string]any) error {
	if kjson.UnmarshalCaseSensitivePreserveInts(bytes.TrimSpace(text), tree) != nil || *tree == nil {
		return errors.New("no JSON of an object")
	}
	return nil
}
