package kube

import (
	"context"
	"fmt"
	"slices"
)

// categories are the words that stand for several kinds which are compiled in, as their
// API servers tell them (rest.CategoriesProvider). A custom resource's definition adds it
// to these, or to one of its own.
var categories = map[string][]string{
	"all": {
		"pods", "replicationcontrollers", "services",
		"daemonsets.apps", "deployments.apps", "replicasets.apps", "statefulsets.apps",
		"horizontalpodautoscalers.autoscaling", "cronjobs.batch", "jobs.batch",
		"deploymentconfigs." + osApps, "buildconfigs." + osBuild, "builds." + osBuild,
		"imagestreams." + osImage, "routes." + osRoute,
	},
	"api-extensions": {
		"apiservices.apiregistration.k8s.io", "customresourcedefinitions." + crdGroup,
		"mutatingadmissionpolicies." + admission, "mutatingadmissionpolicybindings." + admission, "mutatingwebhookconfigurations." + admission,
		"validatingadmissionpolicies." + admission, "validatingadmissionpolicybindings." + admission, "validatingwebhookconfigurations." + admission,
	},
}

// kinds are those that a term names: one, or those of a category.
func (r *resolver) kinds(ctx context.Context, t term) ([]Kind, error) {
	compiled := categories[t.word]
	if t.name != "" || t.group != "" || slices.ContainsFunc(table, func(k Kind) bool { return k.called(t.word) }) {
		if t.group == "" && len(compiled) > 0 {
			return nil, fmt.Errorf("%s/%s: %s stands for several kinds, name one of them%.0w", t.typed, t.name, t.typed, ErrFilter)
		}
		k, err := r.kind(ctx, t)
		return []Kind{k}, err
	}
	if _, err := r.catalog.all(ctx); err != nil {
		return nil, err
	}
	kinds := slices.Clone(r.catalog.categories[t.word])
	for _, name := range compiled {
		if k, ok := KindNamed(name); ok {
			kinds = append(kinds, k)
		}
	}
	if len(kinds) == 0 {
		k, err := r.kind(ctx, t)
		return []Kind{k}, err
	}
	if len(r.namespaces) > 0 { // who names one means what is in it
		kinds = slices.DeleteFunc(kinds, func(k Kind) bool { return !k.Namespaced })
	}
	if len(kinds) == 0 {
		return nil, fmt.Errorf("%s: none of the kinds that it stands for has namespaces%.0w", t.typed, ErrFilter)
	}
	return kinds, nil
}
