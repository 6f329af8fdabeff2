package keyspace

import (
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// An app is what pods, replica sets, endpoints, settings and events are of. What
// belongs to one application looks alike, which is most of why a keyspace
// compresses well.
type app struct {
	namespace string
	name      string
	uid       types.UID
	labels    map[string]string
	template  corev1.PodSpec
	created   metav1.Time
}

// app makes one of the applications of a namespace.
func (k *Keyspace) app(namespace, index int) app {
	d := k.dice("app "+k.namespaces[namespace], index, 0)
	name := fmt.Sprintf("%s-%s-%d", d.pick(teams), d.pick(components), index)
	a := app{
		namespace: k.namespaces[namespace],
		name:      name,
		uid:       d.uid(),
		created:   d.time(),
		labels: map[string]string{
			"app.kubernetes.io/name":       name,
			"app.kubernetes.io/instance":   name + "-" + d.pick(environments),
			"app.kubernetes.io/part-of":    d.pick(teams),
			"app.kubernetes.io/managed-by": "Helm",
			"app.kubernetes.io/version":    fmt.Sprintf("%d.%d.%d", d.IntN(9), d.IntN(30), d.IntN(20)),
			"helm.sh/chart":                fmt.Sprintf("%s-%d.%d.%d", d.pick(components), d.IntN(5), d.IntN(20), d.IntN(20)),
			"team":                         d.pick(teams),
		},
	}
	a.template = podSpec(d, a)
	return a
}

// podSpec draws the pod template of an application.
func podSpec(d dice, a app) corev1.PodSpec {
	spec := corev1.PodSpec{
		RestartPolicy:                 corev1.RestartPolicyAlways,
		TerminationGracePeriodSeconds: new(int64(30)),
		DNSPolicy:                     corev1.DNSClusterFirst,
		ServiceAccountName:            a.name,
		DeprecatedServiceAccount:      a.name,
		SchedulerName:                 "default-scheduler",
		SecurityContext:               &corev1.PodSecurityContext{RunAsNonRoot: new(true), RunAsUser: new(int64(1000 + d.IntN(9))), FSGroup: new(int64(2000))},
		Priority:                      new(int32(0)),
		EnableServiceLinks:            new(true),
		PreemptionPolicy:              new(corev1.PreemptLowerPriority),
		Tolerations: []corev1.Toleration{
			{Key: "node.kubernetes.io/not-ready", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: new(int64(300))},
			{Key: "node.kubernetes.io/unreachable", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: new(int64(300))},
		},
		Volumes: []corev1.Volume{
			{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
				LocalObjectReference: corev1.LocalObjectReference{Name: a.name + "-config"}, DefaultMode: new(int32(0o644))}}},
			{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		},
	}
	for i := range d.between(1, 3) {
		name := a.name
		if i > 0 {
			name = d.pick(components) + "-sidecar-" + strconv.Itoa(i)
		}
		spec.Containers = append(spec.Containers, container(d, a, name))
	}
	return spec
}

func container(d dice, a app, name string) corev1.Container {
	c := corev1.Container{
		Name:            name,
		Image:           fmt.Sprintf("registry.example.com/%s/%s:v%d.%d.%d", d.pick(teams), name, d.IntN(9), d.IntN(40), d.IntN(20)),
		ImagePullPolicy: corev1.PullIfNotPresent,
		Args:            []string{"--config=/etc/app/config.yaml", "--listen=:8080", "--log-format=json", "--" + d.pick(nouns) + "-" + d.pick(settings) + "=" + strconv.Itoa(d.IntN(1000))},
		Ports: []corev1.ContainerPort{
			{Name: "http", ContainerPort: 8080, Protocol: corev1.ProtocolTCP},
			{Name: "metrics", ContainerPort: 9090, Protocol: corev1.ProtocolTCP},
		},
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(strconv.Itoa(50*d.between(1, 20)) + "m"), corev1.ResourceMemory: resource.MustParse(strconv.Itoa(64*d.between(1, 16)) + "Mi")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(strconv.Itoa(128*d.between(8, 16)) + "Mi")},
		},
		VolumeMounts: []corev1.VolumeMount{
			{Name: "config", MountPath: "/etc/app", ReadOnly: true},
			{Name: "tmp", MountPath: "/tmp"},
			{Name: "kube-api-access", MountPath: "/var/run/secrets/kubernetes.io/serviceaccount", ReadOnly: true},
		},
		LivenessProbe:            probe("/healthz", 10),
		ReadinessProbe:           probe("/readyz", 5),
		TerminationMessagePath:   "/dev/termination-log",
		TerminationMessagePolicy: corev1.TerminationMessageReadFile,
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
	}
	for range d.between(1, 7) {
		c.Env = append(c.Env, env(d, a))
	}
	return c
}

func probe(path string, period int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:   corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("http"), Scheme: corev1.URISchemeHTTP}},
		TimeoutSeconds: 1, PeriodSeconds: period, SuccessThreshold: 1, FailureThreshold: 3,
	}
}

// env draws an environment variable: a setting, an address, or a reference.
func env(d dice, a app) corev1.EnvVar {
	name := strings.ToUpper(d.pick(teams) + "_" + d.pick(nouns) + "_" + d.pick(settings))
	switch d.IntN(3) {
	case 0:
		return corev1.EnvVar{Name: name, Value: strconv.Itoa(d.IntN(10_000))}
	case 1:
		return corev1.EnvVar{Name: name, Value: fmt.Sprintf("http://%s-%s.%s.svc:8080/%s", d.pick(teams), d.pick(components), a.namespace, d.pick(nouns))}
	}
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: a.name}, Key: d.pick(nouns)}}}
}
