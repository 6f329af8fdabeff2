package keyspace

import (
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
		return Object{}, fmt.Errorf("wrapping it: %w", err)
	}
	o := Object{Resource: resource, Key: key(resource, namespace, name), Value: value[:4+n]}
	if namespace == "" {
		o.Key = prefix + resource + "/" + name
	}
	return o, nil
}
