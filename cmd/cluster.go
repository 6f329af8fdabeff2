package cmd

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd2"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd3"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// apiAuto leaves the choice between the APIs to what is found in them.
const apiAuto = "auto"

// A cluster is one that is connected, over whichever API.
type cluster struct {
	api    etcdwalk.API
	source etcdwalk.Source
	target etcdwalk.Target
	close  func()
	alone  bool // the server speaks no other API
}

// A driver connects to a cluster over one API.
type driver struct {
	api  etcdwalk.API
	dial func(ctx context.Context, config connect.Config) (*cluster, error)
}

// drivers are those that there are, in the order in which they are tried.
func (c *connection) drivers() []driver {
	return []driver{{etcdwalk.V3, dialV3}, {etcdwalk.V2, c.dialV2}}
}

func dialV3(ctx context.Context, config connect.Config) (*cluster, error) {
	v3, err := etcd3.Dial(ctx, config)
	if err != nil {
		return nil, err
	}
	return &cluster{api: etcdwalk.V3, source: v3, target: v3.Target(), close: v3.Close, alone: !mayHaveV2(v3.Version())}, nil
}

func (c *connection) dialV2(ctx context.Context, config connect.Config) (*cluster, error) {
	v2, err := etcd2.Dial(ctx, config, c.maxAnswer)
	if err != nil {
		return nil, err
	}
	return &cluster{api: etcdwalk.V2, source: v2, target: v2.Target(), close: v2.Close}, nil
}

// dial connects to the cluster and gets a first answer from it. The layout is that of
// the selection: where keys are looked for, to choose an API.
func (c *connection) dial(ctx context.Context, p *printer, s *settings, layout *kube.Layout) (*cluster, error) {
	drivers := slices.DeleteFunc(c.drivers(), func(d driver) bool { return c.api != apiAuto && c.api != string(d.api) })
	if len(drivers) == 0 {
		return nil, usagef("--api=%s: it takes v2, v3 or auto", c.api)
	}
	if c.maxAnswer <= 0 {
		return nil, usagef("--max-v2-answer=%d: it takes a number of bytes above 0", c.maxAnswer)
	}
	config, err := c.resolve(ctx, p, s)
	if err != nil {
		return nil, err
	}
	if endpoints, err := config.Parse(); err == nil {
		if exposed := connect.Exposed(endpoints); len(exposed) > 0 {
			p.warn("plain text to %s: who is on the way can read and change everything, and a bit that flips on the way is not seen", connect.Addresses(exposed))
		}
	}
	if c.skipVerify {
		p.warn("--insecure-skip-tls-verify: the server's certificate is not checked; anybody on the way can read and change everything")
	}
	found, err := dialFirst(ctx, config, drivers)
	if err != nil || len(found) == 1 && len(drivers) == 1 {
		return sole(found), err
	}
	return choose(ctx, p, layout, found)
}

// dialFirst connects over each API that the server speaks, in their order, up to one
// that leaves no other. An API that is not there leaves the choice to the others; one
// that fails beside another does no harm.
func dialFirst(ctx context.Context, config connect.Config, drivers []driver) ([]*cluster, error) {
	var found []*cluster
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

func sole(found []*cluster) *cluster {
	if len(found) == 0 {
		return nil
	}
	return found[0]
}

// choose takes the API that holds the cluster.
func choose(ctx context.Context, p *printer, layout *kube.Layout, found []*cluster) (*cluster, error) {
	if len(found) == 1 {
		if found[0].api != etcdwalk.V3 {
			p.talk("The server speaks API %s only.", found[0].api)
		}
		return found[0], nil
	}
	var candidates []ferry.Candidate
	for _, c := range found {
		candidates = append(candidates, ferry.Candidate{API: c.api, Source: c.source})
	}
	api, err := ferry.ChooseAPI(ctx, layout, candidates)
	var chosen *cluster
	for _, c := range found {
		if err == nil && c.api == api {
			chosen = c
		} else {
			c.close()
		}
	}
	if err == nil && chosen != found[0] {
		p.talk("The cluster is in API %s of this server; --api %s would take the other.", api, found[0].api)
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
