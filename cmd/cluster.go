package cmd

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd2"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd3"
)

// apiAuto leaves the choice between the APIs to what is found in them.
const apiAuto = "auto"

// A cluster is one that is connected, over whichever API.
type cluster struct {
	api    etcdwalk.API
	pin    ferry.Pin
	target etcdwalk.Target
	close  func()
}

// overV3 speaks API v3.
func overV3(c *etcd3.Cluster) *cluster {
	pin := func(ctx context.Context, ranges etcdwalk.Ranges) (ferry.Snapshot, error) { return c.Pin(ctx, ranges) }
	return &cluster{etcdwalk.V3, pin, c.Target(), c.Close}
}

// overV2 speaks API v2.
func overV2(c *etcd2.Cluster) *cluster {
	pin := func(ctx context.Context, ranges etcdwalk.Ranges) (ferry.Snapshot, error) { return c.Pin(ctx, ranges) }
	return &cluster{etcdwalk.V2, pin, c.Target(), c.Close}
}

// dial connects to the cluster and gets a first answer from it. The prefixes are
// those of the selection: where keys are looked for, to choose an API.
func (c *connection) dial(ctx context.Context, p *printer, s *settings, prefixes []string) (*cluster, error) {
	if c.api != apiAuto && c.api != string(etcdwalk.V2) && c.api != string(etcdwalk.V3) {
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
	var found *cluster
	switch c.api {
	case string(etcdwalk.V2):
		found, err = c.dialV2(ctx, config)
	case string(etcdwalk.V3):
		found, _, err = dialV3(ctx, config)
	default:
		found, err = c.dialAuto(ctx, p, config, prefixes)
	}
	if err != nil && !isAny(err, etcdwalk.ErrUnavailable, etcdwalk.ErrDenied, etcdwalk.ErrInvariant, connect.ErrInsecureTransport, ferry.ErrAmbiguous, context.Canceled, context.DeadlineExceeded) {
		return nil, configf("%w", err) // by its contract: a configuration that cannot work
	}
	return found, err
}

func (c *connection) dialV2(ctx context.Context, config connect.Config) (*cluster, error) {
	v2, err := etcd2.Dial(ctx, config, c.maxAnswer)
	if err != nil {
		return nil, err
	}
	return overV2(v2), nil
}

func dialV3(ctx context.Context, config connect.Config) (*cluster, string, error) {
	v3, err := etcd3.Dial(ctx, config)
	if err != nil {
		return nil, "", err
	}
	return overV3(v3), v3.Version(), nil
}

// dialAuto takes the API that holds the cluster. A server that speaks only one
// leaves no choice.
func (c *connection) dialAuto(ctx context.Context, p *printer, config connect.Config, prefixes []string) (*cluster, error) {
	v3, version, err := dialV3(ctx, config)
	if err == nil && !mayHaveV2(version) || err != nil && !errors.Is(err, etcdwalk.ErrUnavailable) {
		return v3, err
	}
	v2, errV2 := c.dialV2(ctx, config)
	switch {
	case err != nil && errV2 == nil:
		p.talk("The server speaks API v2 only.")
		return v2, nil
	case err != nil || errV2 != nil:
		return v3, err
	}
	api, err := ferry.ChooseAPI(ctx, prefixes, v2.pin, v3.pin)
	if err != nil {
		v2.close()
		v3.close()
		return nil, err
	}
	if api == etcdwalk.V2 {
		p.talk("The cluster is in API v2 of this server; --api v3 would take the other.")
		v3.close()
		return v2, nil
	}
	v2.close()
	return v3, nil
}

// mayHaveV2 tells whether a server of this version can serve API v2: etcd 3.6
// dropped it.
func mayHaveV2(version string) bool {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(minor)
	return err != nil || major != "3" || n < 6
}
