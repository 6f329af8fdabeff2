package kubetest

import "context"

// volumes tells of volumes whether their claim is there, and deletes those whose claim is
// gone, and their disks, if they say so (kubernetes: pkg/controller/volume/persistentvolume,
// pvprotection).
func (c *Controllers) volumes(ctx context.Context, s *state) error {
	const who = "volumes"
	return c.each(s, "persistentvolumes", func(o *item) error {
		ref, _ := o.at("spec", "claimRef").(map[string]any)
		if len(ref) == 0 {
			return nil
		}
		namespace, _ := ref["namespace"].(string)
		name, _ := ref["name"].(string)
		claim := s.byKey[registry+"persistentvolumeclaims/"+namespace+"/"+name]
		bound := claim != nil && claim.Meta.UID == ref["uid"]
		switch {
		case o.Meta.Deleting && !bound:
			return c.unfinalise(ctx, who, o, "kubernetes.io/pv-protection")
		case !bound && o.text("spec", "persistentVolumeReclaimPolicy") == "Delete":
			return c.remove(ctx, who, s, o)
		}
		return c.phase(ctx, who, o, bound, "Released")
	})
}

// claims tells of claims that are bound whether their volume is there, and lets those go
// that nobody uses (kubernetes: pkg/controller/volume/persistentvolume, pvcprotection).
func (c *Controllers) claims(ctx context.Context, s *state) error {
	const who = "claims"
	return c.each(s, "persistentvolumeclaims", func(o *item) error {
		if o.Meta.Deleting {
			if using(s, o) {
				return nil
			}
			return c.unfinalise(ctx, who, o, "kubernetes.io/pvc-protection")
		}
		volume := o.text("spec", "volumeName")
		if volume == "" {
			return nil
		}
		is := s.byKey[registry+"persistentvolumes/"+volume]
		return c.phase(ctx, who, o, is != nil && is.at("spec", "claimRef", "uid") == o.Meta.UID, "Lost")
	})
}

// phase says in the status of an object that has one whether it is bound.
func (c *Controllers) phase(ctx context.Context, who string, o *item, bound bool, or string) error {
	phase := or
	if bound {
		phase = "Bound"
	}
	if is := o.text("status", "phase"); is == "" || is == phase {
		return nil
	}
	tree, _ := o.changed()
	status, _ := tree["status"].(map[string]any)
	status["phase"] = phase
	return c.put(ctx, who, o, tree)
}
