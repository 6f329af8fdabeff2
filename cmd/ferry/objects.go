package ferry

import (
	"context"
	"fmt"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// Objects tells of each key that a query takes in a source, ascending, and counts
// them. What is called by its name and not there is an ErrEmpty, and so is nothing.
func Objects(ctx context.Context, source etcdwalk.Source, q kube.Query, tell func(etcdwalk.Class, etcdwalk.Entry)) (int64, error) {
	q, err := within(source, q)
	if err != nil {
		return 0, err
	}
	layout := q.Layout()
	view, err := source.Open(ctx, etcdwalk.Newest, layout.Scope())
	if err != nil {
		return 0, err
	}
	sel, err := q.Resolve(ctx, view)
	if err != nil {
		return 0, err
	}
	if err := named(ctx, q, view); err != nil {
		return 0, err
	}
	var shown int64
	for e, err := range view.Walk(ctx, sel) {
		if err != nil {
			return shown, err
		}
		shown++
		tell(layout.Classify(e.Key), e)
	}
	if shown == 0 {
		return 0, fmt.Errorf("nothing in it matches the selection%.0w", ErrEmpty)
	}
	return shown, ctx.Err()
}
