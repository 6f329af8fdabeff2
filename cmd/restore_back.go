package cmd

import (
	"context"
	"fmt"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// readBack reads back what was written, if that is wanted.
func (o *restoreOptions) readBack(ctx context.Context, r ferry.Restore, planned *ferry.Planned, written int64) (*ferry.Aftermath, error) {
	if written == 0 || !o.watching.back && (r.Scenario != kube.ScenarioNew || o.s.Typed("read-back")) {
		return nil, nil
	}
	tell, stop := progress(o.s)
	defer stop()
	r.Progress = tell
	back, err := r.ReadBack(ctx, planned)
	stop()
	o.losses(back, false)
	if err != nil {
		return &back, fmt.Errorf("%s written: %w", wereKeys(written), err)
	}
	o.s.Talk("Read back: %s, as in the archive.", console.Count(back.Keys, "key"))
	return &back, nil
}
