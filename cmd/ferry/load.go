package ferry

import (
	"bytes"
	"context"
	"fmt"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// Load fills an empty cluster from the bytes of an archive in the clear,
// leases included, and returns the number of keys.
func Load(ctx context.Context, data []byte, pin Pin, target etcdwalk.Target) (int64, error) {
	reader, err := archive.Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return 0, err
	}
	r := Restore{Archive: &Archive{Reader: reader}, Pin: pin, Target: target, Scenario: kube.ScenarioNew, Regrant: true, InFlight: 4}
	planned, err := r.Plan(ctx)
	if err != nil {
		return 0, err
	}
	done, err := r.Apply(ctx, planned)
	return done.Counts[replay.Created], err
}

// Compare walks the ranges of two views and returns how many keys they hold,
// if each key has the same value in both, and is under a lease in both or in
// neither. If not, the error names the first key that differs.
func Compare(ctx context.Context, a, b etcdwalk.View, ranges etcdwalk.Ranges) (int64, error) {
	sel := etcdwalk.Selection{Ranges: ranges}
	for _, pair := range [][2]etcdwalk.View{{a, b}, {b, a}} {
		key, found, err := replay.Foreign(ctx, pair[0], pair[1], sel, nil)
		if err != nil {
			return 0, err
		}
		if found {
			return 0, fmt.Errorf("key %q differs", key)
		}
	}
	var keys int64
	for _, err := range a.Walk(ctx, sel) {
		if err != nil {
			return 0, err
		}
		keys++
	}
	return keys, nil
}
