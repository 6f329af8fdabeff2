package object

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

func serviceTable() Table {
	return newTable("NAME|TYPE|CLUSTER-IP|EXTERNAL-IP|PORT(S)|AGE|*SELECTOR", func(s *corev1.Service, _ time.Time) []string {
		ip := none
		if len(s.Spec.ClusterIPs) > 0 {
			ip = s.Spec.ClusterIPs[0]
		} else if s.Spec.ClusterIP != "" {
			ip = s.Spec.ClusterIP
		}
		return []string{s.Name, string(s.Spec.Type), ip, externalIP(s), servicePorts(s.Spec.Ports), "", labelsText(s.Spec.Selector)}
	})
}

func externalIP(s *corev1.Service) string {
	switch s.Spec.Type {
	case corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort:
		return orNone(strings.Join(s.Spec.ExternalIPs, ","))
	case corev1.ServiceTypeExternalName:
		return s.Spec.ExternalName
	case corev1.ServiceTypeLoadBalancer:
		var all []string
		for _, p := range s.Status.LoadBalancer.Ingress {
			if at := cmp.Or(p.IP, p.Hostname); at != "" {
				all = append(all, at)
			}
		}
		all = append(all, s.Spec.ExternalIPs...)
		if len(all) == 0 {
			return "<pending>"
		}
		return strings.Join(all, ",")
	}
	return Unknown
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
	return newTable("NAME|CLASS|HOSTS|ADDRESS|PORTS|AGE", func(i *networkingv1.Ingress, _ time.Time) []string {
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
		return []string{i.Name, class, hosts(i.Spec.Rules), strings.Join(at, ","), ports, ""}
	})
}

// hosts names three of an ingress's hosts.
func hosts(rules []networkingv1.IngressRule) string {
	const most = 3
	var all []string
	for _, r := range rules {
		if r.Host != "" {
			all = append(all, r.Host)
		}
	}
	switch {
	case len(all) == 0:
		return "*"
	case len(all) > most:
		return fmt.Sprintf("%s + %d more...", strings.Join(all[:most], ","), len(all)-most)
	}
	return strings.Join(all, ",")
}
