package object

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// Labels selects by labels, in kubectl's words: app=web, tier!=db, env in (a,b),
// !legacy (apimachinery: pkg/labels).
type Labels struct{ selector labels.Selector }

// ParseLabels reads a selector of labels.
func ParseLabels(text string) (Labels, error) {
	s, err := labels.Parse(text)
	if err != nil {
		return Labels{}, fmt.Errorf("label selector %q: %w", text, err)
	}
	if s.Empty() {
		return Labels{}, fmt.Errorf("label selector %q: it asks for nothing", text)
	}
	return Labels{s}, nil
}

// String is the selector in its one form.
func (l Labels) String() string { return l.selector.String() }

// Match tells whether the labels of an object are selected.
func (l Labels) Match(m Meta) bool { return l.selector.Matches(labels.Set(m.Labels)) }

// Fields selects by what the key tells: metadata.name and metadata.namespace.
type Fields struct{ selector fields.Selector }

// The fields that a selector may name.
const (
	fieldName      = "metadata.name"
	fieldNamespace = "metadata.namespace"
)

// ParseFields reads a selector of fields.
func ParseFields(text string) (Fields, error) {
	s, err := fields.ParseSelector(text)
	if err != nil {
		return Fields{}, fmt.Errorf("field selector %q: %w", text, err)
	}
	if s.Empty() {
		return Fields{}, fmt.Errorf("field selector %q: it asks for nothing", text)
	}
	for _, r := range s.Requirements() {
		if r.Field != fieldName && r.Field != fieldNamespace {
			return Fields{}, fmt.Errorf("field selector %q: %q is not known here; those known are %s", text, r.Field, strings.Join([]string{fieldName, fieldNamespace}, " and "))
		}
	}
	return Fields{s}, nil
}

// String is the selector in its one form: in order, and each requirement once.
func (f Fields) String() string {
	var all []string
	for _, r := range f.selector.Requirements() {
		op := "="
		if r.Operator == selection.NotEquals {
			op = "!="
		}
		all = append(all, r.Field+op+r.Value)
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), ",")
}

// Match tells whether an object of that name is selected.
func (f Fields) Match(namespace, name string) bool {
	return f.selector.Matches(fields.Set{fieldName: name, fieldNamespace: namespace})
}
