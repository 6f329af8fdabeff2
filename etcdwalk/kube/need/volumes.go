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
	return "", []want{{rule: kube.Reclaimed, any: []candidate{{key, claim.UID}}, orNone: selected, miss: fmt.Sprintf(
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
