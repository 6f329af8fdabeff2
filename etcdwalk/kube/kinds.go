package kube

import (
	"slices"
	"strings"
)

// A Kind is a resource that is stored in etcd.
type Kind struct {
	// Plural is the resource's name: "deployments".
	Plural string
	// Kind is the type in a stored object: "Deployment". Empty for a custom
	// resource whose definition was not seen.
	Kind string
	// Group is the API group; empty for the core group.
	Group string
	// Namespaced tells the scope.
	Namespaced bool

	path  string // below the prefix, without a slash at the end
	short string // short names, separated by spaces
	twins string // other groups that show the same objects, separated by spaces
}

// Name is the kind as kubectl writes it: "configmaps", "deployments.apps".
func (k Kind) Name() string { return qualified(k.Plural, k.Group) }

// Names are the words that stand for the kind, without its group: plural,
// singular, short names.
func (k Kind) Names() []string {
	names := []string{k.Plural}
	if singular := strings.ToLower(k.Kind); singular != "" && singular != k.Plural {
		names = append(names, singular)
	}
	return append(names, strings.Fields(k.short)...)
}

// Known are the kinds that are compiled into kube-apiserver and into OpenShift's API
// servers, of all versions that kubeferry knows, sorted by name.
func Known() []Kind {
	known := slices.Concat(table, openshift)
	slices.SortFunc(known, func(a, b Kind) int { return strings.Compare(a.Name(), b.Name()) })
	return known
}

// KindNamed finds a kind that is compiled in by its name, as a key's class has it.
func KindNamed(name string) (Kind, bool) {
	plural, group, _ := strings.Cut(name, ".")
	for _, kinds := range [][]Kind{table, openshift} {
		if i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Plural == plural && k.Group == group }); i >= 0 {
			return kinds[i], true
		}
	}
	return Kind{}, false
}

// IsCustom tells whether a kind, by its name, is one of custom resources: it has a group, and
// is not compiled in.
func IsCustom(name string) bool {
	_, known := KindNamed(name)
	return !known && strings.Contains(name, ".")
}

// ShortNames are the kind's short names, as kubectl has them.
func (k *Kind) ShortNames() []string { return strings.Fields(k.short) }

// called tells whether name is one of the kind's names.
func (k *Kind) called(name string) bool {
	return name != "" && (name == k.Plural || name == strings.ToLower(k.Kind) ||
		slices.Contains(strings.Fields(k.short), name))
}

// inGroup tells whether clients may name the kind with this group.
func (k *Kind) inGroup(group string) bool {
	return group == k.Group || slices.Contains(strings.Fields(k.twins), group)
}

func qualified(plural, group string) string {
	if group == "" {
		return plural
	}
	return plural + "." + group
}

const (
	core       = ""
	namespaced = true
	cluster    = false

	// extensions was the group of what is now in apps, batch, networking and
	// policy. Its objects lie in the same place.
	extensions = "extensions"

	admission = "admissionregistration.k8s.io"
	certs     = "certificates.k8s.io"
	network   = "networking.k8s.io"
	rbac      = "rbac.authorization.k8s.io"
	dra       = "resource.k8s.io"
	sched     = "scheduling.k8s.io"
	storage   = "storage.k8s.io"

	crdGroup  = "apiextensions.k8s.io"
	crdPath   = crdGroup + "/customresourcedefinitions"
	namespace = "namespaces" // the plural and the path of Namespace objects
)

// table is all that kube-apiserver 1.37 stores, and what older ones stored: the
// columns are the fields of [Kind]. A singular name is the Kind in lower case.
// Where a path is not the plural, the storage factory of kube-apiserver says so
// (pkg/kubeapiserver/default_storage_factory_builder.go).
var table = []Kind{
	{"configmaps", "ConfigMap", core, namespaced, "configmaps", "cm", ""},
	{"endpoints", "Endpoints", core, namespaced, "services/endpoints", "ep", ""},
	{"events", "Event", core, namespaced, "events", "ev", "events.k8s.io"},
	{"limitranges", "LimitRange", core, namespaced, "limitranges", "limits", ""},
	{namespace, "Namespace", core, cluster, namespace, "ns", ""},
	{"nodes", "Node", core, cluster, "minions", "no", ""},
	{"persistentvolumeclaims", "PersistentVolumeClaim", core, namespaced, "persistentvolumeclaims", "pvc", ""},
	{"persistentvolumes", "PersistentVolume", core, cluster, "persistentvolumes", "pv", ""},
	{"pods", "Pod", core, namespaced, "pods", "po", ""},
	{"podtemplates", "PodTemplate", core, namespaced, "podtemplates", "", ""},
	{"replicationcontrollers", "ReplicationController", core, namespaced, "controllers", "rc", extensions},
	{"resourcequotas", "ResourceQuota", core, namespaced, "resourcequotas", "quota", ""},
	{"secrets", "Secret", core, namespaced, "secrets", "", ""},
	{"serviceaccounts", "ServiceAccount", core, namespaced, "serviceaccounts", "sa", ""},
	{"services", "Service", core, namespaced, "services/specs", "svc", ""},

	{"mutatingadmissionpolicies", "MutatingAdmissionPolicy", admission, cluster, "mutatingadmissionpolicies", "", ""},
	{"mutatingadmissionpolicybindings", "MutatingAdmissionPolicyBinding", admission, cluster, "mutatingadmissionpolicybindings", "", ""},
	{"mutatingwebhookconfigurations", "MutatingWebhookConfiguration", admission, cluster, "mutatingwebhookconfigurations", "", ""},
	{"validatingadmissionpolicies", "ValidatingAdmissionPolicy", admission, cluster, "validatingadmissionpolicies", "", ""},
	{"validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", admission, cluster, "validatingadmissionpolicybindings", "", ""},
	{"validatingwebhookconfigurations", "ValidatingWebhookConfiguration", admission, cluster, "validatingwebhookconfigurations", "", ""},

	{"customresourcedefinitions", "CustomResourceDefinition", crdGroup, cluster, crdPath, "crd crds", ""},
	{"apiservices", "APIService", "apiregistration.k8s.io", cluster, "apiregistration.k8s.io/apiservices", "", ""},

	{"controllerrevisions", "ControllerRevision", "apps", namespaced, "controllerrevisions", "", ""},
	{"daemonsets", "DaemonSet", "apps", namespaced, "daemonsets", "ds", extensions},
	{"deployments", "Deployment", "apps", namespaced, "deployments", "deploy", extensions},
	{"replicasets", "ReplicaSet", "apps", namespaced, "replicasets", "rs", extensions},
	{"statefulsets", "StatefulSet", "apps", namespaced, "statefulsets", "sts", ""},

	{"horizontalpodautoscalers", "HorizontalPodAutoscaler", "autoscaling", namespaced, "horizontalpodautoscalers", "hpa", extensions},
	{"cronjobs", "CronJob", "batch", namespaced, "cronjobs", "cj", ""},
	{"jobs", "Job", "batch", namespaced, "jobs", "", extensions},

	{"certificatesigningrequests", "CertificateSigningRequest", certs, cluster, "certificatesigningrequests", "csr", ""},
	{"clustertrustbundles", "ClusterTrustBundle", certs, cluster, "clustertrustbundles", "", ""},
	{"podcertificaterequests", "PodCertificateRequest", certs, namespaced, "podcertificaterequests", "", ""},

	{"podcheckpoints", "PodCheckpoint", "checkpoint.k8s.io", namespaced, "podcheckpoints", "", ""},
	{"leasecandidates", "LeaseCandidate", "coordination.k8s.io", namespaced, "leasecandidates", "", ""},
	{"leases", "Lease", "coordination.k8s.io", namespaced, "leases", "", ""},
	{"endpointslices", "EndpointSlice", "discovery.k8s.io", namespaced, "endpointslices", "", ""},
	{"flowschemas", "FlowSchema", "flowcontrol.apiserver.k8s.io", cluster, "flowschemas", "", ""},
	{"prioritylevelconfigurations", "PriorityLevelConfiguration", "flowcontrol.apiserver.k8s.io", cluster, "prioritylevelconfigurations", "", ""},
	{"storageversions", "StorageVersion", "internal.apiserver.k8s.io", cluster, "storageversions", "", ""},
	{"evictionrequests", "EvictionRequest", "lifecycle.k8s.io", namespaced, "evictionrequests", "", ""},
	{"evictions", "Eviction", "lifecycle.k8s.io", namespaced, "evictions", "", ""},

	{"ingressclasses", "IngressClass", network, cluster, "ingressclasses", "", ""},
	{"ingresses", "Ingress", network, namespaced, "ingress", "ing", extensions},
	{"ipaddresses", "IPAddress", network, cluster, "ipaddresses", "ip", ""},
	{"networkpolicies", "NetworkPolicy", network, namespaced, "networkpolicies", "netpol", extensions},
	{"servicecidrs", "ServiceCIDR", network, cluster, "servicecidrs", "", ""},

	{"runtimeclasses", "RuntimeClass", "node.k8s.io", cluster, "runtimeclasses", "", ""},
	{"poddisruptionbudgets", "PodDisruptionBudget", "policy", namespaced, "poddisruptionbudgets", "pdb", ""},
	{"clusterrolebindings", "ClusterRoleBinding", rbac, cluster, "clusterrolebindings", "", osAuth},
	{"clusterroles", "ClusterRole", rbac, cluster, "clusterroles", "", osAuth},
	{"rolebindings", "RoleBinding", rbac, namespaced, "rolebindings", "", osAuth},
	{"roles", "Role", rbac, namespaced, "roles", "", osAuth},

	{"deviceclasses", "DeviceClass", dra, cluster, "deviceclasses", "", ""},
	{"devicetaintrules", "DeviceTaintRule", dra, cluster, "devicetaintrules", "", ""},
	{"resourceclaims", "ResourceClaim", dra, namespaced, "resourceclaims", "", ""},
	{"resourceclaimtemplates", "ResourceClaimTemplate", dra, namespaced, "resourceclaimtemplates", "", ""},
	{"resourcepoolstatusrequests", "ResourcePoolStatusRequest", dra, cluster, "resourcepoolstatusrequests", "", ""},
	{"resourceslices", "ResourceSlice", dra, cluster, "resourceslices", "", ""},

	{"compositepodgroups", "CompositePodGroup", sched, namespaced, "compositepodgroups", "", ""},
	{"podgroups", "PodGroup", sched, namespaced, "podgroups", "", ""},
	{"priorityclasses", "PriorityClass", sched, cluster, "priorityclasses", "pc", ""},
	{"workloads", "Workload", sched, namespaced, "workloads", "", ""},

	{"csidrivers", "CSIDriver", storage, cluster, "csidrivers", "", ""},
	{"csinodes", "CSINode", storage, cluster, "csinodes", "", ""},
	{"csistoragecapacities", "CSIStorageCapacity", storage, namespaced, "csistoragecapacities", "", ""},
	{"storageclasses", "StorageClass", storage, cluster, "storageclasses", "sc", ""},
	{"volumeattachments", "VolumeAttachment", storage, cluster, "volumeattachments", "", ""},
	{"volumeattributesclasses", "VolumeAttributesClass", storage, cluster, "volumeattributesclasses", "vac", ""},
	{"storageversionmigrations", "StorageVersionMigration", "storagemigration.k8s.io", cluster, "storageversionmigrations", "", ""},

	// Gone from 1.37, still to be met in old keyspaces.
	{"auditsinks", "AuditSink", "auditregistration.k8s.io", cluster, "auditsinks", "", ""},
	{"clustercidrs", "ClusterCIDR", network, cluster, "clustercidrs", "cc", ""},
	{"initializerconfigurations", "InitializerConfiguration", admission, cluster, "initializerconfigurations", "", ""},
	{"petsets", "PetSet", "apps", namespaced, "petsets", "", ""},
	{"podpresets", "PodPreset", "settings.k8s.io", namespaced, "podpresets", "", ""},
	{"podschedulingcontexts", "PodSchedulingContext", dra, namespaced, "podschedulingcontexts", "", ""},
	{"podsecuritypolicies", "PodSecurityPolicy", "policy", cluster, "podsecuritypolicy", "psp", extensions},
	{"resourceclaimparameters", "ResourceClaimParameters", dra, namespaced, "resourceclaimparameters", "", ""},
	{"resourceclasses", "ResourceClass", dra, cluster, "resourceclasses", "", ""},
	{"resourceclassparameters", "ResourceClassParameters", dra, namespaced, "resourceclassparameters", "", ""},
	{"scheduledjobs", "ScheduledJob", "batch", namespaced, "scheduledjobs", "", ""},
	{"thirdpartyresources", "ThirdPartyResource", extensions, cluster, "thirdpartyresources", "", ""},
}
