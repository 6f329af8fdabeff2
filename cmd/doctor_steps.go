package cmd

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry/doctor"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/health"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// aliveText names API servers by the keys with which they show that they live: the addresses
// under masterleases, or, where there are none, what the others are called.
func aliveText(keys []string) string {
	var masters, peers []string
	for _, key := range keys {
		name := key[strings.LastIndex(key, "/")+1:]
		if strings.Contains(key, "/masterleases/") {
			masters = append(masters, name)
		} else {
			peers = append(peers, name)
		}
	}
	if len(masters) == 0 {
		masters = peers
	}
	if len(masters) == 0 {
		return "<none>"
	}
	return fmt.Sprintf("%d (%s)", len(masters), strings.Join(masters, ", "))
}

// sealsText counts the values that are encrypted at rest, by their keys.
func sealsText(counts []health.Sealed) string {
	all, by := int64(0), map[string]int64{}
	for _, c := range counts {
		all += c.Keys
		by[object.Encoding(c.Encoding).Seal()] += c.Keys
	}
	if all == 0 {
		return "<none>"
	}
	return console.Count(all, "value") + " (" + bySeal(by) + ")"
}

// prefixRows are the keys of each prefix.
func prefixRows(counts []health.Counted) [][]string {
	rows := [][]string{{"PREFIX", "KEYS", "SIZE"}}
	for _, c := range counts {
		rows = append(rows, []string{c.Prefix, strconv.FormatInt(c.Keys, 10), console.Bytes(c.Bytes)})
	}
	return rows
}

// doctorSteps are what a cluster needs to be backed up well: the files beside etcd, and rights
// that suffice.
func doctorSteps(r doctor.Report) []string {
	steps := []string{
		"keep what is not in etcd elsewhere, too: the PKI (/etc/kubernetes/pki), the EncryptionConfiguration, the manifests (/etc/kubernetes/manifests)",
	}
	used := map[string]bool{}
	for _, c := range r.Prefixes {
		if parts := strings.SplitN(c.Prefix, "/", 3); len(parts) == 3 {
			used["/"+parts[1]+"/"] = true
		}
	}
	if len(used) == 0 {
		used["/registry/"] = true // as it will be
	}
	for _, prefix := range []string{"/registry/", "/kubernetes.io/", "/openshift.io/"} {
		if used[prefix] {
			steps = append(steps, "the rights that a backup needs with etcd's own users, with --prefix "+prefix+": etcdctl role add backup && etcdctl role grant-permission backup read "+prefix+" --prefix=true")
		}
	}
	return append(steps, "kubeferry backup --to DIR -r RECIPIENT, and kubeferry doctor --from ARCHIVE")
}
