package need

import (
	"context"
	"fmt"

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
	wants, err := j.backend(ctx, definition.in("spec", "conversion", "webhook", "clientConfig", "service"))
	return "", wants, err
}

// backend is the Service that a configuration refers to, if it does.
func (j *judgement) backend(ctx context.Context, service field) ([]want, error) {
	namespace, name := service.text("namespace"), service.text("name")
	if name == "" || !j.Rules.Binds(kube.DeadWebhooks) || j.Selected("services", namespace+"/"+name) {
		return nil, nil
	}
	key, err := j.keyOf(ctx, j.class.Prefix, kube.Reference{Kind: "Service", Namespace: namespace, Name: name})
	return []want{{rule: kube.DeadWebhooks, any: []candidate{{key: key}},
		miss: fmt.Sprintf("its Service %s/%s is not in the cluster and not selected: requests that need it would fail", namespace, name)}}, err
}
