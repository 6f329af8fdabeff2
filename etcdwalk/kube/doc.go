// Package kube knows what a key and a value mean to Kubernetes.
//
// The nouns:
//
//   - A [Kind] is a resource that is stored, with the names that kubectl gives
//     it. The kinds compiled into kube-apiserver and into OpenShift's API servers
//     are tables; custom ones are found in the view at hand.
//   - A [Layout] is the prefixes that a keyspace uses. It parses keys into an
//     [Object], classifies them, and says in which order, and whether at all,
//     they may be written.
//   - A [Filter] is a selection as an operator types it. It is compiled into a
//     [Query], which a view resolves to key ranges.
//   - An [Encoding] is how a value is stored; [MetaOf] reads the metadata of
//     those that can be read.
//
// Caveats and lifetimes:
//
//   - Parsing never decides whether an entry is kept. A key that is no object's
//     is opaque: it is archived, counted and restored byte for byte.
//   - Prefixes and ranges end in a slash: "machines" is a prefix of
//     "machinesets".
//   - The group in a stored value may differ from the group a client asked for,
//     and a value's encoding is a matter of that value alone.
//   - Nothing that is returned points into the key or value it was read from.
//   - No error holds any of a value but the names in its metadata.
//
// Layout and values are described in Kubernetes' own sources: the paths in
// test/integration/etcd/data.go, the names in api/discovery, the envelope of a
// value in runtime.Unknown of k8s.io/apimachinery.
package kube
