package ferry

import (
	"fmt"
	"maps"
	"slices"

	"github.com/kubeferry/kubeferry/archive"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// maxEncodings is how many encodings are told apart. A cluster has as many keys as its
// EncryptionConfiguration; but whoever may write values can make names up.
const maxEncodings = 64

// encodings counts values by the form they are stored in.
type encodings map[string]int64

// add counts one value, and returns what it was counted as.
func (c encodings) add(e object.Encoding) object.Encoding {
	if _, known := c[string(e)]; !known && len(c) >= maxEncodings {
		e = e.Unnamed()
	}
	c[string(e)]++
	return e
}

// A census counts the values that are encrypted at rest, by kind and key.
type census struct {
	layout    *kube.Layout
	encodings encodings
	counts    map[sealedAs]int64
}

type sealedAs struct{ kind, encoding string }

func newCensus(layout *kube.Layout) *census {
	return &census{layout: layout, encodings: encodings{}, counts: map[sealedAs]int64{}}
}

// add counts a value of that encoding.
func (c *census) add(key []byte, encoding object.Encoding) {
	if encoding.Encrypted() {
		c.counts[sealedAs{c.layout.Classify(key).Kind, string(c.encodings.add(encoding))}]++
	}
}

// totals are the counts, which are never nil.
func (c *census) totals() []archive.SealedTotal {
	totals := make([]archive.SealedTotal, 0, len(c.counts))
	for as, n := range c.counts {
		totals = append(totals, archive.SealedTotal{Kind: as.kind, Encoding: as.encoding, Keys: n})
	}
	return totals
}

// checkSealed holds what the manifest counts as encrypted at rest against what was seen.
// By kinds they cannot be compared: another version may know other kinds.
func (a *Archive) checkSealed(seen encodings) error {
	sealed := a.Manifest().Sealed
	if sealed == nil {
		return nil
	}
	told := encodings{}
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
