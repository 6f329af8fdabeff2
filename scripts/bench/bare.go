package main

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"
)

// bareLoad is the ceiling: transactions of 128 puts of 4,100 bytes without a
// guard, 16 in flight, about as many keys as a restore writes. It is what etcd's
// own benchmark does as txn-put.
func bareLoad(n, connections int) filler {
	return func(ctx context.Context, to *server) (figures, error) {
		clients := make([]*clientv3.Client, connections)
		for i := range clients {
			c, err := to.client()
			if err != nil {
				return nil, err
			}
			defer c.Close()
			if _, err := c.Get(ctx, "connected?"); err != nil {
				return nil, err
			}
			clients[i] = c
		}
		value := strings.Repeat("0123456789", 410)
		txns := int64(n / txnOps)
		var next atomic.Int64
		begun := time.Now()
		g, ctx := errgroup.WithContext(ctx)
		for i := range inFlight {
			g.Go(func() error {
				for t := next.Add(1) - 1; t < txns; t = next.Add(1) - 1 {
					ops := make([]clientv3.Op, txnOps)
					for j := range ops {
						ops[j] = clientv3.OpPut(fmt.Sprintf("/bench/%012d", t*txnOps+int64(j)), value)
					}
					if _, err := clients[i%connections].Txn(ctx).Then(ops...).Commit(); err != nil {
						return fmt.Errorf("bare load: %w", err)
					}
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			return nil, err
		}
		return figures{wall: time.Since(begun).Seconds(), keys: float64(txns * txnOps)}, nil
	}
}
