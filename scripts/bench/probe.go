package main

import (
	"context"
	"fmt"
	"math"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"
)

const (
	probeKey      = "/bench/probe" // outside all that is Kubernetes'
	probeInterval = 5 * time.Millisecond
)

// A prober is somebody else's live traffic: it puts and reads one key every five
// milliseconds, and notes how long each takes. It waits for each answer, so a
// server that stands still for 100 ms counts once, not twenty times.
type prober struct {
	client     *clientv3.Client
	cancel     context.CancelFunc
	group      *errgroup.Group
	puts, gets []float64 // seconds
}

// probe begins to ask the server.
func probe(ctx context.Context, s *server) (*prober, error) {
	client, err := s.client()
	if err != nil {
		return nil, err
	}
	if _, err := client.Put(ctx, probeKey, "0"); err != nil {
		client.Close()
		return nil, fmt.Errorf("put the prober's key: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	p := &prober{client: client, cancel: cancel, group: &errgroup.Group{}}
	p.group.Go(func() error {
		return every(ctx, &p.puts, func(ctx context.Context) error {
			_, err := client.Put(ctx, probeKey, time.Now().Format(time.RFC3339Nano))
			return err
		})
	})
	p.group.Go(func() error {
		return every(ctx, &p.gets, func(ctx context.Context) error {
			_, err := client.Get(ctx, probeKey)
			return err
		})
	})
	return p, nil
}

// every runs ask until the context ends, and notes how long it took. What was
// asked is waited for, up to half a minute.
func every(ctx context.Context, took *[]float64, ask func(context.Context) error) error {
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		begun := time.Now()
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		err := ask(limited)
		cancel()
		if err != nil {
			return fmt.Errorf("probing: %w", err)
		}
		*took = append(*took, time.Since(begun).Seconds())
	}
}

// stop ends the prober and adds what it saw to the figures.
func (p *prober) stop(f figures) error {
	p.cancel()
	err := p.group.Wait()
	p.client.Close()
	if err != nil {
		return err
	}
	f[putP50], f[putP99] = percentile(p.puts, 50), percentile(p.puts, 99)
	f[getP50], f[getP99] = percentile(p.gets, 50), percentile(p.gets, 99)
	if math.IsNaN(f[putP99] + f[getP99]) {
		return fmt.Errorf("the prober saw %d puts and %d gets: the run was too short", len(p.puts), len(p.gets))
	}
	return nil
}
