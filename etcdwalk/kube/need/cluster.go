package need

import (
	"context"
	"fmt"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// sealed says why a value that is sealed at rest must not be written: no value of its kind
// in the target is sealed by the same provider and key, so that its API server may not be
// able to open it, and then cannot list the kind.
func (c *Checks) sealed(ctx context.Context, class etcdwalk.Class, e etcdwalk.Entry) (string, error) {
	encoding := object.EncodingOf(e.Value)
	if !encoding.Encrypted() || !c.Rules.Binds(kube.Sealed) {
		return "", nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	known, looked := c.seals[class.Kind]
	if !looked {
		known = map[string]bool{}
		for have, err := range c.View.Walk(ctx, etcdwalk.Selection{Ranges: etcdwalk.Ranges{class.Range}}) {
			if err != nil {
				return "", fmt.Errorf("look what seals the values of %s: %w", class.Kind, err)
			}
			known[string(object.EncodingOf(have.Value))] = true
		}
		if c.seals == nil {
			c.seals = map[string]map[string]bool{}
		}
		c.seals[class.Kind] = known
	}
	if known[string(encoding)] {
		return "", nil
	}
	return fmt.Sprintf("%s: it is sealed at rest by %s, and no value of %s in the cluster is: is the key in the API server's configuration?", kube.Sealed, encoding.Seal(), class.Kind), nil
}
