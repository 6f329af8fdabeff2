package need

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// definitions is the kind of what defines custom resources.
const definitions = "customresourcedefinitions.apiextensions.k8s.io"

// definitionOf is the key of what defines a kind; nil: it needs no definition. Groups of
// Kubernetes itself have kinds that are compiled into API servers of another version, and
// others that are defined, as the source or the target shows.
func (c *Checks) definitionOf(ctx context.Context, class etcdwalk.Class) ([]byte, error) {
	if !kube.IsCustom(class.Kind) {
		return nil, nil
	}
	key := kube.DefinitionKey(class)
	if key == nil || !strings.HasSuffix(class.Kind, ".k8s.io") {
		return key, nil
	}
	if there, err := c.holds(ctx, want{any: []candidate{{key: key}}}); there || err != nil {
		return key, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	defined, known := c.defined[class.Kind]
	if !known {
		var err error
		if defined, err = etcdwalk.Any(ctx, c.Source, etcdwalk.Selection{Ranges: etcdwalk.Ranges{etcdwalk.Key(key)}}); err != nil {
			return nil, fmt.Errorf("look for the definition %s in the source: %w", class.Kind, err)
		}
		if c.defined == nil {
			c.defined = map[string]bool{}
		}
		c.defined[class.Kind] = defined
	}
	if !defined {
		return nil, nil
	}
	return key, nil
}

// Undefined tells whether the target has no definition of what is of a kind that needs one.
func (c *Checks) Undefined(ctx context.Context, class etcdwalk.Class) (bool, error) {
	key, err := c.definitionOf(ctx, class)
	if key == nil || err != nil {
		return false, err
	}
	there, err := c.holds(ctx, want{any: []candidate{{key: key}}})
	return !there, err
}

// Unserved are the versions that the definition of an object of the target has, whose metadata
// is m, if that which it is stored in is none of them: API servers cannot read it.
func (c *Checks) Unserved(ctx context.Context, class etcdwalk.Class, m object.Meta) ([]string, error) {
	return (&judgement{Checks: c, class: class, meta: m}).others(ctx)
}

// version says why a custom resource could not be read: its definition in the target has no
// such version any more (apiextensions-apiserver: the version of a stored object must be one
// of the definition's).
func (j *judgement) version(ctx context.Context) (string, error) {
	known, err := j.others(ctx)
	if err != nil || known == nil {
		return "", err
	}
	return fmt.Sprintf("%s: it is stored as %s, and its definition in the cluster has only %s: restore the definition too, or convert it through the API (kubeferry get … -o yaml --clean)",
		kube.StoredVersions, j.meta.APIVersion, strings.Join(known, ", ")), nil
}

// others are the versions of a custom resource's definition, if its own is none of them.
func (j *judgement) others(ctx context.Context) ([]string, error) {
	if !kube.IsCustom(j.class.Kind) || !j.Rules.Binds(kube.StoredVersions) || j.Selected(definitions, j.class.Kind) && !j.Keeps {
		return nil, nil
	}
	known, err := j.versionsOf(ctx)
	if _, version, _ := strings.Cut(j.meta.APIVersion, "/"); err != nil || slices.Contains(known, version) {
		return nil, err
	}
	return known, nil
}

// versionsOf are those of the definition in the target; nil: there is none that can be read.
func (j *judgement) versionsOf(ctx context.Context) ([]string, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if known, looked := j.versions[j.class.Kind]; looked {
		return known, nil
	}
	var known []string
	if key := kube.DefinitionKey(j.class); key != nil {
		definition, err := j.tree(ctx, key)
		if err != nil {
			return nil, fmt.Errorf("look which versions %s has, under key %q: %w", j.class.Kind, key, err)
		}
		known = versionsIn(definition.in("spec"))
	}
	if j.versions == nil {
		j.versions = map[string][]string{}
	}
	j.versions[j.class.Kind] = known
	return known, nil
}

// versionsIn are the versions of a definition; the old form has one.
func versionsIn(spec field) (names []string) {
	for _, v := range spec.list("versions") {
		version, _ := v.(map[string]any)
		names = append(names, field(version).text("name"))
	}
	if one := spec.text("version"); one != "" && len(names) == 0 {
		names = append(names, one)
	}
	return names
}
