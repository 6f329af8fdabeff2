package need

import (
	"context"
	"fmt"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// volume: one whose claim is not there is released, and with policy Delete its disk is
// deleted (kubernetes: pkg/controller/volume/persistentvolume/pv_controller.go).
func (j *judgement) volume(ctx context.Context, volume field) (string, []want, error) {
	const offer = "--retain-volumes brings the volume back with policy Retain"
	spec, phase := volume.in("spec"), volume.in("status").text("phase")
	if spec.text("persistentVolumeReclaimPolicy") != "Delete" {
		return "", nil, nil
	}
	if phase == "Released" || phase == "Failed" {
		return fmt.Sprintf("%s: it is %s with reclaim policy Delete: its disk would be deleted; %s", kube.Reclaimed, phase, offer), nil, nil
	}
	ref := spec.in("claimRef")
	if ref.text("uid") == "" {
		return "", nil, nil
	}
	claim := object.Owner{APIVersion: "v1", Kind: "PersistentVolumeClaim", Name: ref.text("name"), UID: ref.text("uid")}
	selected := j.Survey.Holds(ref.text("namespace"), claim)
	if selected && !j.Keeps {
		return "", nil, nil
	}
	what := "is not in the cluster and not selected"
	if selected {
		what = "would stay another's, or on its way out, since the policy on conflicts keeps that"
	}
	key, err := j.keyOf(ctx, j.class.Prefix, refer(ref.text("namespace"), claim))
	return "", []want{{rule: kube.Reclaimed, any: []candidate{{key: key, uid: claim.UID, orNone: selected}}, miss: fmt.Sprintf(
		"its claim %s/%s (uid %s) %s, and its reclaim policy is Delete: its disk would be deleted; select the claim too (--with-owners takes it along), or %s",
		ref.text("namespace"), claim.Name, claim.UID, what, offer)}}, err
}

// Reclaimed tells of volumes whether the disk behind each would be deleted, if it were
// written as it is, or whether nobody can know, since it cannot be read.
func (c *Checks) Reclaimed(ctx context.Context, volumes []etcdwalk.Entry) ([]bool, error) {
	reclaimed, wants := make([]bool, len(volumes)), make([][]want, len(volumes))
	var keys [][]byte
	for i, e := range volumes {
		o, err := c.Opener.Decode(ctx, e.Key, e.Value)
		if err != nil {
			reclaimed[i] = true
			continue
		}
		j := &judgement{Checks: c, class: c.Layout.Classify(e.Key), meta: o.Meta}
		reason, needs, err := j.volume(ctx, field(o.Tree()))
		if err != nil {
			return nil, err
		}
		reclaimed[i], wants[i] = reason != "", needs
		for _, w := range needs {
			keys = append(keys, w.keys()...)
		}
	}
	if err := c.fetch(ctx, keys); err != nil {
		return nil, err
	}
	for i := range wants {
		for _, w := range wants[i] {
			reclaimed[i] = reclaimed[i] || !c.there(w)
		}
	}
	return reclaimed, nil
}

// claim: a claim that is bound to a volume that is not there is Lost. One of which the volume
// is released already loses its disk, whether the claim comes back or not; that the volume is
// selected changes nothing, since only its status differs.
func (j *judgement) claim(ctx context.Context, claim field) (string, []want, error) {
	name := claim.in("spec").text("volumeName")
	if name == "" {
		return "", nil, nil
	}
	key, err := j.keyOf(ctx, j.class.Prefix, kube.Reference{Kind: "PersistentVolume", Name: name})
	if err != nil || key == nil {
		return "", nil, err
	}
	if j.anew && j.Rules.Binds(kube.Collecting) {
		volume, err := j.tree(ctx, key)
		if err != nil {
			return "", nil, fmt.Errorf("look at the volume of claim %q: %w", j.write.Key, err)
		}
		if phase := volume.in("status").text("phase"); volume.in("spec").text("persistentVolumeReclaimPolicy") == "Delete" && (phase == "Released" || phase == "Failed") {
			return fmt.Sprintf("%s: its volume, persistentvolume/%s, is %s in the cluster with reclaim policy Delete: a controller deletes its disk. "+
				"Give it the policy Retain (kubectl patch), or wait until it is gone and take it along with --with-owners", kube.Collecting, name, phase), nil, nil
		}
	}
	if !j.Rules.Binds(kube.Closure) || j.Selected("persistentvolumes", name) {
		return "", nil, nil
	}
	return "", []want{{rule: kube.Closure, any: []candidate{{key: key}}, miss: fmt.Sprintf(
		"its volume, persistentvolume/%s, is not in the cluster and not selected: the claim would be Lost; --with-owners takes it along", name)}}, nil
}

// tree is what the target holds under a key; nothing if that is nothing, or cannot be read.
func (j *judgement) tree(ctx context.Context, key []byte) (field, error) {
	found, err := j.Target.Lookup(ctx, [][]byte{key})
	if err != nil || found[0] == nil {
		return nil, err
	}
	o, err := j.Opener.Decode(ctx, key, found[0].Value)
	if err != nil {
		return nil, nil //nolint:nilerr // what it says is not known, as where it is not there
	}
	return field(o.Tree()), nil
}
