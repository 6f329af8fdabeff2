package ferry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/replay"
)

// A comeback is that of namespaces which the target has not. Their Namespace objects are
// written last: until then nobody can make anything in them, and nobody can reach what is
// there.
type comeback struct {
	p       *Planned
	keys    [][]byte         // of the Namespace objects
	waiting map[string]int64 // what was written into each, until its own was
}

func newComeback(p *Planned, keys [][]byte) *comeback { return &comeback{p: p, keys: keys} }

// look looks again, before the first write, whether the namespaces are still absent.
func (c *comeback) look(ctx context.Context, target etcdwalk.Target) error {
	c.waiting = map[string]int64{}
	if len(c.keys) == 0 {
		return nil
	}
	heads, err := target.Heads(ctx, c.keys)
	if err != nil {
		return fmt.Errorf("look whether the namespaces are still absent: %w", err)
	}
	for i, head := range heads {
		if head != 0 {
			return fmt.Errorf("key %q: the namespace was made since the plan: %w", c.keys[i], replay.ErrConflict)
		}
		c.waiting[string(c.keys[i])] = 0
	}
	return nil
}

// add takes what became of a key.
func (c *comeback) add(line replay.Line) {
	if len(c.waiting) == 0 || !line.Fate.Changes() {
		return
	}
	delete(c.waiting, string(line.Key))
	class := c.p.layout.Classify(line.Key)
	if own := class.Prefix + "namespaces/" + class.Namespace; class.Namespace != "" {
		if n, waits := c.waiting[own]; waits {
			c.waiting[own] = n + 1
		}
	}
}

// end says what nobody can reach, after an apply that ended between.
func (c *comeback) end(err error) error {
	var words []string
	for _, key := range slices.Sorted(maps.Keys(c.waiting)) {
		if n := c.waiting[key]; n > 0 {
			words = append(words, fmt.Sprintf("%d objects are unreachable until namespace/%s exists", n, c.p.layout.Classify([]byte(key)).Name))
		}
	}
	if len(words) == 0 {
		return err
	}
	return errors.Join(err, fmt.Errorf("%s; the same command makes it%.0w", strings.Join(words, ", "), ErrIncomplete))
}
