package object

import (
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
)

// A Table is how objects of a kind are shown in lines, as kubectl shows them. kubectl
// has its columns from the server (kubernetes: pkg/printers/internalversion/
// printers.go), which cannot be linked: these follow them.
type Table struct {
	columns []tableColumn
	row     func(o *Object, now time.Time, wide bool) []string
	custom  bool // its columns are a definition's, which may call anything AGE
}

// A tableColumn has a head in capitals; one that is wide is for -o wide only.
type tableColumn struct {
	head string
	wide bool
}

// Unknown is a cell of which nothing is known.
const Unknown = "<unknown>"

// none is a cell of something that is not there.
const none = "<none>"

// TableOf is the table of a kind, as an object names it; NAME and AGE for those that
// have none of their own.
func TableOf(m Meta) Table {
	group, _, grouped := strings.Cut(m.APIVersion, "/")
	if !grouped {
		group = ""
	}
	table, ok := map[string]func() Table{
		"/Pod": podTable, "/Service": serviceTable, "/Node": nodeTable, "/Namespace": namespaceTable,
		"/PersistentVolume": volumeTable, "/PersistentVolumeClaim": claimTable, "/Secret": secretTable, "/ConfigMap": configMapTable,
		"/Event":          eventTable,
		"apps/Deployment": deploymentTable, "apps/StatefulSet": statefulSetTable, "apps/DaemonSet": daemonSetTable, "apps/ReplicaSet": replicaSetTable,
		"batch/Job": jobTable, "batch/CronJob": cronJobTable,
		"networking.k8s.io/Ingress": ingressTable, "autoscaling/HorizontalPodAutoscaler": autoscalerTable,
	}[group+"/"+m.Kind]
	if !ok {
		return Table{columns: []tableColumn{{head: "NAME"}, {head: "AGE"}}, row: func(o *Object, _ time.Time, _ bool) []string { return []string{o.Meta.Name, ""} }}
	}
	return table()
}

// Heads are the heads of the columns.
func (t Table) Heads(wide bool) []string {
	var heads []string
	for _, c := range t.columns {
		heads = append(heads, c.head)
	}
	return t.narrow(heads, wide)
}

// Row is the object in the table's columns; ages are counted to now, and unknown if it
// is zero. Of an object without a tree, or stored in a version whose type has no table,
// only name and age are told.
func (t Table) Row(o *Object, now time.Time, wide bool) []string {
	cells := t.row(o, now, wide)
	if cells == nil {
		cells = slices.Repeat([]string{Unknown}, len(t.columns))
		cells[t.at("NAME")] = o.Meta.Name
	}
	if age := t.at("AGE"); age >= 0 && !t.custom {
		cells[age] = since(now, o.Meta.Created)
	}
	return t.narrow(cells, wide)
}

func (t Table) at(head string) int {
	return slices.IndexFunc(t.columns, func(c tableColumn) bool { return c.head == head })
}

// narrow leaves out cells of wide columns.
func (t Table) narrow(cells []string, wide bool) []string {
	if wide {
		return cells
	}
	var some []string
	for i, c := range t.columns {
		if !c.wide {
			some = append(some, cells[i])
		}
	}
	return some
}

// newTable makes the table of a type. Columns are parted by bars, and those that are wide
// begin with a star. The cell below AGE is left empty.
func newTable[T runtime.Object](columns string, row func(o T, now time.Time) []string) Table {
	return newWideTable(columns, func(o T, now time.Time, _ bool) []string { return row(o, now) })
}

// newWideTable makes one of which some cells are shorter if not all is to be shown.
func newWideTable[T runtime.Object](columns string, row func(o T, now time.Time, wide bool) []string) Table {
	var t Table
	for head := range strings.SplitSeq(columns, "|") {
		head, wide := strings.CutPrefix(head, "*")
		t.columns = append(t.columns, tableColumn{head, wide})
	}
	t.row = func(o *Object, now time.Time, wide bool) []string {
		typed, ok := o.typed.(T)
		if !ok {
			return nil
		}
		return row(typed, now, wide)
	}
	return t
}

// since is an age as kubectl shows it.
func since(now, t time.Time) string {
	if now.IsZero() || t.IsZero() {
		return Unknown
	}
	return duration.HumanDuration(now.Sub(t))
}

func orNone(s string) string {
	if s == "" {
		return none
	}
	return s
}
