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
	kind    string // as the key says it
	table   object.Table
	decided bool // by an object that could be decoded
	rows    []tableRow
	space   bool // some are in a namespace
}

type tableRow struct {
	seen             ferry.Seen // without what is the walk's
	name, prefix     string     // the prefix, where several kinds are shown
	cells, wideCells []string
}

// wideColumns are those that an API server knows nothing of.
var wideColumns = []string{"REVISION", "SIZE", "ENCODING", "LEASE"}

// add implements show.
func (t *tables) add(seen ferry.Seen) error {
	t.dark.add(seen)
	if n := len(t.groups); n == 0 || t.groups[n-1].kind != seen.Kind {
		t.groups = append(t.groups, &tableGroup{kind: seen.Kind, table: object.TableOf(seen.Object.Meta)})
	}
	g := t.groups[len(t.groups)-1]
	if seen.Err == nil && !g.decided && seen.Usual() {
		g.table, g.decided = object.TableOf(seen.Object.Meta), true
		if seen.Definition != nil {
			g.table = object.CustomTable(seen.Definition, seen.Object.Meta)
		}
		for i := range g.rows { // of which only the names are known
			g.rows[i].cells = g.table.Row(g.rows[i].seen.Object, g.rows[i].seen.Taken, t.wide())
		}
	}
	prefix := seen.Object.Meta.GroupKind() + "/"
	if seen.Name == "" { // no object's key
		seen.Object.Meta.Name, prefix = fmt.Sprintf("%q", seen.Key), ""
	}
	row := tableRow{name: seen.Object.Meta.Name, prefix: prefix, cells: g.table.Row(seen.Object, seen.Taken, t.wide())}
	if t.wide() {
		lease := "-"
		if seen.Lease != 0 {
			lease = fmt.Sprintf("%x", seen.Lease)
		}
		row.wideCells = []string{strconv.FormatInt(seen.ModRevision, 10), console.Bytes(seen.Size()), string(seen.Encoding), lease}
	}
	if t.o.labels {
		row.wideCells = append(row.wideCells, labelText(seen))
	}
	row.seen.Class, row.seen.Taken = seen.Class, seen.Taken
	if !g.decided {
		row.seen.Object = seen.Object
	}
	g.space = g.space || seen.Namespace != ""
	g.rows = append(g.rows, row)
	return nil
}

func (t *tables) wide() bool { return t.o.form.shape == asWide }

// end implements show.
func (t *tables) end() error {
	for i, g := range t.groups {
		if t.o.form.shape == asName {
			for _, row := range g.rows {
				t.o.s.Text(console.Printable(row.prefix+row.name) + "\n")
			}
			continue
		}
		if i > 0 && !t.o.noHeads {
			t.o.s.Text("\n")
		}
		t.o.s.KubectlTable(t.lines(g))
	}
	return t.dark.warn(t.o)
}

// lines are the rows of a group, with the columns that were asked for.
func (t *tables) lines(g *tableGroup) [][]string {
	head := g.table.Heads(t.wide())
	name := slices.Index(head, "NAME")
	if t.wide() {
		head = append(head, wideColumns...)
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
		cells := slices.Concat(row.cells, row.wideCells)
		if len(t.groups) > 1 && name >= 0 {
			cells[name] = row.prefix + cells[name]
		}
		if spaced {
			cells = slices.Insert(cells, 0, row.seen.Namespace)
		}
		lines = append(lines, cells)
	}
	return lines
}

func labelText(seen ferry.Seen) string {
	if seen.Err != nil {
		return object.Unknown
	}
	var all []string
	for _, key := range slices.Sorted(maps.Keys(seen.Object.Meta.Labels)) {
		all = append(all, key+"="+seen.Object.Meta.Labels[key])
	}
	return console.OrNone(strings.Join(all, ","))
}
