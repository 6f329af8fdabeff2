package kube

import (
	"context"
	"fmt"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// ClusterUID is the UID of the namespace kube-system, which identifies a
// Kubernetes cluster; of several prefixes the first that has one counts. It is
// empty if there is no such namespace, or if its value cannot be read.
func (l *Layout) ClusterUID(ctx context.Context, view etcdwalk.View) (string, error) {
	for _, key := range l.at(namespace + "/kube-system") {
		for e, err := range view.Walk(ctx, etcdwalk.Selection{Ranges: etcdwalk.Ranges{key}}) {
			if err != nil {
				return "", fmt.Errorf("reading the cluster's identity from %q: %w", key.Start, err)
			}
			if meta, err := MetaOf(e.Value); err == nil && meta.UID != "" {
				return meta.UID, nil
			}
		}
	}
	return "", nil
}
