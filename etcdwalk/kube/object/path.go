package object

import (
	"bytes"
	"cmp"
	"fmt"
	"reflect"
	"strings"

	"k8s.io/client-go/util/jsonpath"
)

// A Path finds values in a tree, in kubectl's JSONPath.
type Path struct{ path *jsonpath.JSONPath }

// ParseTemplate reads what -o jsonpath= takes: text, and paths in braces.
func ParseTemplate(text string) (Path, error) {
	p := jsonpath.New("template").AllowMissingKeys(true)
	if err := p.Parse(text); err != nil {
		return Path{}, fmt.Errorf("jsonpath %q: %w", text, err)
	}
	return Path{p}, nil
}

// ParsePath reads one path, with or without braces and the first dot, as columns and
// --sort-by take it.
func ParsePath(text string) (Path, error) {
	inner := strings.TrimSpace(text)
	if strings.HasPrefix(inner, "{") && strings.HasSuffix(inner, "}") {
		inner = inner[1 : len(inner)-1]
	}
	if inner == "" || strings.ContainsAny(inner, "{}") {
		return Path{}, fmt.Errorf("%q is no path: it takes one, such as .metadata.name", text)
	}
	if !strings.HasPrefix(inner, ".") && !strings.HasPrefix(inner, "[") && !strings.HasPrefix(inner, "$") && !strings.HasPrefix(inner, "@") {
		inner = "." + inner
	}
	return ParseTemplate("{" + inner + "}")
}

// Text is the template, filled in from an object, or from a List of several; a value that
// is not there is empty.
func (p Path) Text(alone bool, objects ...*Object) (text string, err error) {
	defer caught(&err)
	items := []any{}
	for _, o := range objects {
		items = append(items, o.Tree)
	}
	var whole any = map[string]any{"apiVersion": "v1", "kind": "List", "items": items}
	if alone {
		whole = items[0]
	}
	var out bytes.Buffer
	if err := p.path.Execute(&out, whole); err != nil {
		return "", fmt.Errorf("fill in the template: %w", err)
	}
	return escape(out.String()), nil
}

// Cell is what the path finds, in one line, or <none>.
func (p Path) Cell(o *Object) (cell string, err error) {
	defer caught(&err)
	found, err := p.values(o.Tree)
	if err != nil || len(found) == 0 {
		return none, err
	}
	var texts []string
	for _, v := range found {
		var out bytes.Buffer
		if err := p.path.PrintResults(&out, []reflect.Value{v}); err != nil {
			return "", fmt.Errorf("print a value: %w", err)
		}
		texts = append(texts, out.String())
	}
	return strings.Join(texts, ","), nil
}

// Compare says which of two objects comes first by what the path finds: what is not there
// is first, numbers go by their size.
func (p Path) Compare(a, b *Object) int {
	x, y := p.key(a.Tree), p.key(b.Tree)
	m, ok := x.(float64)
	n, also := y.(float64)
	switch {
	case ok && also:
		return cmp.Compare(m, n)
	case x == nil && y == nil:
		return 0
	case x == nil:
		return -1
	case y == nil:
		return 1
	}
	return cmp.Compare(fmt.Sprint(x), fmt.Sprint(y))
}

// key is the first value found: a number, a text, or nil.
func (p Path) key(tree map[string]any) (key any) {
	defer func() {
		if recover() != nil {
			key = nil
		}
	}()
	found, err := p.values(tree)
	if err != nil || len(found) == 0 {
		return nil
	}
	switch v := found[0].Interface().(type) {
	case int64:
		return float64(v)
	case nil, float64, string:
		return v
	default:
		return fmt.Sprint(v)
	}
}

func (p Path) values(tree map[string]any) ([]reflect.Value, error) {
	found, err := p.path.FindResults(tree)
	if err != nil {
		return nil, fmt.Errorf("look up a path: %w", err)
	}
	var all []reflect.Value
	for _, some := range found {
		all = append(all, some...)
	}
	return all, nil
}

// caught makes an error of a library's panic.
func caught(err *error) {
	if recover() != nil {
		*err = fmt.Errorf("the path cannot be followed in this object")
	}
}
