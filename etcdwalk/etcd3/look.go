package etcd3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
)

// censusTime is how long endpoints are waited for after one has answered: one
// member of three may be down.
const censusTime = time.Second

// A look is what an endpoint was found to be.
type look struct {
	*member

	status *pb.StatusResponse
	err    error // why it does not serve
	late   bool  // it had not answered when it was given up
}

// errLearner: a member that does not vote answers no read or write yet.
var errLearner = errors.New("it is a learner, which does not serve reads and writes until it is promoted")

// cause is what the client tells of an endpoint that does not serve.
func (l look) cause() error {
	if l.err == nil {
		return errLearner
	}
	return errors.New(status.Convert(l.err).Message())
}

// usable tells whether an endpoint serves.
func (l look) usable() bool { return l.err == nil && !l.status.IsLearner }

// lookAtAll connects to every endpoint and asks each for its status.
func (c *Cluster) lookAtAll(ctx context.Context, settings clientv3.Config) []look {
	dialling, done := context.WithTimeout(ctx, c.cfg.DialTimeout)
	defer done()
	looks := make([]look, len(c.endpoints))
	var asked sync.WaitGroup
	for i, e := range c.endpoints {
		looks[i].member = &member{endpoint: e}
		asked.Go(func() {
			looks[i].ask(dialling, c.cfg, settings)
			if looks[i].err != nil {
				looks[i].late = dialling.Err() != nil
			} else if looks[i].usable() {
				time.AfterFunc(min(c.cfg.DialTimeout, censusTime), done)
			}
		})
	}
	asked.Wait()
	return looks
}

// ask opens a client and has a first answer from it.
func (l *look) ask(ctx context.Context, cfg connect.Config, settings clientv3.Config) {
	// The client lives longer than ctx, but while it is being dialled it dies
	// with it: creating it may fetch a token.
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l.cancel = cancel
	stop := context.AfterFunc(ctx, cancel)
	defer stop()
	settings.Context, settings.Endpoints = life, []string{l.endpoint.String()}
	if l.endpoint.Network == "tcp" {
		settings.DialOptions = append(slices.Clip(settings.DialOptions), grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return cfg.Dial(ctx, l.endpoint)
		}))
	}
	if l.client, l.err = clientv3.New(settings); l.err != nil {
		return
	}
	maintenance := pb.NewMaintenanceClient(l.conn())
	if l.status, l.err = maintenance.Status(ctx, &pb.StatusRequest{}); isOneOf(l.err, passes) { // such as a token that lives for a second
		l.status, l.err = maintenance.Status(ctx, &pb.StatusRequest{})
	}
	if l.err == nil && !stop() {
		l.err = ctx.Err()
	}
	if l.err == nil {
		l.id = l.status.Header.GetMemberId()
	}
}

// choose takes the endpoints that serve, and tells of the others. Endpoints of two
// clusters are refused before anything is read: what one cluster holds would decide
// what is written to another.
func (c *Cluster) choose(ctx context.Context, looks []look) error {
	var first *look
	for i := range looks {
		l := &looks[i]
		if l.err != nil {
			continue
		}
		if first == nil {
			first = l
			c.id = etcdwalk.ClusterID(l.status.Header.GetClusterId())
		}
		if id := etcdwalk.ClusterID(l.status.Header.GetClusterId()); id != c.id {
			return fmt.Errorf("the endpoints %s are of two clusters: %s is of %s, %s is of %s%.0w", c.addresses(), first.endpoint.Text, c.id, l.endpoint.Text, id, connect.ErrConfig)
		}
		if l.usable() {
			c.members.all = append(c.members.all, l.member)
			c.version = cmp.Or(c.version, l.status.Version)
		}
	}
	if len(c.members.all) == 0 {
		return c.explain(ctx, looks)
	}
	c.tellOf(ctx, looks)
	return nil
}

// tellOf warns of the endpoints that are left out.
func (c *Cluster) tellOf(ctx context.Context, looks []look) {
	reasons := make([]error, len(looks))
	var sought sync.WaitGroup
	for i, l := range looks {
		if !l.usable() {
			sought.Go(func() { reasons[i] = c.reason(ctx, l) })
		}
	}
	sought.Wait()
	for i, l := range looks {
		if !l.usable() {
			c.cfg.Warn(l.endpoint.LeftOut(reasons[i].Error()))
			out := Standing{Endpoint: l.name(), Problem: reasons[i].Error()}
			if l.err == nil {
				out.Member, out.Version, out.Learner = strconv.FormatUint(l.id, 16), l.status.Version, l.status.IsLearner
			}
			c.leftOut = append(c.leftOut, out)
			l.close()
		}
	}
}

// reason says why an endpoint beside others does not serve. It takes no longer than
// looking at it did.
func (c *Cluster) reason(ctx context.Context, l look) error {
	switch {
	case l.err == nil:
		return errLearner
	case l.late:
		return fmt.Errorf("no answer within %s", min(c.cfg.DialTimeout, censusTime))
	case isLearner(l.err):
		return errLearner
	}
	ctx, done := context.WithTimeout(ctx, censusTime)
	defer done()
	return c.cfg.Reason(ctx, l.endpoint, l.cause(), func(version string) error { return unserved(version, []error{l.cause()}) })
}
