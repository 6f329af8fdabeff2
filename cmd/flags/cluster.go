package flags

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd2"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd3"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// A Cluster is one that is connected, over whichever API.
type Cluster struct {
	Source etcdwalk.Source
	Target etcdwalk.Target
	Close  func()
	// Address is its endpoints, and where they came from: a forgotten variable must
	// be seen before it hurts.
	Address string
	API     etcdwalk.API

	alone bool // the server speaks no other API
}

// A driver connects to a cluster over one API.
type driver struct {
	api  etcdwalk.API
	dial func(ctx context.Context, config connect.Config) (*Cluster, error)
}

// drivers are those that there are, in the order in which they are tried.
func (c *Connection) drivers() []driver {
	return []driver{{etcdwalk.V3, dialV3}, {etcdwalk.V2, c.dialV2}}
}

func dialV3(ctx context.Context, config connect.Config) (*Cluster, error) {
	v3, err := etcd3.Dial(ctx, config)
	if err != nil {
		return nil, err
	}
	return &Cluster{API: etcdwalk.V3, Source: v3, Target: v3.Target(), Close: v3.Close, alone: !mayHaveV2(v3.Version())}, nil
}

func (c *Connection) dialV2(ctx context.Context, config connect.Config) (*Cluster, error) {
	v2, err := etcd2.Dial(ctx, config, c.maxAnswer)
	if err != nil {
		return nil, err
	}
	return &Cluster{API: etcdwalk.V2, Source: v2, Target: v2.Target(), Close: v2.Close}, nil
}

// Dial connects to the cluster and gets a first answer from it. The layout is that of
// the selection: where keys are looked for, to choose an API.
func (c *Connection) Dial(ctx context.Context, layout *kube.Layout) (*Cluster, error) {
	drivers := slices.DeleteFunc(c.drivers(), func(d driver) bool { return c.api != "" && c.api != d.api })
	if c.maxAnswer <= 0 {
		return nil, console.Usagef("--max-v2-answer=%d: it takes a number of bytes above 0", c.maxAnswer)
	}
	config, err := c.config(ctx)
	if err != nil {
		return nil, err
	}
	if endpoints, err := config.Parse(); err == nil {
		if exposed := connect.Exposed(endpoints); len(exposed) > 0 {
			c.s.Warn("plain text to %s: who is on the way can read and change everything, and a bit that flips on the way is not seen", connect.Addresses(exposed))
		}
	}
	if c.skipVerify {
		c.s.Warn("--insecure-skip-tls-verify: the server's certificate is not checked; anybody on the way can read and change everything")
	}
	found, err := dialFirst(ctx, config, drivers)
	if err != nil {
		return nil, err
	}
	chosen := found[0]
	if len(drivers) > 1 {
		if chosen, err = c.choose(ctx, layout, found); err != nil {
			return nil, err
		}
	}
	origin, _ := c.Origin()
	chosen.Address = fmt.Sprintf("%s (from %s)", strings.Join(config.Endpoints, ","), origin)
	return chosen, nil
}

// discovers tells whether DNS names the endpoints, since nothing else does.
func (c *Connection) discovers() bool {
	return c.discovery.Domain != "" && c.s.Origin("endpoints") == "default"
}

// Origin tells where the endpoints came from, and whether somebody has named them: what DNS
// or a default says, nobody has.
func (c *Connection) Origin() (origin string, explicit bool) {
	if c.discovers() {
		return "the SRV records of " + c.discovery.Domain, false
	}
	origin = c.s.Origin("endpoints")
	return origin, origin != "default"
}

// dialFirst connects over each API that the server speaks, in their order, up to one
// that leaves no other. An API that is not there leaves the choice to the others; one
// that fails beside another does no harm. Without an error there is one at least.
func dialFirst(ctx context.Context, config connect.Config, drivers []driver) ([]*Cluster, error) {
	var found []*Cluster
	var first error
	for _, d := range drivers {
		one, err := d.dial(ctx, config)
		if err == nil {
			found = append(found, one)
		} else if first == nil {
			first = err
		}
		if err == nil && one.alone || err != nil && len(found) == 0 && !errors.Is(err, etcdwalk.ErrUnavailable) {
			break
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	return nil, first
}

// choose takes the API that holds the cluster.
func (c *Connection) choose(ctx context.Context, layout *kube.Layout, found []*Cluster) (*Cluster, error) {
	if len(found) == 1 {
		if found[0].API != etcdwalk.V3 {
			c.s.Talk("The server speaks API %s only.", found[0].API)
		}
		return found[0], nil
	}
	var candidates []ferry.Candidate
	for _, one := range found {
		candidates = append(candidates, ferry.Candidate{API: one.API, Source: one.Source})
	}
	api, err := ferry.ChooseAPI(ctx, layout, candidates)
	var chosen *Cluster
	for _, one := range found {
		if err == nil && one.API == api {
			chosen = one
		} else {
			one.Close()
		}
	}
	if err == nil && chosen != found[0] {
		c.s.Talk("The cluster is in API %s of this server; --api %s would take the other.", api, found[0].API)
	}
	return chosen, err
}

// mayHaveV2 tells whether a server of this version can serve API v2: etcd 3.6
// dropped it.
func mayHaveV2(version string) bool {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(minor)
	return err != nil || major != "3" || n < 6
}
