package kube

import (
	"slices"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// Scope is all that lies under the prefixes of the layout.
func (l *Layout) Scope() etcdwalk.Ranges { return slices.Clone(l.scope) }

// Namespaces are the ranges of the Namespace objects.
func (l *Layout) Namespaces() etcdwalk.Ranges { return etcdwalk.Union(l.under(namespace)...) }

// LiveSigns are the keys that API servers keep only while they run: each has
// one under an etcd lease of 15 seconds (Kubernetes: the lease endpoint
// reconciler).
func (l *Layout) LiveSigns() etcdwalk.Ranges {
	return etcdwalk.Union(slices.Concat(l.under("masterleases"), l.under("peerserverleases"))...)
}

// Nearest are the words, at most three, that typed may have been meant to be,
// the closest first.
func Nearest(typed string, words []string) []string {
	set := map[string]bool{}
	for _, w := range words {
		set[w] = true
	}
	return nearest(typed, set)
}
