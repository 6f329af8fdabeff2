package object

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

func serviceTable() Table {
	return newWideTable("NAME|TYPE|CLUSTER-IP|EXTERNAL-IP|PORT(S)|AGE|*SELECTOR", func(s *corev1.Service, _ time.Time, wide bool) []string {
		ip := none
		if len(s.Spec.ClusterIPs) > 0 {
			ip = s.Spec.ClusterIPs[0]
		} else if s.Spec.ClusterIP != "" {
			ip = s.Spec.ClusterIP
		}
		return []string{s.Name, string(s.Spec.Type), ip, externalIP(s, wide), servicePorts(s.Spec.Ports), "", labelsText(s.Spec.Selector)}
	})
}

func externalIP(s *corev1.Service, wide bool) string {
	switch s.Spec.Type {
	case corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort:
		return orNone(strings.Join(s.Spec.ExternalIPs, ","))
	case corev1.ServiceTypeExternalName:
		return s.Spec.ExternalName
	case corev1.ServiceTypeLoadBalancer:
		var at []string
		for _, p := range s.Status.LoadBalancer.Ingress {
			at = append(at, cmp.Or(p.IP, p.Hostname))
		}
		all := s.Spec.ExternalIPs
		if balancer := addresses(at, wide); balancer != "" {
			all = append([]string{balancer}, all...)
		}
		if len(all) == 0 {
			return "<pending>"
		}
		return strings.Join(all, ",")
	}
	return Unknown
}

// addresses are those of a load balancer, sorted, each once; they are cut unless all is to
// be shown.
func addresses(at []string, wide bool) string {
	const most = 16
	slices.Sort(at)
	all := strings.Join(slices.DeleteFunc(slices.Compact(at), func(a string) bool { return a == "" }), ",")
	if !wide && len(all) > most {
		return all[:most-3] + "..."
	}
	return all
}

func servicePorts(ports []corev1.ServicePort) string {
	var all []string
	for _, p := range ports {
		port := fmt.Sprintf("%d/%s", p.Port, p.Protocol)
		if p.NodePort > 0 {
			port = fmt.Sprintf("%d:%d/%s", p.Port, p.NodePort, p.Protocol)
		}
		all = append(all, port)
	}
	return orNone(strings.Join(all, ","))
}

func ingressTable() Table {
	return newWideTable("NAME|CLASS|HOSTS|ADDRESS|PORTS|AGE", func(i *networkingv1.Ingress, _ time.Time, wide bool) []string {
		class := none
		if i.Spec.IngressClassName != nil {
			class = *i.Spec.IngressClassName
		}
		var at []string
		for _, p := range i.Status.LoadBalancer.Ingress {
			at = append(at, cmp.Or(p.IP, p.Hostname))
		}
		ports := "80"
		if len(i.Spec.TLS) > 0 {
			ports = "80, 443"
		}
		return []string{i.Name, class, hosts(i.Spec.Rules), addresses(at, wide), ports, ""}
	})
}

// hosts names three of an ingress's hosts, and counts all rules behind them.
func hosts(rules []networkingv1.IngressRule) string {
	const most = 3
	var all []string
	more := false
	for _, r := range rules {
		more = more || len(all) == most
		if !more && r.Host != "" {
			all = append(all, r.Host)
		}
	}
	switch {
	case len(all) == 0:
		return "*"
	case more:
		return fmt.Sprintf("%s + %d more...", strings.Join(all, ","), len(rules)-most)
	}
	return strings.Join(all, ",")
}
