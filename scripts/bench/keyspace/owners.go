package keyspace

import (
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Owners are what objects of the keyspace name as their owners, and what is not in it
// itself: no more than names and UIDs, which is what is asked of an owner.
func (k *Keyspace) Owners() ([]Object, error) {
	resources := map[string]string{"Deployment": "deployments", "ReplicaSet": "replicasets", "Service": "services/specs"}
	var owners []Object
	seen := map[string]bool{}
	for i := range k.keys {
		o, err := k.At(i, 0)
		if err != nil {
			return nil, err
		}
		about, owned := o.typed.(metav1.Object)
		if !owned {
			continue
		}
		for _, w := range about.GetOwnerReferences() {
			resource, known := resources[w.Kind]
			if !known {
				return nil, fmt.Errorf("%s is owned by a %s, of which nobody knows the key", o.Key, w.Kind)
			}
			owner := Object{Resource: resource, Key: key(resource, about.GetNamespace(), w.Name)}
			if seen[owner.Key] {
				continue
			}
			seen[owner.Key] = true
			owner.Value, err = json.Marshal(map[string]any{"apiVersion": w.APIVersion, "kind": w.Kind,
				"metadata": map[string]any{"name": w.Name, "namespace": about.GetNamespace(), "uid": w.UID}})
			if err != nil {
				return nil, err
			}
			owners = append(owners, owner)
		}
	}
	return owners, nil
}
