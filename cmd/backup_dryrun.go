package cmd

import (
	"context"
	"fmt"
	"strconv"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// look counts what a backup would take.
func (o *backupOptions) look(ctx context.Context, query kube.Query) error {
	cluster, err := o.connection.Dial(ctx, query.Layout())
	if err != nil {
		return err
	}
	defer cluster.Close()
	tell, stop := progress(o.s)
	defer stop()
	counted, err := ferry.Backup{Source: cluster.Source, Query: query, AllowEmpty: o.allowEmpty, AcceptCorrupt: o.corrupt, Progress: tell}.Tally(ctx)
	stop()
	if err != nil {
		return err
	}
	o.warnOfSource(counted.Alarms, nil)
	rows := [][]string{{"KIND", "KEYS", "SIZE"}}
	for _, kind := range counted.Kinds {
		rows = append(rows, []string{kindText(kind.Kind), strconv.FormatInt(kind.Keys, 10), console.Bytes(kind.Bytes)})
	}
	o.s.Result = counted
	o.s.Table(rows)
	o.s.Talk("%s (%s), %s, %s; nothing was written.", console.Count(counted.Keys, "key"), console.Count(int64(len(counted.Kinds)), "kind"), console.Bytes(counted.Bytes), moment(counted.Outcome, counted.Revision))
	o.tellNamed(counted.Named, "would be")
	o.tellOutside(counted.Outside)
	return nil
}

// moment says of when the entries are. API v2 reads no past: there it may be of
// more than one moment, which must not go unseen.
func moment(o etcdwalk.Outcome, revision int64) string {
	if o.Consistent {
		return fmt.Sprintf("revision %d", revision)
	}
	return fmt.Sprintf("inconsistent (written to between index %d and %d)", o.FirstIndex, o.LastIndex)
}

// kindText names the keys that belong to no kind.
func kindText(kind string) string {
	if kind == "" {
		return "<other>"
	}
	return kind
}
