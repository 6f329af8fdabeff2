package object

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"go.yaml.in/yaml/v3"
)

// maxYAML bounds what is parsed as YAML. An etcd takes requests of 1.5 MiB unless
// told otherwise, and a tree of nodes takes many times the memory of its text.
const maxYAML = 2 << 20

// metaOfYAML reads the metadata of an object in YAML: a mapping with apiVersion,
// kind and metadata.name. It is asked of every value that has no other form, so
// all but a few are turned away before anything is parsed.
//
// What it takes must be what a kube-apiserver takes, which turns YAML 1.1 into
// JSON. Aliases are refused though it would expand them: a value of one MiB can
// expand into gigabytes, and nobody stores one.
func metaOfYAML(value []byte) (Meta, bool) {
	if len(value) > maxYAML || !utf8.Valid(value) {
		return Meta{}, false
	}
	for _, word := range []string{"apiVersion", "kind", "metadata", "name"} {
		if !bytes.Contains(value, []byte(word)) {
			return Meta{}, false
		}
	}
	var document yaml.Node
	if yaml.Unmarshal(value, &document) != nil || len(document.Content) != 1 || !isTree(&document) {
		return Meta{}, false
	}
	var m Meta
	ok := m.readYAML(document.Content[0])
	return m, ok && m.APIVersion != "" && m.Kind != "" && m.Name != ""
}

// isTree tells whether the nodes are what JSON can say: no aliases, and nothing but
// scalars as keys. The parser bounds the depth.
func isTree(n *yaml.Node) bool {
	for i, child := range n.Content {
		key := n.Kind == yaml.MappingNode && i%2 == 0
		if child.Kind == yaml.AliasNode || key && child.Kind != yaml.ScalarNode || !isTree(child) {
			return false
		}
	}
	return true
}

func (m *Meta) readYAML(object *yaml.Node) bool {
	metadata := &yaml.Node{}
	ok := eachPair(object, func(name string, value *yaml.Node) bool {
		switch name {
		case "apiVersion":
			return yamlText(value, &m.APIVersion)
		case "kind":
			return yamlText(value, &m.Kind)
		case "metadata":
			metadata = value
		}
		return true
	})
	return ok && eachPair(metadata, func(name string, value *yaml.Node) bool {
		switch name {
		case "name":
			return yamlText(value, &m.Name)
		case "namespace":
			return yamlText(value, &m.Namespace)
		case "uid":
			return yamlText(value, &m.UID)
		case "deletionTimestamp":
			var when string
			ok := yamlText(value, &when)
			m.Deleting = when != ""
			return ok
		case "creationTimestamp":
			m.Created = moment(value.Value)
		case "labels":
			m.Labels = lenient[map[string]string](value)
		case "finalizers":
			m.Finalizers = lenient[[]string](value)
		case "ownerReferences":
			m.Owners = lenient[[]Owner](value)
		}
		return true
	})
}

// lenient reads a value of a type; of another it takes nothing. It goes by way of JSON,
// as a kube-apiserver does, since YAML would make a text of a number.
func lenient[T any](n *yaml.Node) T {
	var (
		tree any
		read T
	)
	if n.Decode(&tree) != nil {
		return read
	}
	if text, err := json.Marshal(tree); err != nil || json.Unmarshal(text, &read) != nil {
		return *new(T)
	}
	return read
}

// eachPair calls f with each pair of a mapping until it returns false. Of a name that
// comes twice the last one counts, as in JSON.
func eachPair(mapping *yaml.Node, f func(name string, value *yaml.Node) bool) bool {
	if mapping.Kind != yaml.MappingNode {
		return false
	}
	for pair := range slices.Chunk(mapping.Content, 2) {
		if !f(pair[0].Value, pair[1]) {
			return false
		}
	}
	return true
}

// yamlText reads a text, or a null, which is as good as an empty one. A date is a text
// to a kube-apiserver; a number is none.
func yamlText(n *yaml.Node, s *string) bool {
	switch tag := n.ShortTag(); {
	case n.Kind != yaml.ScalarNode:
		return false
	case tag == "!!null":
		*s = ""
		return true
	case tag != "!!str" && tag != "!!timestamp", n.Style == 0 && isOldBool(n.Value):
		return false
	}
	*s = n.Value
	return true
}

// isOldBool tells whether YAML 1.1 takes a word for a boolean that YAML 1.2 takes for
// a text.
func isOldBool(word string) bool {
	switch word {
	case "y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "n", "N", "no", "No", "NO", "off", "Off", "OFF":
		return true
	}
	return false
}
