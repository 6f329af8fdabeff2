package object

import "k8s.io/apimachinery/pkg/runtime"

// Clean is a copy of the object without what must not be applied again: what the
// server and controllers fill in, and what binds the object to the moment and the
// cluster that it was stored in. A server that is given the rest makes the object anew.
func (o *Object) Clean() *Object {
	tree := runtime.DeepCopyJSON(o.Tree())
	delete(tree, "status")
	about, _ := tree["metadata"].(map[string]any)
	drop(about, "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields", "ownerReferences", "selfLink")
	dropNotes(about, lastApplied)
	spec, _ := tree["spec"].(map[string]any)
	switch o.Meta.APIVersion + "/" + o.Meta.Kind {
	case "v1/Service":
		if spec["clusterIP"] != "None" { // which is a wish, and no address
			drop(spec, "clusterIP", "clusterIPs")
		}
		drop(spec, "healthCheckNodePort")
	case "v1/Pod":
		drop(spec, "nodeName")
	case "v1/PersistentVolumeClaim":
		drop(spec, "volumeName")
		dropNotes(about, "pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller", "volume.kubernetes.io/selected-node")
	case "v1/PersistentVolume":
		claim, _ := spec["claimRef"].(map[string]any)
		drop(claim, "uid", "resourceVersion")
	case "v1/Namespace":
		drop(tree, "spec") // its finalizers
	case "v1/Secret":
		if tree["type"] == "kubernetes.io/service-account-token" { // which a controller fills in
			dropNotes(about, "kubernetes.io/service-account.uid")
			delete(tree, "data")
		}
	case "certificates.k8s.io/v1/CertificateSigningRequest":
		drop(spec, "username", "uid", "groups", "extra")
	case "apps/v1/DaemonSet":
		dropNotes(about, "deprecated.daemonset.template.generation")
	case "apps/v1/Deployment":
		dropNotes(about, "deployment.kubernetes.io/revision")
	case "batch/v1/Job":
		cleanJob(about, spec)
	}
	return o.withTree(tree)
}

// cleanJob drops the selector that a server makes out of the Job's UID, and its labels
// (kubernetes: pkg/registry/batch/job/strategy.go).
func cleanJob(about, spec map[string]any) {
	if manual, _ := spec["manualSelector"].(bool); manual {
		return
	}
	drop(spec, "selector")
	template, _ := spec["template"].(map[string]any)
	inner, _ := template["metadata"].(map[string]any)
	for _, m := range []map[string]any{about, inner} {
		labels, _ := m["labels"].(map[string]any)
		drop(labels, "controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name")
		if labels != nil && len(labels) == 0 {
			delete(m, "labels")
		}
	}
}

func drop(m map[string]any, names ...string) {
	for _, name := range names {
		delete(m, name)
	}
}

// dropNotes drops annotations.
func dropNotes(about map[string]any, names ...string) {
	notes, _ := about["annotations"].(map[string]any)
	drop(notes, names...)
	if notes != nil && len(notes) == 0 {
		delete(about, "annotations")
	}
}
