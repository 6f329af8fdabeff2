package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// Scope is all that lies under the prefixes of the layout.
func (l *Layout) Scope() etcdwalk.Ranges { return slices.Clone(l.scope) }

// Namespaces are the ranges of the Namespace objects.
func (l *Layout) Namespaces() etcdwalk.Ranges { return etcdwalk.Union(l.under(namespace)...) }

// Homes are the keys under which the Namespace can lie that an object is in, the likeliest
// first; none: it is in none. OpenShift's own API servers keep no Namespaces: theirs are
// kube-apiserver's, of which the layout need not be.
func (l *Layout) Homes(class etcdwalk.Class) [][]byte {
	if class.Namespace == "" {
		return nil
	}
	prefixes := []string{class.Prefix}
	if strings.HasPrefix(class.Prefix, "/openshift.io/") {
		prefixes = slices.Concat([]string{"/kubernetes.io/"}, l.Prefixes(), defaultPrefixes())
	}
	var keys [][]byte
	for i, prefix := range prefixes {
		if slices.Contains(prefixes[:i], prefix) {
			continue
		}
		keys = append(keys, []byte(prefix+namespace+"/"+class.Namespace))
	}
	return keys
}

// LiveSigns are the keys that API servers keep only while they run: each has
// one under an etcd lease of 15 seconds (Kubernetes: the lease endpoint
// reconciler).
func (l *Layout) LiveSigns() etcdwalk.Ranges {
	return etcdwalk.Union(slices.Concat(l.under("masterleases"), l.under("peerserverleases"))...)
}

// Alive tells whether API servers keep signs of life in a cluster. That there are none proves
// nothing.
func (l *Layout) Alive(ctx context.Context, cluster etcdwalk.Source) (bool, error) {
	signs := l.LiveSigns()
	now, err := cluster.Open(ctx, etcdwalk.Newest, signs)
	if err != nil {
		return false, fmt.Errorf("look for signs of API servers: %w", err)
	}
	return etcdwalk.Holds(ctx, now, etcdwalk.Selection{Ranges: signs})
}

// Furnishes tells whether controllers make an object of this name in each namespace: its
// certificate and its account (kubernetes: pkg/controller/certificates/rootcacertpublisher,
// pkg/controller/serviceaccount).
func (l *Layout) Furnishes(key []byte) bool {
	class := l.Classify(key)
	return class.Kind == "configmaps" && class.Name == "kube-root-ca.crt" || class.Kind == "serviceaccounts" && class.Name == "default"
}

// Heartbeats are the keys that API servers write again and again while they run: their
// signs of life, and the Leases by which they know each other. Those stay when a server is
// gone: that one is there says nothing, that it is written does (Kubernetes: the identity
// of API servers, every 10 seconds).
func (l *Layout) Heartbeats() etcdwalk.Ranges {
	beats := l.LiveSigns()
	for _, s := range l.spaces {
		beats = append(beats, etcdwalk.Prefix(s.prefix+"leases/kube-system/apiserver-"))
	}
	return etcdwalk.Union(beats...)
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
