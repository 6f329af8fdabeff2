package kube

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// A labelled is the etcdwalk.Chooser of a label selector: it takes objects whose labels
// it selects. A value that it cannot read is never passed over without a word.
type labelled struct {
	layout   *Layout
	selector object.Labels
	opener   *object.Opener

	sealed map[string]int // values that no key opens, by the key that they are sealed with
	kms    bool           // one of them is a KMS's, which no key file opens
	broken int
}

// Choose implements etcdwalk.Chooser.
func (c *labelled) Choose(e etcdwalk.Entry) bool {
	s, ok := c.layout.locate(e.Key)
	if !ok {
		return false
	}
	if _, _, ok := s.names(); !ok {
		return false // no object
	}
	plain, err := c.opener.Open(context.Background(), e.Key, e.Value)
	if err != nil {
		seal := object.EncodingOf(e.Value).Seal()
		c.sealed[seal]++
		c.kms = c.kms || strings.HasPrefix(seal, "kms ")
		return false
	}
	_, meta, err := object.Read(plain)
	if err != nil {
		c.broken++
		return false
	}
	return c.selector.Match(meta)
}

// Err implements etcdwalk.Chooser: an object.ErrSealed; an [ErrFilter] if a KMS has sealed
// values, so that no other file will help; an [ErrValue] of values that are damaged.
func (c *labelled) Err() error {
	if len(c.sealed) == 0 && c.broken == 0 {
		return nil
	}
	var parts []string
	for _, seal := range slices.Sorted(maps.Keys(c.sealed)) {
		parts = append(parts, fmt.Sprintf("%s sealed at rest by %s", counted(c.sealed[seal], "value"), seal))
	}
	class := object.ErrSealed
	switch {
	case len(parts) == 0:
		class = ErrValue
	case c.kms:
		class = ErrFilter
	}
	if c.broken > 0 {
		parts = append(parts, fmt.Sprintf("%s without readable metadata", counted(c.broken, "value")))
	}
	return fmt.Errorf("the labels of some objects cannot be read, and whether they are selected is not known: %s%.0w", strings.Join(parts, ", "), class)
}
