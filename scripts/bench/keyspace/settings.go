package keyspace

import (
	"encoding/base64"
	"fmt"
	"maps"
	"math"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// meta is the metadata of what a chart of an application has installed.
func meta(a app, d dice, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: name, Namespace: a.namespace, UID: d.uid(), CreationTimestamp: a.created, Labels: maps.Clone(a.labels),
		Annotations: map[string]string{"meta.helm.sh/release-name": a.name, "meta.helm.sh/release-namespace": a.namespace},
	}
}

// configMap is from 0.5 to 50 KB of settings, most of them small.
func (k *Keyspace) configMap(who identity) (Object, error) {
	d, now := who.fixed(), who.fresh()
	a := k.place(d)
	c := corev1.ConfigMap{ObjectMeta: meta(a, d, a.name+"-"+suffix(who.index))}
	c.ManagedFields = helm("v1", `"f:data":{".":{},"f:config.yaml":{}}`, c.ObjectMeta)
	size := 500 * math.Pow(100, math.Pow(d.Float64(), 2.4))
	c.Data = map[string]string{"config.yaml": fmt.Sprintf("# revision %d\n", now.IntN(1000)) + d.text(int(size))}
	return stored("configmaps", "v1", "ConfigMap", c.Namespace, c.Name, &c)
}

// secret is a Helm release, a TLS pair, or some passwords: nearly all random.
func (k *Keyspace) secret(who identity) (Object, error) {
	d, now := who.fixed(), who.fresh()
	a := k.place(d)
	s := corev1.Secret{Type: corev1.SecretTypeOpaque}
	name := a.name + "-" + suffix(who.index)
	switch who.index % 3 {
	case 0:
		name = "sh.helm.release.v1." + name + ".v" + fmt.Sprint(d.between(1, 40))
		s.Type = "helm.sh/release.v1"
		s.Data = map[string][]byte{"release": base64Of(d.bytes(d.between(800, 3200)))}
	case 1:
		s.Type = corev1.SecretTypeTLS
		s.Data = map[string][]byte{
			"tls.crt": pem("CERTIFICATE", now.bytes(800)),
			"tls.key": pem("EC PRIVATE KEY", now.bytes(121)),
		}
	default:
		s.Data = map[string][]byte{}
		for range d.between(1, 6) {
			s.Data[d.pick(nouns)] = now.bytes(d.between(16, 300))
		}
	}
	s.ObjectMeta = meta(a, d, name)
	s.ManagedFields = helm("v1", `"f:data":{},"f:type":{}`, s.ObjectMeta)
	return stored("secrets", "v1", "Secret", s.Namespace, s.Name, &s)
}

// helm says that Helm set all of the object.
func helm(version, fields string, m metav1.ObjectMeta) []metav1.ManagedFieldsEntry {
	return []metav1.ManagedFieldsEntry{managed("helm", version, "", m.CreationTimestamp,
		`{`+fields+`,`+metadataFields(m.Labels, m.Annotations, "")+`}`)}
}

func base64Of(b []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(b)) }

// pem is a block of PEM around bytes that are no certificate.
func pem(kind string, b []byte) []byte {
	text := base64Of(b)
	out := []byte("-----BEGIN " + kind + "-----\n")
	for len(text) > 64 {
		out = append(append(out, text[:64]...), '\n')
		text = text[64:]
	}
	return append(append(out, text...), "\n-----END "+kind+"-----\n"...)
}

func (k *Keyspace) serviceAccount(who identity) (Object, error) {
	d := who.fixed()
	a := k.place(d)
	s := corev1.ServiceAccount{ObjectMeta: meta(a, d, a.name+"-"+suffix(who.index))}
	s.ManagedFields = helm("v1", `"f:secrets":{}`, s.ObjectMeta)
	s.Secrets = []corev1.ObjectReference{{Name: s.Name + "-token-" + d.hex(3)}}
	return stored("serviceaccounts", "v1", "ServiceAccount", s.Namespace, s.Name, &s)
}

func (k *Keyspace) roleBinding(who identity) (Object, error) {
	d := who.fixed()
	a := k.place(d)
	b := rbacv1.RoleBinding{
		ObjectMeta: meta(a, d, a.name+"-"+suffix(who.index)),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: a.name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: a.name, Namespace: a.namespace}},
	}
	b.ManagedFields = helm("rbac.authorization.k8s.io/v1", `"f:roleRef":{},"f:subjects":{}`, b.ObjectMeta)
	return stored("rolebindings", "rbac.authorization.k8s.io/v1", "RoleBinding", b.Namespace, b.Name, &b)
}

// namespace is one object for each namespace that the others name.
func (k *Keyspace) namespace(who identity) (Object, error) {
	d := who.fixed()
	n := corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{
			Name: k.namespaces[who.index], UID: d.uid(), CreationTimestamp: metav1.Unix(begin, 0),
			Labels: map[string]string{"kubernetes.io/metadata.name": k.namespaces[who.index]},
		},
		Spec:   corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{corev1.FinalizerKubernetes}},
		Status: corev1.NamespaceStatus{Phase: corev1.NamespaceActive},
	}
	n.ManagedFields = []metav1.ManagedFieldsEntry{managed("kubectl-create", "v1", "", n.CreationTimestamp, `{"f:metadata":{`+mapFields("labels", n.Labels)+`}}`)}
	return stored("namespaces", "v1", "Namespace", "", n.Name, &n)
}

// large is from 850 to 900 KB, near the most that a kube-apiserver takes: a
// dashboard, or what an operator keeps.
func (k *Keyspace) large(who identity) (Object, error) {
	d, now := who.fixed(), who.fresh()
	a := k.place(d)
	size := d.between(850_000, 900_000)
	name := a.name + "-large-" + suffix(who.index)
	if who.index%2 == 0 {
		return k.custom(customKinds[who.index%len(customKinds)], a, d, now, name, d.text(size))
	}
	c := corev1.ConfigMap{ObjectMeta: meta(a, d, name), Data: map[string]string{"dashboard.json": d.text(size)}}
	return stored("configmaps", "v1", "ConfigMap", c.Namespace, c.Name, &c)
}
