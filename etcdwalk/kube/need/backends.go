package need

import (
	"context"
	"fmt"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// homeless: a pod of a node that is not there is deleted (kubernetes: pkg/controller/podgc).
func (j *judgement) homeless(ctx context.Context, pod field) (string, []want, error) {
	node := pod.in("spec").text("nodeName")
	if node == "" || !j.Rules.Binds(kube.HomelessPods) || j.Selected("nodes", node) {
		return "", nil, nil
	}
	key, err := j.keyOf(ctx, j.class.Prefix, kube.Reference{Kind: "Node", Name: node})
	return "", []want{{rule: kube.HomelessPods, any: []candidate{{key: key}},
		miss: fmt.Sprintf("its node %s is not in the cluster and not selected: nobody runs it, and it would be deleted", node)}}, err
}

// webhooks: one that must be asked and cannot be blocks every write that it is about.
func (j *judgement) webhooks(ctx context.Context, configuration field) (string, []want, error) {
	var wants []want
	for _, hook := range configuration.list("webhooks") {
		one, _ := hook.(map[string]any)
		if field(one).text("failurePolicy") == "Ignore" {
			continue
		}
		more, err := j.backend(ctx, field(one).in("clientConfig", "service"))
		if err != nil {
			return "", nil, err
		}
		wants = append(wants, more...)
	}
	return "", wants, nil
}

// aggregated: while a group's server cannot be reached, no namespace can be deleted.
func (j *judgement) aggregated(ctx context.Context, service field) (string, []want, error) {
	wants, err := j.backend(ctx, service.in("spec", "service"))
	return "", wants, err
}

// conversion: without its webhook, objects of a kind cannot be read.
func (j *judgement) conversion(ctx context.Context, definition field) (string, []want, error) {
	conversion := definition.in("spec", "conversion")
	service := conversion.in("webhookClientConfig", "service") // as definitions are stored: v1beta1
	if service == nil {
		service = conversion.in("webhook", "clientConfig", "service")
	}
	wants, err := j.backend(ctx, service)
	return "", wants, err
}

// backend is the Service that a configuration refers to, if it does. If the source has none
// either, the configuration was as dead before, and that is only warned of.
func (j *judgement) backend(ctx context.Context, service field) ([]want, error) {
	namespace, name := service.text("namespace"), service.text("name")
	if name == "" || !j.Rules.Binds(kube.DeadWebhooks) || j.Selected("services", namespace+"/"+name) {
		return nil, nil
	}
	key, err := j.keyOf(ctx, j.class.Prefix, kube.Reference{Kind: "Service", Namespace: namespace, Name: name})
	if err != nil {
		return nil, err
	}
	one := want{rule: kube.DeadWebhooks, any: []candidate{{key: key}},
		miss: fmt.Sprintf("its Service %s/%s is not in the cluster and not selected: requests that need it would fail", namespace, name)}
	before, err := etcdwalk.Any(ctx, j.Source, etcdwalk.Selection{Ranges: etcdwalk.Ranges{etcdwalk.Key(key)}})
	if err != nil {
		return nil, fmt.Errorf("look for service %s/%s in the source: %w", namespace, name, err)
	}
	if !before {
		one.warn = fmt.Sprintf("%s %s needs Service %s/%s, which is in neither the cluster nor the source: requests that need it fail", j.class.Kind, j.class.Name, namespace, name)
	}
	return []want{one}, nil
}
