package keyspace

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
)

// A message is an object of k8s.io/api.
type message interface{ Marshal() ([]byte, error) }

// stored is an object as kube-apiserver writes it: its protobuf in an envelope,
// behind four bytes that tell it from JSON.
func stored(resource, version, kind, namespace, name string, m message) (Object, error) {
	raw, err := m.Marshal()
	if err != nil {
		return Object{}, err
	}
	envelope := runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: version, Kind: kind}, Raw: raw}
	value := make([]byte, 4+envelope.Size())
	copy(value, "k8s\x00")
	n, err := envelope.MarshalTo(value[4:])
	if err != nil {
		return Object{}, fmt.Errorf("wrap it: %w", err)
	}
	o := Object{Resource: resource, Key: key(resource, namespace, name), Value: value[:4+n], typed: m, version: version, kind: kind}
	if namespace == "" {
		o.Key = prefix + resource + "/" + name
	}
	return o, nil
}

// JSON is the object as API servers stored it before they wrote protobuf.
func (o Object) JSON() ([]byte, error) {
	if o.typed == nil {
		return o.Value, nil // a custom resource is JSON to this day
	}
	text, err := json.Marshal(o.typed)
	if err != nil {
		return nil, fmt.Errorf("write %s as JSON: %w", o.Key, err)
	}
	return fmt.Appendf(nil, `{"kind":%q,"apiVersion":%q,%s`, o.kind, o.version, text[1:]), nil
}
