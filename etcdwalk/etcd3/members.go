package etcd3

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// censusTime is how long endpoints that do not answer are waited for: one member
// of three may be down.
const censusTime = time.Second

// oneCluster refuses endpoints of two clusters. Requests go to one endpoint after
// the other, so what one cluster holds would decide what is written to another,
// and checkHeader would tell only when it is done.
func (c *Cluster) oneCluster(ctx context.Context) error {
	if len(c.endpoints) == 1 {
		return nil
	}
	ctx, done := context.WithTimeout(ctx, min(c.cfg.DialTimeout, censusTime))
	defer done()
	strangers := make([]error, len(c.endpoints))
	var asked sync.WaitGroup
	for i, e := range c.endpoints {
		asked.Go(func() {
			status, err := c.client.Status(ctx, e.String())
			if err != nil {
				return // what does not answer is not written to either
			}
			if id := etcdwalk.ClusterID(status.Header.GetClusterId()); id != c.id {
				strangers[i] = fmt.Errorf("the endpoints %s are of two clusters: %s is of %s, another of %s", c.addresses(), e.Text, id, c.id)
			}
		})
	}
	asked.Wait()
	return cmp.Or(strangers...)
}
