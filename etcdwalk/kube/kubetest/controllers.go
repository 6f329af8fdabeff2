package kubetest

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// Controllers look after a store.
type Controllers struct {
	source etcdwalk.Source
	target etcdwalk.Target
	layout *kube.Layout
	random *rand.Rand
	step   int
	since  map[string]int // the step at which an object was first seen without an owner
	seen   *state         // what was seen last
	made   int            // objects that were made anew, whose UIDs they number
	Acts   map[string]int // what they have done, by controller
}

// New begins controllers of a store.
func New(source etcdwalk.Source, target etcdwalk.Target, seed uint64) (*Controllers, error) {
	layout, err := kube.NewLayout()
	return &Controllers{source: source, target: target, layout: layout, random: rand.New(rand.NewPCG(seed, 7)),
		since: map[string]int{}, Acts: map[string]int{}}, err
}

// all are the controllers. Each looks for something to do, and does one thing.
func (c *Controllers) all() []func(context.Context, *state) error {
	return []func(context.Context, *state) error{
		c.collect, c.namespaces, c.tokens, c.definitions, c.apiServices,
		c.deployments, c.replicas, c.statefulSets, c.daemonSets, c.jobs, c.kubelets,
		c.volumes, c.claims, c.endpoints, c.allocations,
	}
}

// Step lets some controllers look, until one has acted.
func (c *Controllers) Step(ctx context.Context) error {
	c.step++
	s, err := c.look(ctx)
	if err != nil {
		return err
	}
	all, before := c.all(), c.acts()
	for _, i := range c.random.Perm(len(all))[:len(all)/2] {
		if err := all[i](ctx, s); err != nil || c.acts() != before {
			return err
		}
	}
	return nil
}

// Settle lets all act until nobody has anything to do.
func (c *Controllers) Settle(ctx context.Context) error {
	calm := 0
	for range 1000 {
		c.step += 10
		s, err := c.look(ctx)
		if err != nil {
			return err
		}
		before := c.acts()
		for _, act := range c.all() {
			if err := act(ctx, s); err != nil {
				return err
			}
		}
		if calm++; c.acts() != before {
			calm = 0
		}
		if calm == 3 {
			return nil
		}
	}
	return fmt.Errorf("the controllers do not come to rest: %v", c.Acts)
}

func (c *Controllers) acts() (n int) {
	for _, some := range c.Acts {
		n += some
	}
	return n
}

// each calls f with the objects of a kind, until one has been acted upon.
func (c *Controllers) each(s *state, kind string, f func(o *item) error) error {
	before := c.acts()
	for _, o := range s.ofKind[kind] {
		if err := f(o); err != nil || c.acts() != before {
			return err
		}
	}
	return nil
}
