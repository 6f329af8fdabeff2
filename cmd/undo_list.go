package cmd

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/cmd/ferry/undo"
	"github.com/kubeferry/kubeferry/etcdwalk"
)

// clusters names the clusters of a keyspace.
func clusters(ids []etcdwalk.Identity, etcd string) string {
	var names []string
	for _, id := range ids {
		if id.UID != "" {
			names = append(names, id.UID)
		}
	}
	return cmp.Or(strings.Join(names, ","), "etcd "+etcd)
}

// changesResult is what can be taken back, for scripts.
type changesResult struct {
	Changes []undo.Kept `json:"changes"`
}

// tell lists what can be taken back.
func (o *undoOptions) tell(all []undo.Kept, err error) error {
	rows := [][]string{{"NAME", "AGE", "CLUSTER", "WHAT"}}
	damaged := 0
	for _, k := range all {
		what := "a restore"
		switch {
		case k.Damaged != "":
			damaged++
			rows = append(rows, []string{k.Name, "-", "-", k.Damaged})
			continue
		case k.Undoes != "":
			what = "an undo of " + k.Undoes
		}
		rows = append(rows, []string{k.Name, console.Age(o.s.Now(), k.Made), clusters(k.Target, k.Etcd), what})
	}
	o.s.Result = changesResult{append([]undo.Kept{}, all...)}
	if len(all) > 0 {
		o.s.Table(rows)
	} else if err == nil {
		o.s.Talk("No change is kept there (--undo-dir).")
	}
	if err == nil && damaged > 0 {
		err = fmt.Errorf("plans of changes that are damaged: %d of %d; remove their files%.0w", damaged, len(all), ferry.ErrIncomplete)
	}
	return err
}
