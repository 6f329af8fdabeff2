package object

import (
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/kubernetes/scheme"
)

// heirs are the groups that took over the kinds of one which is gone.
var heirs = map[string][]string{"extensions": {"apps", "networking.k8s.io", "policy"}}

// Newer is the apiVersion that newer API servers store such an object in: the newest of
// the types that are compiled in, or, of a custom resource, the one that its definition,
// which may be nil, says is stored. It is empty if the object is stored in it, or if
// nothing is known.
func (o *Object) Newer(definition *Object) string {
	stored, err := schema.ParseGroupVersion(o.Meta.APIVersion)
	if err != nil {
		return ""
	}
	newest := stored
	if definition != nil {
		newest.Version = storedVersion(definition.Tree(), stored.Version)
	}
	for _, group := range append(heirs[stored.Group], stored.Group) {
		for _, known := range scheme.Scheme.PrioritizedVersionsForGroup(group) {
			if !scheme.Scheme.Recognizes(known.WithKind(o.Meta.Kind)) {
				continue
			}
			if group != newest.Group && newest == stored || version.CompareKubeAwareVersionStrings(known.Version, newest.Version) > 0 {
				newest = known
			}
		}
	}
	if newest == stored {
		return ""
	}
	return newest.String()
}

// storedVersion is the version that a definition says its objects are stored in; ours if
// it does not say.
func storedVersion(definition map[string]any, ours string) string {
	spec, _ := definition["spec"].(map[string]any)
	versions, _ := spec["versions"].([]any)
	for _, each := range versions {
		v, _ := each.(map[string]any)
		if name, ok := v["name"].(string); ok && v["storage"] == true && strings.TrimSpace(name) != "" {
			return name
		}
	}
	return ours
}
