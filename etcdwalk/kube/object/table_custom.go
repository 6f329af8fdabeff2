package object

import (
	"fmt"
	"strings"
	"time"
)

// CustomTable is the table of a custom resource's kind, in the version that its objects
// have, by the additionalPrinterColumns of its definition; NAME and AGE where there are
// none (apiextensions-apiserver: pkg/registry/customresource/tableconvertor).
func CustomTable(definition *Object, m Meta) Table {
	_, version, _ := strings.Cut(m.APIVersion, "/")
	all := printerColumns(definition.Tree(), version)
	if len(all) == 0 {
		return TableOf(m)
	}
	t := Table{columns: []tableColumn{{head: "NAME"}}, custom: true}
	for _, c := range all {
		t.columns = append(t.columns, tableColumn{strings.ToUpper(c.name), c.wide})
	}
	t.row = func(o *Object, now time.Time, _ bool) []string {
		if o.Tree() == nil {
			return nil
		}
		cells := []string{o.Meta.Name}
		for _, c := range all {
			cells = append(cells, c.cell(o, now))
		}
		return cells
	}
	return t
}

// A printerColumn is one of a definition's.
type printerColumn struct {
	name string
	path Path
	kind any // of its values, as the definition says it
	wide bool
}

// cell is what the column shows: the first value that the path finds; nothing where there
// is none, or one of another type.
func (c printerColumn) cell(o *Object, now time.Time) string {
	value, found := c.path.first(o)
	if !found || value == nil {
		return ""
	}
	text := c.path.show(value)
	switch of := value.(type) {
	case int64:
		if c.kind == "integer" || c.kind == "number" || c.kind == "string" {
			return text
		}
	case float64:
		switch c.kind {
		case "integer":
			return fmt.Sprint(int64(of))
		case "number", "string":
			return text
		}
	case bool:
		if c.kind == "boolean" || c.kind == "string" {
			return text
		}
	case string:
		return c.text(of, now)
	default:
		if c.kind == "string" {
			return text
		}
	}
	return ""
}

// text is what the column shows of a text.
func (c printerColumn) text(text string, now time.Time) string {
	switch c.kind {
	case "string":
		return text
	case "date":
		if at := moment(text); !at.IsZero() {
			return since(now, at)
		}
		return "<invalid>"
	}
	return ""
}

// printerColumns are those of a version, or of all versions as v1beta1 has them.
func printerColumns(definition map[string]any, version string) []printerColumn {
	spec, _ := definition["spec"].(map[string]any)
	listed, _ := spec["additionalPrinterColumns"].([]any)
	versions, _ := spec["versions"].([]any)
	for _, each := range versions {
		v, _ := each.(map[string]any)
		if own, ok := v["additionalPrinterColumns"].([]any); ok && v["name"] == version {
			listed = own
		}
	}
	var columns []printerColumn
	for _, each := range listed {
		c, _ := each.(map[string]any)
		at := c["jsonPath"]
		if at == nil {
			at = c["JSONPath"] // v1beta1
		}
		path, err := ParsePath(fmt.Sprint(at))
		if err != nil {
			continue // the API server would not have taken it
		}
		priority, _ := c["priority"].(int64)
		columns = append(columns, printerColumn{name: fmt.Sprint(c["name"]), path: path, kind: c["type"], wide: priority > 0})
	}
	return columns
}
