package etcd2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
)

// ErrTooLarge: an answer is larger than what is to be kept in memory: the API has
// no pages.
// It is an etcdwalk.ErrRefused.
var ErrTooLarge = fmt.Errorf("the answer is too large%.0w", etcdwalk.ErrRefused)

// A transport is HTTP as etcd's client wants it, with a limit on answers: the
// client reads each as a whole. Once the cluster is known it takes no answer of
// another, whatever the answer says.
type transport struct {
	*http.Transport

	most    int64
	cluster atomic.Uint64 // 0: not known yet
}

func newTransport(cfg connect.Config, endpoints []connect.Endpoint, most int64) (*transport, error) {
	t := &transport{most: most, Transport: &http.Transport{
		MaxIdleConnsPerHost: atOnce,
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			ctx, done := context.WithTimeout(ctx, cfg.DialTimeout)
			defer done()
			for _, e := range endpoints { // a client would look a socket's path up as a host
				if address == e.Address || e.Network == "unix" && address == net.JoinHostPort(e.Address, "80") {
					return cfg.Dial(ctx, e)
				}
			}
			return nil, fmt.Errorf("the address %s is of no endpoint", address)
		},
		TLSHandshakeTimeout: cfg.DialTimeout,
	}}
	if endpoints[0].Secure {
		config, err := cfg.TLS()
		if err != nil {
			return nil, err
		}
		t.TLSClientConfig = config
	}
	return t, nil
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := t.Transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	want := etcdwalk.ClusterID(t.cluster.Load())
	if id, err := clusterID(answer.Header.Get(idHeader)); want != 0 && err == nil && id != want {
		return nil, errors.Join(fmt.Errorf("an answer comes from cluster %s, not from %s%.0w", id, want, etcdwalk.ErrInvariant), answer.Body.Close())
	}
	answer.Body = &limited{ReadCloser: answer.Body, left: t.most, most: t.most}
	return answer, nil
}

// CancelRequest is what etcd's client asks of a transport, and does not call.
func (*transport) CancelRequest(*http.Request) {}

func (t *transport) close() {
	if t != nil {
		t.CloseIdleConnections()
	}
}

// limited is a body that fails when it turns out to be too large.
type limited struct {
	io.ReadCloser

	left, most int64
}

// Read implements io.Reader.
func (l *limited) Read(p []byte) (int, error) {
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.ReadCloser.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, l.most)
	}
	return n, err
}
