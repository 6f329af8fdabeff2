package etcd3

import (
	"context"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	grpcbackoff "google.golang.org/grpc/backoff"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
)

// window is the flow control window of a stream and of a connection. gRPC's
// own guess starves the streaming range.
const window = 4 << 20

// A Cluster is a connection to an etcd cluster through one or more endpoints.
type Cluster struct {
	cfg       connect.Config
	endpoints []connect.Endpoint
	members   *members
	leftOut   []Standing // endpoints that did not serve
	kv        pb.KVClient
	leases    pb.LeaseClient
	version   string
	id        etcdwalk.ClusterID // what every answer must come from
}

// Dial looks at each endpoint by itself, and connects through those that are
// members of one cluster and serve: the others are left out, each with a warning.
// It takes cfg.DialTimeout at most, and a second longer than the first answer;
// finding out why none serves may take four seconds more. The error then names
// each endpoint with its reason, and wraps etcdwalk.ErrDenied if credentials were
// refused, otherwise etcdwalk.ErrUnavailable. A configuration that cannot work is
// refused with [connect.ErrConfig], endpoints of two clusters among them, and plain text
// to another machine with [connect.ErrInsecureTransport].
func Dial(ctx context.Context, cfg connect.Config) (*Cluster, error) {
	cfg = cfg.WithDefaults()
	endpoints, err := cfg.Parse()
	if err != nil {
		return nil, err
	}
	c := &Cluster{cfg: cfg, endpoints: endpoints, members: &members{deadline: cfg.CommandTimeout, tell: cfg.Warn}}
	settings, err := c.settings()
	if err != nil {
		return nil, err
	}
	looks := c.lookAtAll(ctx, settings)
	if err := c.choose(ctx, looks); err != nil {
		for _, l := range looks {
			l.close()
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("connect to etcd: %w", ctx.Err())
		}
		return nil, err
	}
	c.kv, c.leases = pb.NewKVClient(c.members), pb.NewLeaseClient(c.members)
	cfg.Log.Debug("connected to etcd", "endpoints", c.addresses(), "version", c.version)
	return c, nil
}

// settings are those of etcd's client.
func (c *Cluster) settings() (clientv3.Config, error) {
	password, err := c.cfg.UserPassword()
	if err != nil {
		return clientv3.Config{}, err
	}
	settings := clientv3.Config{
		DialTimeout:          c.cfg.DialTimeout,
		DialKeepAliveTime:    c.cfg.KeepaliveTime,
		DialKeepAliveTimeout: c.cfg.KeepaliveTimeout,
		Username:             c.cfg.Username,
		Password:             password,
		MaxUnaryRetries:      1, // we repeat ourselves, and know what
		Logger:               zap.NewNop(),
		DialOptions: []grpc.DialOption{
			grpc.WithInitialWindowSize(window),
			grpc.WithInitialConnWindowSize(window),
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnecting(), MinConnectTimeout: 20 * time.Second}),
		},
	}
	if c.endpoints[0].Secure {
		if settings.TLS, err = c.cfg.TLS(); err != nil {
			return clientv3.Config{}, err
		}
		if c.cfg.ServerName != "" { // gRPC takes no notice of the one in settings.TLS
			settings.DialOptions = append(settings.DialOptions, grpc.WithAuthority(c.cfg.ServerName))
		}
	}
	return settings, nil
}

// reconnecting paces the attempts to reach an endpoint that is gone. gRPC's own
// pauses grow to two minutes, past the retry budget: a server that came back
// would be given up.
func reconnecting() grpcbackoff.Config {
	return grpcbackoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 500 * time.Millisecond}
}

// Close ends the connection. The Cluster's views and targets end with it.
func (c *Cluster) Close() { c.members.close() }

// Version is that of the member that was dialled: "3.6.16".
func (c *Cluster) Version() string { return c.version }

// addresses is the list of endpoints, for messages.
func (c *Cluster) addresses() string { return connect.Addresses(c.endpoints) }

// try makes a request until it succeeds, fails for good, or made no progress
// for the retry budget. Each attempt has a deadline and may go to another
// endpoint. request must be harmless to repeat, and what, which is logged, must
// name no single key. The error is sorted: see judge.
func (c *Cluster) try(ctx context.Context, what string, request func(ctx context.Context) error) error {
	err := c.cfg.Try(ctx, what, func(attempt context.Context) error {
		return c.judge(ctx, request(clientv3.WithRequireLeader(attempt)))
	})
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// checkHeader makes sure that an answer comes from the cluster that was dialled.
// Its error is an etcdwalk.ErrInvariant.
func (c *Cluster) checkHeader(h *pb.ResponseHeader) error {
	if h == nil {
		return fmt.Errorf("an answer has no header%.0w", etcdwalk.ErrInvariant)
	}
	if got := etcdwalk.ClusterID(h.ClusterId); got != c.id {
		return fmt.Errorf("an answer comes from cluster %s, not from %s%.0w", got, c.id, etcdwalk.ErrInvariant)
	}
	return nil
}
