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
	// Columns are the heads, in capitals.
	Columns []string
	// Wide is how many of them, the last ones, are for -o wide only.
	Wide int

	row    func(o *Object, now time.Time) []string
	custom bool // its columns are a definition's, which may call anything AGE
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
		"/ServiceAccount": serviceAccountTable, "/Event": eventTable,
		"apps/Deployment": deploymentTable, "apps/StatefulSet": statefulSetTable, "apps/DaemonSet": daemonSetTable, "apps/ReplicaSet": replicaSetTable,
		"batch/Job": jobTable, "batch/CronJob": cronJobTable,
		"networking.k8s.io/Ingress": ingressTable, "autoscaling/HorizontalPodAutoscaler": autoscalerTable,
	}[group+"/"+m.Kind]
	if !ok {
		return Table{Columns: []string{"NAME", "AGE"}, row: func(o *Object, _ time.Time) []string { return []string{o.Meta.Name, ""} }}
	}
	return table()
}

// Row is the object in the table's columns; ages are counted to now, and unknown if it
// is zero. Of an object without a tree, or stored in a version whose type has no table,
// only name and age are told.
func (t Table) Row(o *Object, now time.Time) []string {
	cells := t.row(o, now)
	if cells == nil {
		cells = slices.Repeat([]string{Unknown}, len(t.Columns))
		cells[slices.Index(t.Columns, "NAME")] = o.Meta.Name
	}
	if age := slices.Index(t.Columns, "AGE"); age >= 0 && !t.custom {
		cells[age] = since(now, o.Meta.Created)
	}
	return cells
}

// newTable makes the table of a type. Columns are parted by bars, and a double one stands
// before those that are wide. The cell below AGE is left empty.
func newTable[T runtime.Object](columns string, row func(o T, now time.Time) []string) Table {
	always, wide, _ := strings.Cut(columns, "||")
	t := Table{Columns: strings.Split(always, "|")}
	if wide != "" {
		more := strings.Split(wide, "|")
		t.Columns, t.Wide = append(t.Columns, more...), len(more)
	}
	t.row = func(o *Object, now time.Time) []string {
		typed, ok := o.typed.(T)
		if !ok {
			return nil
		}
		return row(typed, now)
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
