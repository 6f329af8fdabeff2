package need

import (
	"context"
	"fmt"
	"slices"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// dying are the wants of an object, of which that of its namespace is by the rule that is
// broken: one that is being deleted is there, and takes all with it that is in it. Nothing is
// wanted if that rule does not bind.
func (c *Checks) dying(ctx context.Context, wants []want) ([]want, error) {
	var kept []want
	for _, w := range wants {
		if i := slices.IndexFunc(w.any, c.goes); w.namespace != "" && i >= 0 && !c.there(w) {
			living, err := c.living(ctx, w.any[i].key)
			if err != nil {
				return nil, err
			}
			way := "the archive does not hold it living, which would stop that: wait until it is gone"
			if living {
				way = fmt.Sprintf("restoring ns/%s too (--with-owners takes it along) with --on-conflict=overwrite stops that, if it is still there", w.namespace)
			}
			w.rule, w.miss = kube.Deleting, fmt.Sprintf("namespace %s is being deleted in the cluster, and all that is in it; %s", w.namespace, way)
		}
		if w.namespace == "" || c.Rules.Binds(w.rule) {
			kept = append(kept, w)
		}
	}
	return kept, nil
}

// goes tells whether the target holds one and is deleting it.
func (c *Checks) goes(one candidate) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heads[string(one.key)].deleting
}

// living tells whether the archive holds a Namespace object that is not being deleted. To
// write it stops a deletion (KUBERNETES.md 13).
func (c *Checks) living(ctx context.Context, key []byte) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if living, known := c.alive[string(key)]; known {
		return living, nil
	}
	living := false
	for e, err := range c.Source.Walk(ctx, etcdwalk.Selection{Ranges: etcdwalk.Ranges{etcdwalk.Key(key)}}) {
		if err != nil {
			return false, fmt.Errorf("look whether the archive holds the namespace under key %q living: %w", key, err)
		}
		m, err := c.Opener.Read(ctx, e.Key, e.Value)
		living = err == nil && !m.Deleting
	}
	if c.alive == nil {
		c.alive = map[string]bool{}
	}
	c.alive[string(key)] = living
	return living, nil
}
