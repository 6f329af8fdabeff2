// Package kubetest has small models of Kubernetes' controllers, for tests of what a restore
// does to a living cluster: the garbage collector, the controllers of namespaces, workloads,
// volumes, Services, token Secrets and custom resources, and stand-ins for what the API
// server and the kubelets do by themselves. They do to a store what was measured of the
// real ones (KUBERNETES.md 13), or what their source says, and no more: nobody rolls out,
// schedules, or writes a status but that of namespaces and volumes.
//
// Time is counted in steps, which a test takes: at each, some controllers look at the whole
// store, and one acts once, guarded by the revisions that were seen. Which one, and how long
// it waits before it acts, chance decides, by a seed.
//
// [Objects] writes down what a store holds, a line each; [Sealing] encrypts it as at rest.
package kubetest
