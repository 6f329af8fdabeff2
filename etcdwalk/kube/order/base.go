package order

import "github.com/kubeferry/kubeferry/etcdwalk/kube"

// The ranks of kinds that do not own each other.
const (
	definitions = iota // of custom resources
	namespaces         // that the target has
	classes            // and who may do what
	accounts
	contents
	claims
	volumes
	quotas
	passive // and keys that are no objects
	custom
	crons
	workloads
	jobs
	replicas
	services
	pods
	absentNamespaces
	gates // what stands before the API, and may wait for what is not there yet
)

// base are the ranks of kinds, by their names. Of the others, those that are not compiled
// in are custom resources; the rest is passive.
var base = map[string]int{
	"customresourcedefinitions.apiextensions.k8s.io": definitions,
	"namespaces": namespaces,

	"storageclasses.storage.k8s.io":                            classes,
	"volumeattributesclasses.storage.k8s.io":                   classes,
	"ingressclasses.networking.k8s.io":                         classes,
	"priorityclasses.scheduling.k8s.io":                        classes,
	"runtimeclasses.node.k8s.io":                               classes,
	"clusterroles.rbac.authorization.k8s.io":                   classes,
	"clusterrolebindings.rbac.authorization.k8s.io":            classes,
	"roles.rbac.authorization.k8s.io":                          classes,
	"rolebindings.rbac.authorization.k8s.io":                   classes,
	"prioritylevelconfigurations.flowcontrol.apiserver.k8s.io": classes,
	"flowschemas.flowcontrol.apiserver.k8s.io":                 classes,

	"serviceaccounts":        accounts,
	"secrets":                contents,
	"configmaps":             contents,
	"persistentvolumeclaims": claims,
	"persistentvolumes":      volumes,
	"resourcequotas":         quotas,
	"limitranges":            quotas,

	"cronjobs.batch":                      crons,
	"deployments.apps":                    workloads,
	"statefulsets.apps":                   workloads,
	"daemonsets.apps":                     workloads,
	"deploymentconfigs.apps.openshift.io": workloads,
	"buildconfigs.build.openshift.io":     workloads,
	"builds.build.openshift.io":           jobs,
	"jobs.batch":                          jobs,
	"replicasets.apps":                    replicas,
	"replicationcontrollers":              replicas,
	"controllerrevisions.apps":            replicas,

	"services":                        services,
	"endpoints":                       services,
	"endpointslices.discovery.k8s.io": services,
	"ingresses.networking.k8s.io":     services,
	"ipaddresses.networking.k8s.io":   services,
	"pods":                            pods,

	"mutatingwebhookconfigurations.admissionregistration.k8s.io":     gates,
	"validatingwebhookconfigurations.admissionregistration.k8s.io":   gates,
	"mutatingadmissionpolicies.admissionregistration.k8s.io":         gates,
	"mutatingadmissionpolicybindings.admissionregistration.k8s.io":   gates,
	"validatingadmissionpolicies.admissionregistration.k8s.io":       gates,
	"validatingadmissionpolicybindings.admissionregistration.k8s.io": gates,
	"apiservices.apiregistration.k8s.io":                             gates,
}

// implied are kinds of which the second needs the first, though its objects may not say
// so: without its claim a volume is reclaimed, without its account a token is deleted,
// without its Service a slice is, and so is an address.
func implied() [][2]string {
	return [][2]string{
		{"persistentvolumeclaims", "persistentvolumes"},
		{"serviceaccounts", "secrets"},
		{"services", "ipaddresses.networking.k8s.io"},
		{"services", "endpoints"},
		{"services", "endpointslices.discovery.k8s.io"},
		{"endpoints", "endpointslices.discovery.k8s.io"},
	}
}

// rankOf is the rank of a kind.
func rankOf(kind string) int {
	if rank, known := base[kind]; known {
		return rank
	}
	if kube.IsCustom(kind) {
		return custom
	}
	return passive
}
