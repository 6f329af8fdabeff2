// Package kubetest has small models of Kubernetes' controllers, for tests of what a restore
// does to a living cluster: the garbage collector, and the controllers of namespaces,
// Deployments, ReplicaSets and volumes. They do to a store what was measured of the real
// ones (KUBERNETES.md 13), and no more.
//
// Time is counted in steps, which a test takes: at each, one controller looks at the whole
// store and acts once, guarded by the revisions that it saw. Which one, and how long it
// waits before it acts, chance decides, by a seed.
package kubetest
