package undo_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/cmd/ferry/undo"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/replay/journal"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
	"github.com/kubeferry/kubeferry/remote/remotetest"
)

// kubeSystem is the Namespace by whose UID a cluster is known.
func kubeSystem(uid string) etcdwalk.Entry {
	return raw("/registry/namespaces/kube-system", fmt.Sprintf(`{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"kube-system","uid":%q}}`, uid))
}

// An etcd that was filled from an archive of the cluster has its kube-system, and not its
// changes; nor has another cluster in the same etcd.
func TestAnotherEtcdOfTheSameCluster(t *testing.T) {
	for name, c := range map[string]struct {
		etcd etcdwalk.ClusterID
		uid  string
		want error
	}{
		"the cluster":                  {1, "u1", nil},
		"another etcd":                 {2, "u1", etcdwalk.ErrRefused},
		"another cluster in that etcd": {1, "u2", etcdwalk.ErrRefused},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, kubeSystem("u1"))
			w.etcd = 1
			w.change(t, nothing, text("a", "1"))
			w.etcd = c.etcd
			w.target.Put(string(kubeSystem("").Key), string(kubeSystem(c.uid).Value))
			if c.want != nil {
				if _, err := w.try(t, undo.Latest); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("the latest change: %v", err)
				}
			}
			_, err := w.try(t, w.newest(t))
			if !errors.Is(err, c.want) || c.want == nil && err != nil {
				t.Errorf("by its name: %v", err)
			}
			want := []etcdwalk.Entry{kubeSystem(c.uid)}
			if c.want != nil {
				want = append([]etcdwalk.Entry{text("a", "1")}, want...)
			}
			w.holds(t, want...)
		})
	}
}

// A change may have brought the kube-system by which the cluster is known since.
func TestAChangeThatBroughtTheCluster(t *testing.T) {
	w := newWorld(t)
	w.etcd = 1
	w.change(t, nothing, text("a", "1"), kubeSystem("u1"))
	if done := w.back(t); !done.Complete() {
		t.Errorf("%v", done.Counts)
	}
	w.holds(t)
}

// full is a target that has no space left for what ends so.
func full(ending string) func(int, etcdwalk.Write) walktest.Fault {
	return func(_ int, write etcdwalk.Write) walktest.Fault {
		if strings.HasSuffix(string(write.Key), ending) {
			return walktest.NoSpace
		}
		return 0
	}
}

// An undo that failed midway is gone on with by the same command: the latest change is what it
// takes back, and not the undo.
func TestTheSameUndoAgain(t *testing.T) {
	w := newWorld(t)
	w.change(t, nothing, text("a", "1"), text("b", "1"))
	w.target.Inject = full("/b")
	if done, err := w.try(t, undo.Latest); !errors.Is(err, etcdwalk.ErrNoSpace) || done.Counts[replay.Deleted] != 1 {
		t.Fatalf("%v, %v", done.Counts, err)
	}
	w.target.Inject = nil
	if done := w.back(t); !done.Complete() {
		t.Errorf("%v", done.Counts)
	}
	w.holds(t)
}

// The oldest of ten changes is not lost to the undo that takes it back and fails.
func TestTheOldestChangeOutlivesItsUndo(t *testing.T) {
	w := newWorld(t, text("a", "0"), text("b", "0"))
	w.change(t, nothing, text("a", "1"), text("b", "1"))
	oldest := w.newest(t)
	for i := range 9 {
		name := fmt.Sprint("other", i)
		w.change(t, nothing, text(name, "1"))
	}
	w.target.Inject = full("")
	if done, err := w.try(t, oldest); !errors.Is(err, etcdwalk.ErrNoSpace) {
		t.Fatalf("%v, %v", done.Counts, err)
	}
	w.target.Inject = nil
	done, err := w.try(t, oldest)
	if err != nil || !done.Complete() || done.Counts[replay.Replaced] != 2 {
		t.Errorf("%v, %v", done.Counts, err)
	}
}

// What an undo has put back, and of which a controller has written the status since, is not told
// as moved by the same undo.
func TestAStatusSinceTheUndo(t *testing.T) {
	w := newWorld(t, text("a", "1"))
	w.change(t, nothing, text("a", "2"))
	name := w.newest(t)
	w.back(t)
	w.target.Put(string(text("a", "").Key), strings.Replace(string(text("a", "1").Value), `"data":`, `"status":{"x":1},"data":`, 1))
	if done, err := w.try(t, name); err != nil || !done.Complete() || done.Counts[replay.Unchanged] != 1 {
		t.Errorf("%v, %v", done.Counts, err)
	}
}

// A plan that is damaged is told, and blocks neither the list nor what is named nor a change.
func TestADamagedPlanBlocksNothingElse(t *testing.T) {
	w := newWorld(t)
	w.change(t, nothing, text("a", "1"))
	good := w.newest(t)
	const bad = "20991231T000000.000000Z-00000000"
	remotetest.Publish(t, w.store, bad+".plan", nil)
	all, err := undo.List(t.Context(), w.store)
	if err != nil || len(all) != 2 || all[0].Name != bad || all[0].Damaged == "" || all[1].Damaged != "" {
		t.Fatalf("%+v, %v", all, err)
	}
	if _, err := w.keeper.Unended(t.Context(), w.view().Info()); err != nil {
		t.Error(err)
	}
	if _, err := w.try(t, undo.Latest); !errors.Is(err, journal.ErrDamaged) || !strings.Contains(err.Error(), "name the one that is meant") {
		t.Errorf("the latest: %v", err)
	}
	if done, err := w.try(t, good); err != nil || !done.Complete() {
		t.Errorf("%v, %v", done.Counts, err)
	}
	w.holds(t)
}

// An archive without a plan, of a change that was killed while it was kept, goes after a day.
func TestAnArchiveWithoutAPlanGoes(t *testing.T) {
	w := newWorld(t)
	const old, young = "20251231T000000.000000Z-00000000.zip.age", "20260102T030000.000000Z-00000000.zip.age"
	for _, name := range []string{old, young, "notes.zip.age"} {
		remotetest.Publish(t, w.store, name, []byte("x"))
	}
	w.change(t, nothing, text("a", "1"))
	for name, there := range map[string]bool{old: false, young: true, "notes.zip.age": true} {
		o, err := w.store.Open(t.Context(), name)
		if (err == nil) != there {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			if err := o.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// A change of which the plan is gone is no change: the error says how to see those that are.
func TestAPlanThatIsGone(t *testing.T) {
	w := newWorld(t)
	w.change(t, nothing, text("a", "1"))
	name := w.newest(t)
	if err := w.store.Remove(t.Context(), name+".plan"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.try(t, name); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "kubeferry undo --list") {
		t.Errorf("%v", err)
	}
	w.holds(t, text("a", "1"))
}
