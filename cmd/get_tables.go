package cmd

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// tables shows objects as kubectl does: a table for each kind.
type tables struct {
	o      *getOptions
	groups []*tableGroup
	dark   undecoded
}

// A tableGroup is the rows of one kind.
type tableGroup struct {
	kind  string // as the key says it
	table object.Table
	rows  []tableRow
	space bool // some are in a namespace
}

type tableRow struct {
	namespace, prefix string // of the name, where several kinds are shown
	cells, extra      []string
}

// wideColumns are those that an API server knows nothing of.
var wideColumns = []string{"REVISION", "SIZE", "ENCODING", "LEASE"}

// add implements show.
func (t *tables) add(seen ferry.Seen) error {
	t.dark.add(seen)
	meta := seen.Object.Meta
	if n := len(t.groups); n == 0 || t.groups[n-1].kind != seen.Kind {
		table := object.TableOf(meta)
		if seen.Definition != nil {
			table = object.CustomTable(seen.Definition, meta)
		}
		t.groups = append(t.groups, &tableGroup{kind: seen.Kind, table: table})
	}
	g := t.groups[len(t.groups)-1]
	if meta.Name == "" {
		seen.Object.Meta.Name = fmt.Sprintf("%q", seen.Key)
	}
	row := tableRow{namespace: seen.Namespace, prefix: meta.GroupKind() + "/"}
	if row.cells = g.table.Row(seen.Object, seen.Taken); t.o.form.shape != asWide {
		row.cells = row.cells[:len(row.cells)-g.table.Wide]
	} else {
		lease := "-"
		if seen.Lease != 0 {
			lease = fmt.Sprintf("%x", seen.Lease)
		}
		row.extra = []string{strconv.FormatInt(seen.ModRevision, 10), console.Bytes(seen.Size()), string(seen.Encoding), lease}
	}
	if t.o.labels {
		row.extra = append(row.extra, labelText(meta.Labels))
	}
	g.space = g.space || seen.Namespace != ""
	g.rows = append(g.rows, row)
	return nil
}

// end implements show.
func (t *tables) end() error {
	for i, g := range t.groups {
		if t.o.form.shape == asName {
			for _, row := range g.rows {
				t.o.s.Data("%s", console.Printable(row.prefix+row.cells[g.name()]))
			}
			continue
		}
		if i > 0 {
			t.o.s.Data("")
		}
		t.o.s.KubectlTable(t.lines(g))
	}
	t.dark.warn(t.o)
	return nil
}

// name is the column of the name.
func (g *tableGroup) name() int { return slices.Index(g.table.Columns, "NAME") }

// lines are the rows of a group, with the columns that were asked for.
func (t *tables) lines(g *tableGroup) [][]string {
	head := slices.Clone(g.table.Columns[:len(g.table.Columns)-g.table.Wide])
	if t.o.form.shape == asWide {
		head = slices.Concat(g.table.Columns, wideColumns)
	}
	if t.o.labels {
		head = append(head, "LABELS")
	}
	spaced := g.space && !t.o.selecting.OneNamespace()
	if spaced {
		head = slices.Insert(head, 0, "NAMESPACE")
	}
	var lines [][]string
	if !t.o.noHeads {
		lines = append(lines, head)
	}
	for _, row := range g.rows {
		cells := row.cells
		if at := g.name(); len(t.groups) > 1 && at >= 0 && at < len(cells) {
			cells[at] = row.prefix + cells[at]
		}
		cells = append(cells, row.extra...)
		if spaced {
			cells = slices.Insert(cells, 0, row.namespace)
		}
		lines = append(lines, cells)
	}
	return lines
}

func labelText(labels map[string]string) string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		all = append(all, key+"="+labels[key])
	}
	return console.OrNone(strings.Join(all, ","))
}
