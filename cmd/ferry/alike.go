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
	decoded := func(e etcdwalk.Entry) *object.Object {
		plain, err := q.Opener().Open(ctx, e.Key, e.Value)
		if err != nil {
			return nil
		}
		o, err := object.Decode(plain)
		if err != nil {
			return nil
		}
		return o
	}
	return func(want, have etcdwalk.Entry) bool {
		a, b := decoded(want), decoded(have)
		return a != nil && b != nil && a.Meta.UID != "" && a.Meta.UID == b.Meta.UID && object.Equal(a, b)
	}
}
