package ferry

import (
	"context"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// alike tells whether two values are one object, of the same UID, of which only the status
// has moved: a living object must not be a conflict because of what its controllers tell.
// Values that cannot be read are not.
func alike(ctx context.Context, q kube.Query) func(want, have etcdwalk.Entry) bool {
	return func(want, have etcdwalk.Entry) bool {
		a, errWant := q.Opener().Decode(ctx, want.Key, want.Value)
		b, errHave := q.Opener().Decode(ctx, have.Key, have.Value)
		return errWant == nil && errHave == nil && a.Meta.UID != "" && a.Meta.UID == b.Meta.UID && object.Equal(a, b)
	}
}
