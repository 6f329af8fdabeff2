package embedded

import _ "embed" // for the sample

//go:embed sample.zip
var sample string

// Sample returns an archive, not encrypted, of some hundred objects as a real
// kube-apiserver wrote them: namespaces with workloads, services, RBAC, custom
// resources, and events under leases. testdata/README.md tells where they come
// from. All certificates, tokens and passwords in it are test material.
func Sample() []byte { return []byte(sample) }
