package object

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/client-go/util/jsonpath"
)

// errUnfit stands for the errors of the library at run time, which repeat values.
var errUnfit = errors.New("the path does not fit the objects: it filters what is no list, or names an index that is not there")

// A Path finds values in a tree, in kubectl's JSONPath.
type Path struct{ path *jsonpath.JSONPath }

// ParseTemplate reads what -o jsonpath= takes: text, and paths in braces.
func ParseTemplate(text string) (Path, error) {
	p := jsonpath.New("template").AllowMissingKeys(true)
	if strings.TrimSpace(text) == "" {
		return Path{}, errors.New("jsonpath is empty: it takes a template such as {.metadata.name}")
	}
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

// first is the first value that the path finds.
func (p Path) first(o *Object) (value any, found bool) {
	defer func() {
		if recover() != nil {
			value, found = nil, false
		}
	}()
	all, err := p.values(o.Tree())
	if err != nil || len(all) == 0 || !all[0].IsValid() {
		return nil, false
	}
	return all[0].Interface(), true
}

// show is a value as the path would show it.
func (p Path) show(value any) string {
	var out bytes.Buffer
	if p.path.PrintResults(&out, []reflect.Value{reflect.ValueOf(value)}) != nil {
		return ""
	}
	return out.String()
}

// Text is the template, filled in from an object, or from a List of several; a value that
// is not there is empty.
func (p Path) Text(alone bool, objects ...*Object) (text string, err error) {
	defer caught(&err)
	items := []any{}
	for _, o := range objects {
		items = append(items, o.Tree())
	}
	var whole any = map[string]any{"apiVersion": "v1", "kind": "List", "items": items}
	if alone {
		whole = items[0]
	}
	var out bytes.Buffer
	if err := p.path.Execute(&out, whole); err != nil {
		return "", errUnfit
	}
	return out.String(), nil
}

// Cell is what the path finds, in one line, or <none>.
func (p Path) Cell(o *Object) (cell string, err error) {
	defer caught(&err)
	found, err := p.values(o.Tree())
	if err != nil || len(found) == 0 {
		return none, err
	}
	var texts []string
	for _, v := range found {
		if !v.IsValid() || v.Kind() == reflect.Interface && v.IsNil() {
			continue // a null is shown as nothing
		}
		var out bytes.Buffer
		if err := p.path.PrintResults(&out, []reflect.Value{v}); err != nil {
			return "", errUnfit
		}
		texts = append(texts, out.String())
	}
	if len(texts) == 0 {
		return none, nil
	}
	return strings.Join(texts, ","), nil
}

// A Key is what an object is sorted by.
type Key struct {
	rank   int // nothing, a number or a quantity, a text
	number float64
	text   string
}

// Key is the first value that the path finds.
func (p Path) Key(o *Object) Key {
	value, found := p.first(o)
	if !found {
		return Key{}
	}
	switch v := value.(type) {
	case nil:
		return Key{}
	case int64:
		return Key{rank: 1, number: float64(v)}
	case float64:
		return Key{rank: 1, number: v}
	case string:
		if plainQuantity.MatchString(v) {
			if q, err := resource.ParseQuantity(v); err == nil {
				return Key{rank: 1, number: q.AsApproximateFloat64()}
			}
		}
		return Key{rank: 2, text: v}
	default:
		return Key{rank: 2, text: fmt.Sprint(v)}
	}
}

// plainQuantity is what may be read as one: with an exponent it could take minutes.
var plainQuantity = regexp.MustCompile(`^[+-]?[0-9.]{1,18}(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$`)

// Found tells whether the path found anything.
func (k Key) Found() bool { return k.rank > 0 }

// Compare says which comes first: what has nothing, then numbers and quantities by their
// size, then texts.
func (k Key) Compare(other Key) int {
	return cmp.Or(cmp.Compare(k.rank, other.rank), cmp.Compare(k.number, other.number), cmp.Compare(k.text, other.text))
}

func (p Path) values(tree map[string]any) ([]reflect.Value, error) {
	found, err := p.path.FindResults(tree)
	if err != nil {
		return nil, errUnfit
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
		*err = errUnfit
	}
}
