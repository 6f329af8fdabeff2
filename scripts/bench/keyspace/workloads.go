package keyspace

import (
	"fmt"
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// pod is about 7.5 KB: the template, its fields' owners, and a status.
func (k *Keyspace) pod(who identity) (Object, error) {
	d, now := who.fixed(), who.fresh()
	a := k.place(d)
	hash := d.hex(5)
	p := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name:              a.name + "-" + hash + "-" + suffix(who.index),
			GenerateName:      a.name + "-" + hash + "-",
			Namespace:         a.namespace,
			UID:               d.uid(),
			CreationTimestamp: d.after(a.created, 30*24*3600),
			Labels:            maps.Clone(a.labels),
			Annotations: map[string]string{
				"checksum/config":                   d.hex(32),
				"prometheus.io/scrape":              "true",
				"prometheus.io/port":                "9090",
				"kubectl.kubernetes.io/restartedAt": d.time().UTC().Format("2006-01-02T15:04:05Z07:00"),
			},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "apps/v1", Kind: "ReplicaSet", Name: a.name + "-" + hash, UID: d.uid(),
				Controller: new(true), BlockOwnerDeletion: new(true),
			}},
		},
		Spec: a.template,
	}
	p.Labels["pod-template-hash"] = hash
	p.Spec.NodeName = d.node()
	p.Spec.Volumes = append(p.Spec.Volumes[:len(p.Spec.Volumes):len(p.Spec.Volumes)], tokenVolume("kube-api-access-"+suffix(d.IntN(1<<20))))
	p.Status = podStatus(now, p)
	owner := fmt.Sprintf(ownerFields, p.OwnerReferences[0].UID) + `,"f:generateName":{},`
	p.ManagedFields = []metav1.ManagedFieldsEntry{
		managed("kube-controller-manager", "v1", "", p.CreationTimestamp,
			`{`+metadataFields(p.Labels, p.Annotations, owner)+`,`+templateFields(p.Spec)+`}`),
		managed("kubelet", "v1", "status", *p.Status.StartTime, fmt.Sprintf(podStatusFields, p.Status.PodIP)),
	}
	return stored("pods", "v1", "Pod", p.Namespace, p.Name, &p)
}

// tokenVolume is what the service account admission adds to each pod.
func tokenVolume(name string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		DefaultMode: new(int32(0o644)),
		Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{ExpirationSeconds: new(int64(3607)), Path: "token"}},
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"}, Items: []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}}}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{Path: "namespace", FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.namespace"}}}}},
		},
	}}}
}

// podStatus draws what a kubelet reports.
func podStatus(d dice, p corev1.Pod) corev1.PodStatus {
	started := d.after(p.CreationTimestamp, 60)
	ip, host := d.ip(), d.ip()
	s := corev1.PodStatus{
		Phase: corev1.PodRunning, StartTime: &started, QOSClass: corev1.PodQOSBurstable,
		HostIP: host, HostIPs: []corev1.HostIP{{IP: host}}, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}},
	}
	for _, t := range []corev1.PodConditionType{"PodReadyToStartContainers", corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady, corev1.PodScheduled} {
		s.Conditions = append(s.Conditions, corev1.PodCondition{Type: t, Status: corev1.ConditionTrue, LastTransitionTime: d.after(started, 120)})
	}
	for _, c := range p.Spec.Containers {
		s.ContainerStatuses = append(s.ContainerStatuses, corev1.ContainerStatus{
			Name: c.Name, Image: c.Image, Ready: true, Started: new(true), RestartCount: int32(d.IntN(4)),
			ImageID:     c.Image + "@sha256:" + d.hex(32),
			ContainerID: "containerd://" + d.hex(32),
			State:       corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: d.after(started, 120)}},
		})
	}
	return s
}

// replicaSet is about 6 KB: mostly old ones, which a deployment keeps.
func (k *Keyspace) replicaSet(who identity) (Object, error) {
	d, now := who.fixed(), who.fresh()
	a := k.place(d)
	hash := d.hex(3) + suffix(who.index)
	labels := maps.Clone(a.labels)
	labels["pod-template-hash"] = hash
	rs := appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Name: a.name + "-" + hash, Namespace: a.namespace, UID: d.uid(), Generation: int64(d.between(1, 9)),
			CreationTimestamp: d.after(a.created, 30*24*3600), Labels: labels,
			Annotations: map[string]string{
				"deployment.kubernetes.io/desired-replicas": "3",
				"deployment.kubernetes.io/max-replicas":     "4",
				"deployment.kubernetes.io/revision":         fmt.Sprint(d.between(1, 90)),
				"meta.helm.sh/release-name":                 a.name,
				"meta.helm.sh/release-namespace":            a.namespace,
			},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "apps/v1", Kind: "Deployment", Name: a.name, UID: a.uid, Controller: new(true), BlockOwnerDeletion: new(true),
			}},
		},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: new(int32(0)),
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app.kubernetes.io/name": a.name, "pod-template-hash": hash}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: map[string]string{"checksum/config": d.hex(32)}},
				Spec:       a.template,
			},
		},
		Status: appsv1.ReplicaSetStatus{ObservedGeneration: int64(now.between(1, 99)), Replicas: int32(now.IntN(4))},
	}
	rs.ManagedFields = []metav1.ManagedFieldsEntry{
		managed("kube-controller-manager", "apps/v1", "", rs.CreationTimestamp,
			`{`+metadataFields(rs.Labels, rs.Annotations, fmt.Sprintf(ownerFields, a.uid)+`,`)+
				`,"f:spec":{"f:replicas":{},"f:selector":{},"f:template":{`+metadataFields(labels, rs.Spec.Template.Annotations, "")+`,`+templateFields(a.template)+`}}}`),
		managed("kube-controller-manager", "apps/v1", "status", now.after(rs.CreationTimestamp, 24*3600), replicaSetStatusFields),
	}
	return stored("replicasets", "apps/v1", "ReplicaSet", rs.Namespace, rs.Name, &rs)
}

// event is about 0.8 KB, under a lease.
func (k *Keyspace) event(who identity) (Object, error) {
	d, now := who.fixed(), who.fresh()
	a := k.place(d)
	pod := a.name + "-" + d.hex(5) + "-" + suffix(d.IntN(k.keys))
	reason := eventReasons[d.IntN(len(eventReasons))]
	first := d.time()
	last := now.after(first, 3600)
	e := corev1.Event{
		ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("%s.18%06x%08x", pod, who.index, d.Uint32()), Namespace: a.namespace, UID: d.uid(), CreationTimestamp: first,
			ManagedFields: []metav1.ManagedFieldsEntry{managed("kubelet", "v1", "", last,
				`{"f:count":{},"f:firstTimestamp":{},"f:involvedObject":{},"f:lastTimestamp":{},"f:message":{},"f:reason":{},"f:reportingComponent":{},"f:reportingInstance":{},"f:source":{"f:component":{},"f:host":{}},"f:type":{}}`)},
		},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: a.namespace, Name: pod, UID: d.uid(), APIVersion: "v1",
			ResourceVersion: fmt.Sprint(now.IntN(90_000_000)), FieldPath: "spec.containers{" + a.name + "}"},
		Reason: reason[0], Message: fmt.Sprintf(reason[1], a.template.Containers[0].Image), Type: reason[2],
		Source:         corev1.EventSource{Component: "kubelet", Host: d.node()},
		FirstTimestamp: first, LastTimestamp: last, Count: int32(now.between(1, 50)),
		ReportingController: "kubelet", ReportingInstance: d.node(),
	}
	o, err := stored("events", "v1", "Event", e.Namespace, e.Name, &e)
	o.Lease = int64(who.index/EventsPerLease) + 1
	return o, err
}

// eventReasons are reason, message and type.
var eventReasons = [][3]string{
	{"Pulled", "Container image %q already present on machine and can be accessed by the pod", "Normal"},
	{"Pulling", "Pulling image %q", "Normal"},
	{"Created", "Created container of image %q", "Normal"},
	{"BackOff", "Back-off restarting failed container of image %q in pod", "Warning"},
	{"Unhealthy", "Readiness probe of %q failed: HTTP probe failed with statuscode: 503", "Warning"},
}

// endpointSlice grows with the number of endpoints, from 1 to 11.
func (k *Keyspace) endpointSlice(who identity) (Object, error) {
	d, now := who.fixed(), who.fresh()
	a := k.place(d)
	s := discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Name: a.name + "-" + suffix(who.index), GenerateName: a.name + "-", Namespace: a.namespace, UID: d.uid(),
			CreationTimestamp: a.created, Generation: int64(now.between(1, 400)), Labels: maps.Clone(a.labels),
			Annotations: map[string]string{"endpoints.kubernetes.io/last-change-trigger-time": now.time().UTC().Format("2006-01-02T15:04:05Z07:00")},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "v1", Kind: "Service", Name: a.name, UID: a.uid, Controller: new(true), BlockOwnerDeletion: new(true)}},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: new("http"), Port: new(int32(8080)), Protocol: new(corev1.ProtocolTCP)}},
	}
	s.Labels["kubernetes.io/service-name"] = a.name
	for range d.between(1, 12) {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
			Addresses:  []string{now.ip()},
			Conditions: discoveryv1.EndpointConditions{Ready: new(true), Serving: new(true), Terminating: new(false)},
			TargetRef:  &corev1.ObjectReference{Kind: "Pod", Namespace: a.namespace, Name: a.name + "-" + d.hex(5) + "-" + suffix(d.IntN(k.keys)), UID: d.uid()},
			NodeName:   new(d.node()), Zone: new("eu-central-1" + d.pick([]string{"a", "b", "c"})),
		})
	}
	s.ManagedFields = []metav1.ManagedFieldsEntry{managed("kube-controller-manager", "discovery.k8s.io/v1", "", a.created,
		`{"f:addressType":{},"f:endpoints":{},`+metadataFields(s.Labels, s.Annotations, fmt.Sprintf(ownerFields, a.uid)+`,"f:generateName":{},`)+`,"f:ports":{}}`)}
	return stored("endpointslices", "discovery.k8s.io/v1", "EndpointSlice", s.Namespace, s.Name, &s)
}
