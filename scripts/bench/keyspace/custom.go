package keyspace

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A customKind is a sort of custom resource, with the definition that API
// servers need to read it. Both are stored as JSON.
type customKind struct{ group, plural, kind string }

var customKinds = []customKind{
	{"cert-manager.io", "certificates", "Certificate"},
	{"monitoring.coreos.com", "servicemonitors", "ServiceMonitor"},
	{"argoproj.io", "applications", "Application"},
}

// customObject is what a custom resource has at its top.
type customObject struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   metav1.ObjectMeta `json:"metadata"`
	Spec       any               `json:"spec"`
	Status     any               `json:"status,omitempty"`
}

// customResource is about 2.7 KB.
func (k *Keyspace) customResource(who identity) (Object, error) {
	d, now := who.fixed(), who.fresh()
	a := k.place(d)
	return k.custom(customKinds[who.index%len(customKinds)], a, d, now, a.name+"-"+suffix(who.index), d.text(300))
}

// custom is a custom resource with this text in its spec.
func (k *Keyspace) custom(kind customKind, a app, d, now dice, name, text string) (Object, error) {
	o := customObject{APIVersion: kind.group + "/v1", Kind: kind.kind, Metadata: meta(a, d, name)}
	o.Metadata.ManagedFields = append(helm(o.APIVersion, `"f:spec":{".":{},"f:destination":{},"f:parameters":{},"f:selector":{},"f:values":{}}`, o.Metadata),
		managed(a.name+"-controller", o.APIVersion, "status", now.after(a.created, 24*3600),
			`{"f:status":{".":{},"f:conditions":{},"f:history":{},"f:observedGeneration":{},"f:reconciledAt":{},"f:revision":{}}}`))
	o.Spec = map[string]any{
		"destination": map[string]string{"server": "https://kubernetes.default.svc", "namespace": a.namespace},
		"parameters":  map[string]any{d.pick(nouns): d.IntN(100), d.pick(nouns): d.pick(verbs), "release": a.name},
		"selector":    map[string]any{"matchLabels": a.labels},
		"values":      text,
	}
	o.Status = map[string]any{
		"conditions": []map[string]string{{"type": "Ready", "status": "True", "reason": "Reconciled", "lastTransitionTime": now.time().UTC().Format(time.RFC3339)}},
		"history":    []map[string]string{{"revision": now.hex(20), "deployedAt": now.time().UTC().Format(time.RFC3339)}},
		"revision":   now.hex(20), "observedGeneration": now.IntN(50), "reconciledAt": now.time().UTC().Format(time.RFC3339),
	}
	value, err := json.Marshal(o)
	if err != nil {
		return Object{}, err
	}
	resource := kind.group + "/" + kind.plural
	return Object{Resource: resource, Key: key(resource, a.namespace, name), Value: value}, nil
}

// customDefinition is the CustomResourceDefinition of a custom kind.
func (k *Keyspace) customDefinition(who identity) (Object, error) {
	kind, d := customKinds[who.index], who.fixed()
	name := kind.plural + "." + kind.group
	names := map[string]any{"plural": kind.plural, "singular": strings.ToLower(kind.kind), "kind": kind.kind, "listKind": kind.kind + "List"}
	o := customObject{
		APIVersion: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition",
		Metadata: metav1.ObjectMeta{Name: name, UID: d.uid(), Generation: 1, CreationTimestamp: metav1.Unix(begin, 0)},
		Spec: map[string]any{
			"group": kind.group, "names": names, "scope": "Namespaced", "conversion": map[string]string{"strategy": "None"},
			"versions": []map[string]any{{"name": "v1", "served": true, "storage": true, "schema": map[string]any{
				"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}},
		},
		Status: map[string]any{
			"acceptedNames": names, "storedVersions": []string{"v1"},
			"conditions": []map[string]string{{"type": "Established", "status": "True", "reason": "InitialNamesAccepted", "message": "the initial names have been accepted"}},
		},
	}
	value, err := json.Marshal(o)
	if err != nil {
		return Object{}, fmt.Errorf("definition of %s: %w", name, err)
	}
	const resource = "apiextensions.k8s.io/customresourcedefinitions"
	return Object{Resource: resource, Key: prefix + resource + "/" + name, Value: value}, nil
}
