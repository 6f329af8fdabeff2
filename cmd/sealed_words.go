package cmd

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// mostSeals is how many keys a line names.
const mostSeals = 5

// sealedText says how many values are encrypted at rest, by which keys, and what that
// means for a restore; empty for none.
func sealedText(sealed []archive.SealedTotal) string {
	counts, all, needs := map[string]int64{}, int64(0), "EncryptionConfiguration"
	for _, s := range sealed {
		seal := object.Encoding(s.Encoding).Seal()
		counts[seal] += s.Keys
		all += s.Keys
		if isKMS(seal) {
			needs = "EncryptionConfiguration and its KMS"
		}
	}
	if all == 0 {
		return ""
	}
	is := "are"
	if needs == "EncryptionConfiguration" {
		is = "is"
	}
	return fmt.Sprintf("%s (%s); a restore needs the cluster's %s, which %s not in the archive", console.Count(all, "value"), bySeal(counts), needs, is)
}

// isKMS tells whether a seal is of a KMS, whose keys no file has.
func isKMS(seal string) bool { return strings.HasPrefix(seal, "kms ") }

// bySeal counts values by the keys that they are sealed with.
func bySeal(counts map[string]int64) string {
	var parts []string
	for i, seal := range slices.Sorted(maps.Keys(counts)) {
		if i == mostSeals {
			parts = append(parts, console.Count(int64(len(counts)-mostSeals), "more key"))
			break
		}
		parts = append(parts, fmt.Sprintf("%d by %s", counts[seal], seal))
	}
	return strings.Join(parts, ", ")
}

// sealedRows are the counts by kind and key.
func sealedRows(sealed []archive.SealedTotal) [][]string {
	rows := [][]string{{"KIND", "SEALED AT REST BY", "KEYS"}}
	for _, s := range sealed {
		rows = append(rows, []string{kindText(s.Kind), object.Encoding(s.Encoding).Seal(), strconv.FormatInt(s.Keys, 10)})
	}
	return rows
}
