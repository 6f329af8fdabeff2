package undo_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/kubeferry/kubeferry/cmd/ferry/undo"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/kubetest"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
	"github.com/kubeferry/kubeferry/etcdwalk/walktest"
)

func raw(key, value string) etcdwalk.Entry {
	return etcdwalk.Entry{Key: []byte(key), Value: []byte(value), CreateRevision: 1, ModRevision: 1, Version: 1}
}

// A claim is not deleted, whether or not anybody can read it, and its finalizers count: with it
// its disk may go.
func TestAClaimStays(t *testing.T) {
	const key = "/registry/persistentvolumeclaims/shop/disk"
	for name, value := range map[string]string{
		"readable": `{"kind":"PersistentVolumeClaim","apiVersion":"v1","metadata":{"name":"disk","namespace":"shop","uid":"d"}}`,
		"sealed":   "k8s:enc:aescbc:v1:key1:0123456789abcdef0123456789abcdef",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.allow = []string{kube.DeleteFinalizers}
			w.change(t, nothing, raw(key, value))
			if done := w.back(t); done.Counts[replay.Moved] != 1 || done.Complete() {
				t.Errorf("%v", done.Counts)
			}
			w.holds(t, raw(key, value))
		})
	}
}

// Nor is a volume of which nobody can read what becomes of its disk.
func TestASealedVolumeStays(t *testing.T) {
	for _, value := range []string{"k8s:enc:aescbc:v1:key1:0123456789abcdef0123456789abcdef", "k8s\x00\xff"} {
		volume := raw("/registry/persistentvolumes/pv-1", value)
		w := newWorld(t)
		w.allow = []string{kube.DeleteFinalizers}
		w.change(t, nothing, volume)
		if done := w.back(t); done.Counts[replay.Moved] != 1 || done.Complete() {
			t.Errorf("%v", done.Counts)
		}
		w.holds(t, volume)
		w.allow = append(w.allow, kube.DeleteVolumes)
		if done := w.back(t); !done.Complete() {
			t.Errorf("%v", done.Counts)
		}
		w.holds(t)
	}
}

// A Namespace that the change has made stays while others have objects in it.
func TestANamespaceOfOthersStays(t *testing.T) {
	namespace := raw("/registry/namespaces/shop", `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"shop","uid":"n"}}`)
	w := newWorld(t)
	w.change(t, nothing, text("a", "1"), namespace)
	w.target.Put(string(text("theirs", "").Key), string(text("theirs", "1").Value))
	if done := w.back(t); done.Counts[replay.Deleted] != 1 || done.Counts[replay.Moved] != 1 || done.Complete() {
		t.Errorf("%v", done.Counts)
	}
	w.holds(t, text("theirs", "1"), namespace)
}

// What somebody makes in a namespace while the undo asks keeps it there.
func TestANamespaceThatIsUsedWhileAsked(t *testing.T) {
	namespace := raw("/registry/namespaces/shop", `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"shop","uid":"n"}}`)
	w := newWorld(t)
	w.change(t, nothing, text("a", "1"), namespace)
	u := w.of(t, undo.Latest)
	p, err := u.Plan(t.Context())
	defer func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err != nil {
		t.Fatal(err)
	}
	w.target.Put(string(text("theirs", "").Key), string(text("theirs", "1").Value))
	done, err := u.Apply(t.Context(), p)
	if !errors.Is(err, replay.ErrConflict) || done.Counts.Changes() > 0 {
		t.Errorf("%v, %v", done.Counts, err)
	}
	w.holds(t, text("a", "1"), text("theirs", "1"), namespace)
	if done := w.back(t); done.Counts[replay.Deleted] != 1 || done.Counts[replay.Moved] != 1 {
		t.Errorf("%v", done.Counts)
	}
	w.holds(t, text("theirs", "1"), namespace)
}

// A value that is sealed at rest is put back by who can open it; who cannot is told that it was
// left alone, since its digests say nothing to them. It is never passed over.
func TestASealedValueIsNotPassedOver(t *testing.T) {
	opener, seal, _ := kubetest.Sealing(t)
	sealed := func(e etcdwalk.Entry) etcdwalk.Entry {
		e.Value = []byte(seal(string(e.Key), string(e.Value)))
		return e
	}
	before, after := sealed(text("a", "1")), sealed(text("a", "2"))
	for _, opens := range []bool{false, true} {
		w := newWorld(t, before)
		w.opener = opener
		w.change(t, nothing, after)
		want, fate := after, replay.Moved
		if opens {
			w.query, want, fate = w.query.Opening(opener), before, replay.Replaced
		}
		if done := w.back(t); done.Counts[fate] != 1 || done.Complete() != opens {
			t.Errorf("opened: %t, %v", opens, done.Counts)
		}
		w.holds(t, want)
	}
}

// A write that fails is told in the counts, from which the command takes its exit code.
func TestAFailureOfAnUndoIsTold(t *testing.T) {
	w := newWorld(t, text("a", "1"), text("b", "1"))
	w.change(t, nothing, text("a", "2"), text("b", "2"))
	w.target.Inject = func(_ int, write etcdwalk.Write) walktest.Fault {
		if strings.HasSuffix(string(write.Key), "/b") {
			return walktest.TooLarge
		}
		return 0
	}
	done := w.back(t)
	if done.Counts[replay.Failure] != 1 || done.Counts[replay.Replaced] != 1 || done.Complete() {
		t.Errorf("%v", done.Counts)
	}
	w.holds(t, text("a", "1"), text("b", "2"))
	w.target.Inject = nil
	if done := w.back(t); !done.Complete() {
		t.Errorf("once more: %v", done.Counts)
	}
	w.holds(t, text("a", "1"), text("b", "1"))
}

// What was kept is not what was replaced: it had been written, and as it was, between the two.
// That is told, and nothing is put in its place.
func TestWhatWasNotKeptIsTold(t *testing.T) {
	w := newWorld(t, text("a", "1"))
	key := string(text("a", "").Key)
	w.target.BeforeApply = func(int, []etcdwalk.Write) {
		w.target.BeforeApply = nil
		w.target.Put(key, string(text("a", "1").Value))
	}
	if done := w.change(t, func() { w.target.Put(key, string(text("a", "7").Value)) }, text("a", "2")); done.Counts[replay.Replaced] != 1 {
		t.Fatalf("%v", done.Counts)
	}
	if done := w.back(t); done.Counts[replay.Moved] != 1 || done.Complete() {
		t.Errorf("%v", done.Counts)
	}
	w.holds(t, text("a", "2"))
}

// What owns a claim that stays, itself or through others, whoever has made those, stays too:
// else the garbage collector would take the claim. So does the Namespace that the claim is in.
func TestAClaimKeepsItsOwner(t *testing.T) {
	object := func(dir, kind, uid, owner string) etcdwalk.Entry {
		return raw("/registry/"+dir+"/shop/"+uid, `{"kind":"`+kind+`","apiVersion":"v1","metadata":{"name":"`+uid+`","namespace":"shop","uid":"`+uid+`"`+owner+`}}`)
	}
	ownedBy := func(version, kind, uid string) string {
		return `,"ownerReferences":[{"apiVersion":"` + version + `","kind":"` + kind + `","name":"` + uid + `","uid":"` + uid + `"}]`
	}
	namespace := raw("/registry/namespaces/shop", `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"shop","uid":"n"}}`)
	set := object("statefulsets", "StatefulSet", "set", "")
	pod := object("pods", "Pod", "pod", ownedBy("apps/v1", "StatefulSet", "set"))
	claim := object("persistentvolumeclaims", "PersistentVolumeClaim", "disk", ownedBy("v1", "Pod", "pod"))
	other := object("configmaps", "ConfigMap", "other", "")
	made := []etcdwalk.Entry{other, namespace, claim, pod, set}
	for name, theirs := range map[string]int{"all are the change's": 0, "a controller made the claim": 1, "and the pod": 2} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			changed := slices.DeleteFunc(slices.Clone(made), func(e etcdwalk.Entry) bool {
				return theirs > 0 && string(e.Key) == string(claim.Key) || theirs > 1 && string(e.Key) == string(pod.Key)
			})
			w.change(t, nothing, changed...)
			for _, e := range []etcdwalk.Entry{claim, pod}[:theirs] {
				w.target.Put(string(e.Key), string(e.Value))
			}
			if done := w.back(t); done.Counts[replay.Deleted] != 1 || done.Counts[replay.Moved] != int64(len(changed))-1 || done.Complete() {
				t.Errorf("%v", done.Counts)
			}
			w.holds(t, made[1:]...)
		})
	}
	t.Run("replaced", func(t *testing.T) {
		was := set
		was.Value = bytes.ReplaceAll(set.Value, []byte(`"uid":"set"`), []byte(`"uid":"older"`))
		w := newWorld(t, namespace, was)
		w.change(t, nothing, set)
		for _, e := range []etcdwalk.Entry{claim, pod} {
			w.target.Put(string(e.Key), string(e.Value))
		}
		if done := w.back(t); done.Counts[replay.Moved] != 1 || done.Complete() {
			t.Errorf("%v", done.Counts)
		}
		w.holds(t, made[1:]...)
	})
	t.Run("allowed", func(t *testing.T) {
		w := newWorld(t)
		w.allow = []string{kube.DeleteVolumes}
		w.change(t, nothing, made...)
		if done := w.back(t); !done.Complete() {
			t.Errorf("%v", done.Counts)
		}
		w.holds(t)
	})
}

// A Namespace stays while there is something in it that the change has made and somebody has
// written since, or whose finalizers are to be asked first: in no namespace they cannot be.
func TestANamespaceOfWhatStays(t *testing.T) {
	namespace := raw("/registry/namespaces/shop", `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"shop","uid":"n"}}`)
	final := raw("/registry/services/specs/shop/lb", `{"kind":"Service","apiVersion":"v1","metadata":{"name":"lb","namespace":"shop","uid":"s","finalizers":["service.kubernetes.io/load-balancer-cleanup"]}}`)
	t.Run("written since", func(t *testing.T) {
		w := newWorld(t)
		w.change(t, nothing, text("a", "1"), namespace)
		w.target.Put(string(text("a", "").Key), string(text("a", "2").Value))
		if done := w.back(t); done.Counts[replay.Moved] != 2 || done.Complete() {
			t.Errorf("%v", done.Counts)
		}
		w.holds(t, text("a", "2"), namespace)
	})
	t.Run("finalizers", func(t *testing.T) {
		w := newWorld(t)
		w.change(t, nothing, namespace, final)
		if done := w.back(t); done.Counts[replay.Moved] != 2 || done.Complete() {
			t.Errorf("%v", done.Counts)
		}
		w.holds(t, namespace, final)
	})
}
