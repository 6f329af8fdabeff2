package health

import (
	"cmp"
	"slices"

	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// maxEncodings is how many encodings are told apart. A cluster has as many keys as its
// EncryptionConfiguration; but whoever may write values can make names up.
const maxEncodings = 64

// Encodings counts values by the form they are stored in.
type Encodings map[string]int64

// Add counts one value, and returns what it was counted as.
func (c Encodings) Add(e object.Encoding) object.Encoding {
	if _, known := c[string(e)]; !known && len(c) >= maxEncodings {
		e = e.Unnamed()
	}
	c[string(e)]++
	return e
}

// Sealed counts the values of a kind that are encrypted at rest in one way.
type Sealed struct {
	Kind     string `json:"kind"`
	Encoding string `json:"encoding"`
	Keys     int64  `json:"keys"`
}

// A Census counts the values that are encrypted at rest, by kind and key.
type Census struct {
	Encodings Encodings // of those values

	layout *kube.Layout
	counts map[sealedAs]int64
}

type sealedAs struct{ kind, encoding string }

// NewCensus begins a census of what lies under the prefixes of a layout.
func NewCensus(layout *kube.Layout) *Census {
	return &Census{layout: layout, Encodings: Encodings{}, counts: map[sealedAs]int64{}}
}

// Add counts a value of that encoding.
func (c *Census) Add(key []byte, encoding object.Encoding) {
	if encoding.Encrypted() {
		c.counts[sealedAs{c.layout.Classify(key).Kind, string(c.Encodings.Add(encoding))}]++
	}
}

// Totals are the counts, by kind and encoding. They are never nil.
func (c *Census) Totals() []Sealed {
	totals := make([]Sealed, 0, len(c.counts))
	for as, n := range c.counts {
		totals = append(totals, Sealed{Kind: as.kind, Encoding: as.encoding, Keys: n})
	}
	slices.SortFunc(totals, func(a, b Sealed) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Encoding, b.Encoding))
	})
	return totals
}
