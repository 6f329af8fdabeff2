package etcd3

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kubeferry/kubeferry/etcdwalk/connect"
)

// A member is one endpoint, with a connection of its own: so it is known who
// answers, and who does not.
type member struct {
	endpoint connect.Endpoint
	client   *clientv3.Client
	cancel   context.CancelFunc
	id       uint64 // as it calls itself
	out      bool   // left out, until all are
	told     bool   // that it is left out
}

// name is where the member is reached, for messages.
func (m *member) name() string { return m.endpoint.Text }

func (m *member) conn() *grpc.ClientConn { return m.client.ActiveConnection() }

func (m *member) close() {
	if m.client != nil {
		_ = m.client.Close() // it has nothing to tell but that it is closed
	}
	if m.cancel != nil {
		m.cancel()
	}
}

// members are those that serve. All requests go to one of them, as long as it
// serves; one that does not is left out, and the next is asked. Once none is left
// they are asked in turns: a cluster may come back. It is a connection to whoever
// it is.
type members struct {
	all      []*member
	deadline time.Duration // of a request
	tell     func(warning string)

	mu  sync.Mutex
	now int // who is asked
}

var _ grpc.ClientConnInterface = (*members)(nil)

// Invoke implements grpc.ClientConnInterface. A member that is gone fails at once,
// and is not waited for.
func (p *members) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	m, begun := p.pick(), time.Now()
	err := m.conn().Invoke(ctx, method, args, reply, append(opts, grpc.WaitForReady(false))...)
	if err == nil {
		p.serves(m)
	} else {
		p.learn(ctx, m, err, time.Since(begun))
	}
	return err
}

// NewStream implements grpc.ClientConnInterface. How the stream goes on is for
// the caller to see.
func (p *members) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	stream, _, err := p.stream(ctx, desc, method, opts...)
	return stream, err
}

// stream is NewStream, and tells who streams.
func (p *members) stream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, *member, error) {
	m, begun := p.pick(), time.Now()
	stream, err := m.conn().NewStream(ctx, desc, method, append(opts, grpc.WaitForReady(false))...)
	if err != nil {
		p.learn(ctx, m, err, time.Since(begun))
	}
	return stream, m, err
}

// serving are the members that are not left out; all, if all are.
func (p *members) serving() []*member {
	p.mu.Lock()
	defer p.mu.Unlock()
	if serve := slices.DeleteFunc(slices.Clone(p.all), func(m *member) bool { return m.out }); len(serve) > 0 {
		return serve
	}
	return slices.Clone(p.all)
}

// pick is the member that is asked.
func (p *members) pick() *member {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all[p.now]
}

// learn takes the error of a request to a member, and how long it took.
func (p *members) learn(ctx context.Context, m *member, err error, took time.Duration) {
	late := status.Code(err) == codes.DeadlineExceeded
	switch {
	case errors.Is(ctx.Err(), context.Canceled), late && took < p.deadline-p.deadline/10:
		// Nobody waited for the answer, or not for as long as a member may take.
	case isAway(err):
		p.leaveOut(m, err)
	case isBehind(err):
		p.mu.Lock()
		defer p.mu.Unlock()
		p.passOver(m)
	}
}

// serves makes sure that a member is asked again that was given up with all others.
func (p *members) serves(m *member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !m.out || !p.all[p.now].out {
		return // it was late, and another serves
	}
	m.out = false
	for i := range p.all {
		if p.all[i] == m {
			p.now = i
		}
	}
}

// leaveOut asks another member from now on, and says so where there is one.
func (p *members) leaveOut(m *member, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m.out = true
	p.passOver(m)
	if next := p.all[p.now]; !m.told && !next.out {
		m.told = true
		p.tell(m.endpoint.LeftOut(words(err, p.deadline)))
	}
}

// words say what an error of gRPC means to who waited for so long.
func words(err error, deadline time.Duration) string {
	if status.Code(err) == codes.DeadlineExceeded {
		return fmt.Sprintf("no answer within %s", deadline)
	}
	return status.Convert(err).Message()
}

// passOver asks the next member, of those that are not left out if there is one.
func (p *members) passOver(m *member) {
	if p.all[p.now] != m {
		return // somebody has seen it before
	}
	for i := 1; i < len(p.all); i++ {
		if next := (p.now + i) % len(p.all); !p.all[next].out {
			p.now = next
			return
		}
	}
	p.now = (p.now + 1) % len(p.all)
}

// isAway tells whether an error says that a member does not serve at all.
func isAway(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded:
		return !isBehind(err)
	}
	return isLearner(err) || isForeign(err)
}

func (p *members) close() {
	for _, m := range p.all {
		m.close()
	}
}
