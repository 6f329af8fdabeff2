package ferry_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
	"github.com/kubeferry/kubeferry/remote/remotetest"
)

func TestBackupThatIsStoppedLeavesNothingUnderAName(t *testing.T) {
	for phase, readBack := range map[ferry.Phase]bool{ferry.Walking: false, ferry.Verifying: true} {
		t.Run(string(phase), func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var store remotetest.Memory
			recipient, _ := newKeys(t)
			b := backup(walktest.NewView(objects(50)...), &store, recipient)
			b.ReadBack = readBack
			stopped := 0
			b.Progress = func(now ferry.Phase, _, _ int64) {
				if now == phase {
					stopped++
					cancel()
				}
			}
			if _, err := b.Run(ctx); !errors.Is(err, context.Canceled) || stopped == 0 {
				t.Errorf("stopped %d times: got %v, want %v", stopped, err, context.Canceled)
			}
			if names := remotetest.Names(t, &store, ""); len(names) > 0 {
				t.Errorf("%q are left, want nothing", names)
			}
		})
	}
}

// Once the archive has its name, the receipt is all that is missing.
func TestBackupThatIsStoppedTooLateIsWhole(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stopped := 0
	store := remotetest.Memory{Fault: func(op, name string) error {
		if op == "commit" && strings.HasSuffix(name, ".age") {
			stopped++
			cancel()
		}
		return nil
	}}
	recipient, keys := newKeys(t)
	done, err := backup(walktest.NewView(objects(50)...), &store, recipient).Run(ctx)
	if err != nil || stopped != 1 {
		t.Fatalf("stopped %d times: %v", stopped, err)
	}
	if n := len(contents(t, &store, done.Receipt.Name, keys)); n != 51 {
		t.Errorf("the archive has %d keys, want 51", n)
	}
	if names := remotetest.Names(t, &store, ""); len(names) != 2 {
		t.Errorf("there are %q, want an archive and its receipt", names)
	}
}

func TestRestoreThatIsStoppedTellsOfEachKey(t *testing.T) {
	var store remotetest.Memory
	recipient, keys := newKeys(t)
	made, err := backup(walktest.NewView(objects(900)...), &store, recipient).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a, err := ferry.Open(ctx, &store, made.Receipt.Name, keys)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	target := walktest.NewTarget()
	target.BeforeApply = func(n int, _ []etcdwalk.Write) {
		if n == 3 {
			cancel()
		}
	}
	told := map[string]replay.Fate{}
	r := ferry.Restore{Source: a, Cluster: target.View(), Target: target, Scenario: kube.ScenarioNew}
	planned, err := r.Plan(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r.Report = func(record replay.Line) error {
		if _, twice := told[string(record.Key)]; twice {
			t.Errorf("key %q has two outcomes", record.Key)
		}
		told[string(record.Key)] = record.Fate
		return nil
	}
	done, err := r.Apply(ctx, planned)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	written := len(target.Entries())
	if written == 0 || written == 901 || done.Counts[replay.Created] != int64(written) || done.Counts[replay.Unreached] != int64(901-written) {
		t.Errorf("%d of 901 keys were written; the summary says %v", written, done.Counts)
	}
	if len(told) != 901 {
		t.Errorf("%d keys have an outcome, want 901", len(told))
	}
	for _, e := range target.Entries() {
		if told[string(e.Key)] != replay.Created {
			t.Errorf("key %q was written, and is told to be %q", e.Key, told[string(e.Key)])
		}
	}
}
