package cmd

import (
	"fmt"
	"strings"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/cmd/flags"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// restoreResult is the end of a restore for scripts. Keys are the first of each
// outcome that needs a look, as they are shown to people.
type restoreResult struct {
	Target  etcdwalk.Info   `json:"target"`
	Plan    replay.Tally    `json:"plan"`
	Applied *replay.Summary `json:"applied,omitempty"`
	Steps   steps           `json:"steps"`
	Keys    []line          `json:"keys,omitempty"`
	Shares  []share         `json:"by_kind,omitempty"` // of what would be written
	// NodePorts are to be marked as taken; of Unmarked an apply did not.
	NodePorts []int `json:"node_ports,omitempty"`
	Unmarked  []int `json:"node_ports_unmarked,omitempty"`
	// Along are the first 1,000 keys that come along with the selection.
	Along []string `json:"along,omitempty"`
	// Retained are the keys of volumes that come back with reclaim policy Retain, not Delete.
	Retained []string `json:"retained,omitempty"`
	// Deletions are all the keys that would be deleted, in that order.
	Deletions []string `json:"deletions,omitempty"`
	// Back is absent if nothing was read back.
	Back *ferry.Aftermath `json:"read_back,omitempty"`
	// Watched is absent if nothing was looked at again.
	Watched *ferry.Aftermath `json:"watched,omitempty"`
	// Undo is the name by which the restore can be taken back.
	Undo string `json:"undo,omitempty"`
	// Next is what is to be done after a new etcd was filled.
	Next []string `json:"next,omitempty"`
}

// target names the cluster.
func target(cluster *flags.Cluster, info etcdwalk.Info) string {
	return fmt.Sprintf("%s, etcd cluster %s, kube-system UID %s", cluster.Address, info.ClusterID, identityText(info))
}

// outcomes are all outcomes in the order in which they are told.
var outcomes = []replay.Fate{
	replay.Created, replay.Replaced, replay.Deleted, replay.Unchanged, replay.Skipped, replay.Leased, replay.Expired,
	replay.Excluded, replay.Refused, replay.Conflicting, replay.Moved, replay.Failure, replay.Unsure, replay.Unreached,
}

// countsText lists the outcomes that occurred.
func countsText(counts replay.Counts) string {
	var parts []string
	for _, outcome := range outcomes {
		if n := counts[outcome]; n > 0 {
			part := fmt.Sprintf("%d %s", n, wordOf(outcome))
			if outcome == replay.Leased {
				part += " (left out; --leases=regrant brings them back)"
			}
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}
