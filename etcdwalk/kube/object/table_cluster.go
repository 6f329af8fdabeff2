package object

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
)

func nodeTable() Table {
	return newTable("NAME|STATUS|ROLES|AGE|VERSION|*INTERNAL-IP|*EXTERNAL-IP|*OS-IMAGE|*KERNEL-VERSION|*CONTAINER-RUNTIME", func(n *corev1.Node, _ time.Time) []string {
		about := n.Status.NodeInfo
		kernel := orUnknown(about.KernelVersion)
		if about.Architecture != "" {
			kernel += " (" + about.Architecture + ")"
		}
		return []string{
			n.Name, nodeStatus(n), nodeRoles(n), "", about.KubeletVersion, nodeAddress(n, corev1.NodeInternalIP), nodeAddress(n, corev1.NodeExternalIP),
			orUnknown(about.OSImage), kernel, orUnknown(about.ContainerRuntimeVersion),
		}
	})
}

func nodeStatus(n *corev1.Node) string {
	status := "Unknown"
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			status = "NotReady"
			if c.Status == corev1.ConditionTrue {
				status = "Ready"
			}
		}
	}
	if n.Spec.Unschedulable {
		status += ",SchedulingDisabled"
	}
	return status
}

// nodeRoles are those that labels give a node.
func nodeRoles(n *corev1.Node) string {
	var roles []string
	for key, value := range n.Labels {
		if role, ok := strings.CutPrefix(key, "node-role.kubernetes.io/"); ok && role != "" {
			roles = append(roles, role)
		} else if key == "kubernetes.io/role" && value != "" {
			roles = append(roles, value)
		}
	}
	slices.Sort(roles)
	return orNone(strings.Join(slices.Compact(roles), ","))
}

func nodeAddress(n *corev1.Node, kind corev1.NodeAddressType) string {
	for _, a := range n.Status.Addresses {
		if a.Type == kind {
			return a.Address
		}
	}
	return none
}

func orUnknown(s string) string {
	if s == "" {
		return Unknown
	}
	return s
}

// The phase of what no controller has seen yet is what an API server makes it when it
// reads (kubernetes: pkg/apis/core/v1/defaults.go).
func namespaceTable() Table {
	return newTable("NAME|STATUS|AGE", func(n *corev1.Namespace, _ time.Time) []string {
		return []string{n.Name, string(cmp.Or(n.Status.Phase, corev1.NamespaceActive)), ""}
	})
}

func volumeTable() Table {
	return newTable("NAME|CAPACITY|ACCESS MODES|RECLAIM POLICY|STATUS|CLAIM|STORAGECLASS|VOLUMEATTRIBUTESCLASS|REASON|AGE|*VOLUMEMODE", func(v *corev1.PersistentVolume, _ time.Time) []string {
		claim, status := "", string(cmp.Or(v.Status.Phase, corev1.VolumePending))
		if ref := v.Spec.ClaimRef; ref != nil {
			claim = ref.Namespace + "/" + ref.Name
		}
		if v.DeletionTimestamp != nil {
			status = "Terminating"
		}
		return []string{
			v.Name, storageOf(v.Spec.Capacity), modes(v.Spec.AccessModes), string(v.Spec.PersistentVolumeReclaimPolicy), status, claim,
			cmp.Or(v.Annotations[corev1.BetaStorageClassAnnotation], v.Spec.StorageClassName), orUnset(v.Spec.VolumeAttributesClassName), v.Status.Reason, "", orUnset(v.Spec.VolumeMode),
		}
	})
}

func claimTable() Table {
	return newTable("NAME|STATUS|VOLUME|CAPACITY|ACCESS MODES|STORAGECLASS|VOLUMEATTRIBUTESCLASS|AGE|*VOLUMEMODE", func(c *corev1.PersistentVolumeClaim, _ time.Time) []string {
		capacity, access, class, status := "", "", "", string(cmp.Or(c.Status.Phase, corev1.ClaimPending))
		if c.Spec.VolumeName != "" {
			capacity, access = storageOf(c.Status.Capacity), modes(c.Status.AccessModes)
		}
		if c.Spec.StorageClassName != nil {
			class = *c.Spec.StorageClassName
		}
		class = cmp.Or(c.Annotations[corev1.BetaStorageClassAnnotation], class)
		if c.DeletionTimestamp != nil {
			status = "Terminating"
		}
		return []string{c.Name, status, c.Spec.VolumeName, capacity, access, class, orUnset(c.Spec.VolumeAttributesClassName), "", orUnset(c.Spec.VolumeMode)}
	})
}

func storageOf(r corev1.ResourceList) string {
	if size, ok := r[corev1.ResourceStorage]; ok {
		return size.String()
	}
	return ""
}

// modes shortens access modes as kubectl does.
func modes(all []corev1.PersistentVolumeAccessMode) string {
	var short []string
	for _, m := range []struct {
		mode corev1.PersistentVolumeAccessMode
		text string
	}{{corev1.ReadWriteOnce, "RWO"}, {corev1.ReadOnlyMany, "ROX"}, {corev1.ReadWriteMany, "RWX"}, {corev1.ReadWriteOncePod, "RWOP"}} {
		if slices.Contains(all, m.mode) {
			short = append(short, m.text)
		}
	}
	return strings.Join(short, ",")
}

// orUnset is what kubectl shows of an optional text.
func orUnset[T ~string](s *T) string {
	if s == nil {
		return "<unset>"
	}
	return string(*s)
}

func secretTable() Table {
	return newTable("NAME|TYPE|DATA|AGE", func(s *corev1.Secret, _ time.Time) []string {
		return []string{s.Name, string(s.Type), strconv.Itoa(len(s.Data)), ""}
	})
}

func configMapTable() Table {
	return newTable("NAME|DATA|AGE", func(c *corev1.ConfigMap, _ time.Time) []string {
		return []string{c.Name, strconv.Itoa(len(c.Data) + len(c.BinaryData)), ""}
	})
}

func autoscalerTable() Table {
	return newTable("NAME|REFERENCE|TARGETS|MINPODS|MAXPODS|REPLICAS|AGE", func(h *autoscalingv2.HorizontalPodAutoscaler, _ time.Time) []string {
		least := "<unset>"
		if h.Spec.MinReplicas != nil {
			least = number(*h.Spec.MinReplicas)
		}
		to := h.Spec.ScaleTargetRef
		return []string{h.Name, to.Kind + "/" + to.Name, targets(h), least, number(h.Spec.MaxReplicas), number(h.Status.CurrentReplicas), ""}
	})
}

// targets are an autoscaler's metrics, as they are and as they should be; two of them.
func targets(h *autoscalingv2.HorizontalPodAutoscaler) string {
	const most = 2
	if len(h.Spec.Metrics) == 0 {
		return none
	}
	var all []string
	for i, m := range h.Spec.Metrics {
		var now autoscalingv2.MetricStatus
		if i < len(h.Status.CurrentMetrics) {
			now = h.Status.CurrentMetrics[i]
		}
		all = append(all, metric(m, now))
	}
	if len(all) > most {
		return fmt.Sprintf("%s + %d more...", strings.Join(all[:most], ", "), len(all)-most)
	}
	return strings.Join(all, ", ")
}

func metric(m autoscalingv2.MetricSpec, now autoscalingv2.MetricStatus) string {
	switch {
	case m.Resource != nil:
		var is autoscalingv2.MetricValueStatus
		if now.Resource != nil {
			is = now.Resource.Current
		}
		return string(m.Resource.Name) + ": " + against(is, m.Resource.Target, "")
	case m.ContainerResource != nil:
		var is autoscalingv2.MetricValueStatus
		if now.ContainerResource != nil {
			is = now.ContainerResource.Current
		}
		return string(m.ContainerResource.Name) + ": " + against(is, m.ContainerResource.Target, "")
	case m.Pods != nil:
		var is autoscalingv2.MetricValueStatus
		if now.Pods != nil {
			is = now.Pods.Current
		}
		return against(is, m.Pods.Target, "")
	case m.Object != nil:
		var is autoscalingv2.MetricValueStatus
		if now.Object != nil {
			is = now.Object.Current
		}
		return against(is, m.Object.Target, " (avg)")
	case m.External != nil:
		var is autoscalingv2.MetricValueStatus
		if now.External != nil {
			is = now.External.Current
		}
		return against(is, m.External.Target, " (avg)")
	}
	return "<unknown type>"
}

// against is a value and what it should be; average is said behind one.
func against(is autoscalingv2.MetricValueStatus, target autoscalingv2.MetricTarget, average string) string {
	value := Unknown
	switch {
	case target.AverageUtilization != nil:
		if is.AverageUtilization != nil {
			value = fmt.Sprintf("%d%%", *is.AverageUtilization)
		}
		return fmt.Sprintf("%s/%d%%", value, *target.AverageUtilization)
	case target.AverageValue != nil:
		if is.AverageValue != nil {
			value = is.AverageValue.String()
		}
		return value + "/" + target.AverageValue.String() + average
	case target.Value != nil:
		if is.Value != nil {
			value = is.Value.String()
		}
		return value + "/" + target.Value.String()
	}
	return value + "/<auto>"
}

func eventTable() Table {
	return newTable("LAST SEEN|TYPE|REASON|OBJECT|*SUBOBJECT|*SOURCE|MESSAGE|*FIRST SEEN|*COUNT|*NAME", func(e *corev1.Event, now time.Time) []string {
		first, last, count := e.FirstTimestamp.Time, e.LastTimestamp.Time, e.Count
		if first.IsZero() {
			first = e.EventTime.Time
		}
		if e.Series != nil {
			last, count = e.Series.LastObservedTime.Time, e.Series.Count
		} else if last.IsZero() {
			last = first
		}
		if count == 0 {
			count = 1 // an event that is no series happened once
		}
		of, source := e.InvolvedObject, e.Source.Component
		if source == "" {
			source = e.ReportingController
		}
		if host := cmp.Or(e.Source.Host, e.ReportingInstance); host != "" {
			source += ", " + host
		}
		about := strings.ToLower(of.Kind)
		if of.Name != "" {
			about += "/" + of.Name
		}
		return []string{since(now, last), e.Type, e.Reason, about, of.FieldPath, source, strings.TrimSpace(e.Message), since(now, first), number(count), e.Name}
	})
}
