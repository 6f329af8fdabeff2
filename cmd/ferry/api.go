package ferry

import (
	"context"
	"errors"
	"fmt"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd2"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// ErrAmbiguous: two APIs of one server hold different keyspaces, and it is not
// clear which of them is Kubernetes'.
var ErrAmbiguous = errors.New("it is not clear which API holds the cluster")

// ChooseAPI tells which API of a server that speaks both holds Kubernetes' keys
// under these prefixes. After a half-finished upgrade both may: then it is the one
// in which an API server shows signs of life. A server without such keys is taken
// to be for v3.
func ChooseAPI(ctx context.Context, prefixes []string, v2, v3 Pin) (etcdwalk.API, error) {
	layout, err := kube.NewLayout(prefixes...)
	if err != nil {
		return "", err
	}
	var keys, signs [2]bool // of v2, of v3
	var denied error        // by v2, which has users of its own
	for i, pin := range []Pin{v2, v3} {
		view, err := pin(ctx, layout.Scope())
		if err == nil {
			keys[i], err = holds(ctx, view, etcdwalk.Selection{Ranges: layout.Scope()})
		}
		if err == nil && keys[i] {
			signs[i], err = holds(ctx, view, etcdwalk.Selection{Ranges: layout.LiveSigns()})
		}
		if i == 0 && errors.Is(err, etcdwalk.ErrDenied) {
			denied, err = err, nil
		}
		if err != nil {
			return "", fmt.Errorf("looking for Kubernetes' keys in API %s: %w", []etcdwalk.API{etcdwalk.V2, etcdwalk.V3}[i], err)
		}
	}
	switch {
	case denied != nil && !signs[1]:
		return "", fmt.Errorf("looking for Kubernetes' keys in API v2: %w", denied)
	case !keys[0], signs[1] && !signs[0]:
		return etcdwalk.V3, nil
	case !keys[1], signs[0] && !signs[1]:
		return etcdwalk.V2, nil
	case signs[0]:
		return "", fmt.Errorf("%w: both v2 and v3 hold Kubernetes' keys, and an API server uses either", ErrAmbiguous)
	}
	return "", fmt.Errorf("%w: both v2 and v3 hold Kubernetes' keys, and no API server uses them at present", ErrAmbiguous)
}

// holds tells whether a view has a key that is selected.
func holds(ctx context.Context, view etcdwalk.View, sel etcdwalk.Selection) (bool, error) {
	for _, err := range view.Walk(ctx, sel) {
		if errors.Is(err, etcd2.ErrTooLarge) { // so there is something
			return true, nil
		}
		return err == nil, err
	}
	return false, ctx.Err()
}
