package etcd3

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/status"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// probeTime bounds the search for a reason, so that a long DialTimeout is not
// waited for twice.
const probeTime = 4 * time.Second

// explain says why dialling failed. gRPC hides it in most cases, so each
// endpoint is tried once more, by hand.
func (c *Cluster) explain(ctx context.Context, config *tls.Config, cause error) error {
	if err := c.judge(ctx, cause); errors.Is(err, etcdwalk.ErrDenied) {
		if errors.Is(cause, rpctypes.ErrAuthFailed) {
			return fmt.Errorf("%s refuses user %q and its password: %w", c.addresses(), c.cfg.Username, err)
		}
		return fmt.Errorf("%s: %w", c.addresses(), err)
	}
	ctx, done := context.WithTimeout(ctx, min(c.cfg.DialTimeout, probeTime))
	defer done()
	reasons := make([]error, len(c.endpoints))
	var probes sync.WaitGroup
	for i, e := range c.endpoints {
		probes.Go(func() {
			err := c.probe(ctx, config, e)
			if err == nil { // an etcd, and yet it would not serve
				err = errors.New(status.Convert(cause).Message())
			}
			reasons[i] = fmt.Errorf("%s: %w", e.text, err)
		})
	}
	probes.Wait()
	sentinel := etcdwalk.ErrUnavailable
	var texts []string
	for _, err := range reasons {
		if errors.Is(err, etcdwalk.ErrDenied) {
			sentinel = etcdwalk.ErrDenied
		}
		texts = append(texts, strings.ReplaceAll(err.Error(), "\n", " "))
	}
	return fmt.Errorf("%w: %s", sentinel, strings.Join(texts, "; "))
}

// probe tries one endpoint, layer by layer, and returns what is wrong with it.
func (c *Cluster) probe(ctx context.Context, config *tls.Config, e endpoint) error {
	conn, err := e.dial(ctx)
	if err != nil {
		if isTimeout(err) {
			return fmt.Errorf("no connection within %s", c.cfg.DialTimeout)
		}
		return err
	}
	defer conn.Close()
	if !e.secure {
		err := askVersion(conn, e)
		if err != nil && speaksTLS(ctx, e) {
			return fmt.Errorf("the server speaks TLS, the endpoint says plain text; use https://%s", e.address)
		}
		return c.slow(err)
	}
	config = config.Clone()
	if config.ServerName == "" {
		config.ServerName = e.host
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		if speaksPlain(ctx, e) {
			return fmt.Errorf("the server does not speak TLS; use http://%s, if that is meant", e.address)
		}
		return c.handshake(err)
	}
	// With TLS 1.3 the server's opinion of our certificate comes only now.
	return c.handshake(askVersion(secure, e))
}

// dial connects to an endpoint. The connection ends with the deadline of ctx.
func (e endpoint) dial(ctx context.Context) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, e.network, e.address)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			conn.Close()
			return nil, err
		}
	}
	return conn, nil
}

// handshake explains an error of a TLS connection.
func (c *Cluster) handshake(err error) error {
	var (
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
		host    x509.HostnameError
		alert   tls.AlertError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &unknown):
		return fmt.Errorf("the server's certificate is not signed by %s (%w)", c.authorities(), err)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Errorf("the server's certificate is expired or not yet valid (%w)", err)
	case errors.As(err, &host):
		return fmt.Errorf("the server's certificate is for another host (%w)", err)
	case strings.Contains(err.Error(), "protocol version"):
		return fmt.Errorf("the server offers no TLS version from 1.2 on (%w)", err)
	case errors.As(err, &alert), strings.Contains(err.Error(), "remote error: tls:"):
		return c.refused(err)
	default:
		return c.slow(err)
	}
}

// refused explains the server's refusal of our certificate, or of having none.
func (c *Cluster) refused(err error) error {
	if c.cfg.Cert == "" {
		return fmt.Errorf("%w: the server wants a client certificate, and none is given (%w)", etcdwalk.ErrDenied, err)
	}
	if since := c.cfg.expired(time.Now()); !since.IsZero() {
		return fmt.Errorf("%w: the client certificate %s expired on %s (%w)",
			etcdwalk.ErrDenied, c.cfg.Cert, since.UTC().Format(time.RFC3339), err)
	}
	return fmt.Errorf("%w: the server refuses the client certificate %s (%w)", etcdwalk.ErrDenied, c.cfg.Cert, err)
}

// authorities names who may sign a server's certificate.
func (c *Cluster) authorities() string {
	if c.cfg.CACert == "" {
		return "an authority that this system knows"
	}
	return "the CA in " + c.cfg.CACert
}

// slow puts a timeout into words.
func (c *Cluster) slow(err error) error {
	if err != nil && isTimeout(err) {
		return fmt.Errorf("connected, but no answer within %s", c.cfg.DialTimeout)
	}
	return err
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// askVersion asks over HTTP/1.1 for what every etcd answers since 2.0, and
// says what else it found.
func askVersion(conn net.Conn, e endpoint) error {
	request, err := http.NewRequest(http.MethodGet, "http://localhost/version", nil)
	if err != nil {
		return err
	}
	if e.network != "unix" {
		request.Host = e.address // etcd may want its name: --host-whitelist
	}
	if err := request.Write(conn); err != nil {
		return err
	}
	response, err := http.ReadResponse(bufio.NewReader(io.LimitReader(conn, 1<<16)), request)
	if err != nil {
		if isTimeout(err) || strings.Contains(err.Error(), "remote error") {
			return err
		}
		return fmt.Errorf("this does not look like an etcd: it does not answer HTTP (%w)", err)
	}
	defer response.Body.Close()
	var version struct{ Etcdserver string }
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("this does not look like an etcd: it answers with HTTP status %d", response.StatusCode)
	}
	if json.NewDecoder(response.Body).Decode(&version) != nil || version.Etcdserver == "" {
		return fmt.Errorf("this does not look like an etcd: it answers with %q", response.Header.Get("Content-Type"))
	}
	if major, _, _ := strings.Cut(version.Etcdserver, "."); major != "3" {
		return fmt.Errorf("this etcd has version %s, which does not know the v3 API", version.Etcdserver)
	}
	return nil
}

// speaksTLS tells whether a TLS server listens at an endpoint.
func speaksTLS(ctx context.Context, e endpoint) bool {
	// Nothing is sent or believed, hence nothing is verified.
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10}}
	conn, err := dialer.DialContext(ctx, e.network, e.address)
	if err != nil {
		var alert tls.AlertError
		return errors.As(err, &alert) || strings.Contains(err.Error(), "remote error: tls:")
	}
	conn.Close()
	return true
}

// speaksPlain tells whether a server without TLS listens at an endpoint.
func speaksPlain(ctx context.Context, e endpoint) bool {
	conn, err := e.dial(ctx)
	if err != nil {
		return false
	}
	defer conn.Close()
	return askVersion(conn, e) == nil
}
