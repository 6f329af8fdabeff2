package ferry

import (
	"fmt"
	"maps"
	"slices"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/health"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// sealedTotals are the counts of a census, which are never nil.
func sealedTotals(c *health.Census) []archive.SealedTotal {
	totals := []archive.SealedTotal{}
	for _, s := range c.Totals() {
		totals = append(totals, archive.SealedTotal(s))
	}
	return totals
}

// checkSealed holds what the manifest counts as encrypted at rest against what was seen.
// By kinds they cannot be compared: another version may know other kinds.
func (a *Archive) checkSealed(seen health.Encodings) error {
	sealed := a.Manifest().Sealed
	if sealed == nil {
		return nil
	}
	told := health.Encodings{}
	for _, s := range sealed {
		told[s.Encoding] += s.Keys
	}
	for _, encoding := range slices.Sorted(maps.Keys(seen)) {
		if n := seen[encoding]; told[encoding] != n && object.Encoding(encoding).Encrypted() {
			return fmt.Errorf("%w: the manifest counts %d values encrypted at rest with %s, there are %d", archive.ErrDamaged, told[encoding], encoding, n)
		}
		delete(told, encoding)
	}
	for _, encoding := range slices.Sorted(maps.Keys(told)) {
		return fmt.Errorf("%w: the manifest counts %d values encrypted at rest with %s, there are none", archive.ErrDamaged, told[encoding], encoding)
	}
	return nil
}
