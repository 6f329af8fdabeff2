package connect

import (
	"bufio"
	"bytes"
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

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// probeTime bounds the search for a reason, so that a long DialTimeout is not
// waited for twice.
const probeTime = 4 * time.Second

// Diagnose says why no endpoint served, when the causes, one of each, are all that
// a client tells: it tries each of them once more, by hand. usable, told an etcd's
// version, says what is wrong with it, if anything. Its error names each endpoint
// with its reason, and wraps etcdwalk.ErrDenied if credentials were refused,
// otherwise etcdwalk.ErrUnavailable. It takes no longer than four seconds.
func (c Config) Diagnose(ctx context.Context, endpoints []Endpoint, causes []error, usable func(version string) error) error {
	reasons := make([]error, len(endpoints))
	var probes sync.WaitGroup
	for i, e := range endpoints {
		probes.Go(func() { reasons[i] = fmt.Errorf("at %s: %w", e.Text, c.Reason(ctx, e, causes[i], usable)) })
	}
	probes.Wait()
	sentinel := etcdwalk.ErrUnavailable
	var texts []string
	for _, err := range reasons {
		if errors.Is(err, etcdwalk.ErrDenied) {
			sentinel = etcdwalk.ErrDenied
		}
		texts = append(texts, err.Error())
	}
	return fmt.Errorf("cannot connect to etcd %s%.0w", strings.Join(texts, "; "), sentinel)
}

// Reason says, in one line, why one endpoint does not serve, as Diagnose does of
// all.
func (c Config) Reason(ctx context.Context, e Endpoint, cause error, usable func(version string) error) error {
	ctx, done := context.WithTimeout(ctx, min(c.DialTimeout, probeTime))
	defer done()
	version, err := c.probe(ctx, e)
	if err == nil && version != "" {
		err = usable(version)
	}
	if err == nil { // it should, and yet it would not serve
		err = cause
	}
	if text := err.Error(); strings.Contains(text, "\n") {
		return fmt.Errorf("%s%.0w", strings.ReplaceAll(text, "\n", " "), err)
	}
	return err
}

// probe tries one endpoint, layer by layer, and returns the version of the etcd
// there, or what is wrong. The version is empty if only gRPC is served, as where
// etcd has --listen-client-http-urls.
func (c Config) probe(ctx context.Context, e Endpoint) (version string, err error) {
	conn, err := c.reach(ctx, e)
	if err != nil {
		if isTimeout(err) {
			return "", c.unreached(e)
		}
		return "", err
	}
	defer conn.Close()
	if !e.Secure {
		version, err = askVersion(conn, e)
		if err != nil && c.speaksTLS(ctx, e) {
			return "", fmt.Errorf("the server speaks TLS, the endpoint says plain text; use https://%s", e.Address)
		}
		return version, c.slow(err)
	}
	config, err := c.TLS()
	if err != nil {
		return "", err
	}
	if config.ServerName == "" {
		config.ServerName = e.Host
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		if c.speaksPlain(ctx, e) {
			return "", fmt.Errorf("the server does not speak TLS; use http://%s, if that is meant", e.Address)
		}
		return "", c.handshake(err)
	}
	// With TLS 1.3 the server's opinion of our certificate comes only now.
	version, err = askVersion(secure, e)
	return version, c.handshake(err)
}

// reach connects to an endpoint. The connection ends with the deadline of ctx.
func (c Config) reach(ctx context.Context, e Endpoint) (net.Conn, error) {
	conn, err := c.Dial(ctx, e)
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

// unreached says that there was no connection in time.
func (c Config) unreached(e Endpoint) error {
	if proxy, err := e.proxy(); err == nil && proxy != nil {
		return fmt.Errorf("no connection within %s through the proxy %s (HTTPS_PROXY; NO_PROXY goes around it)", c.DialTimeout, name(proxy))
	}
	return fmt.Errorf("no connection within %s", c.DialTimeout)
}

// handshake explains an error of a TLS connection.
func (c Config) handshake(err error) error {
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
func (c Config) refused(err error) error {
	if c.Cert == "" {
		return fmt.Errorf("%w: the server wants a client certificate, and none is given (%w)", etcdwalk.ErrDenied, err)
	}
	if since := c.expired(time.Now()); !since.IsZero() {
		return fmt.Errorf("%w: the client certificate %s expired on %s (%w)",
			etcdwalk.ErrDenied, c.Cert, since.UTC().Format(time.RFC3339), err)
	}
	return fmt.Errorf("%w: the server refuses the client certificate %s (%w)", etcdwalk.ErrDenied, c.Cert, err)
}

// authorities names who may sign a server's certificate.
func (c Config) authorities() string {
	if c.CACert == "" {
		return "an authority that this system knows"
	}
	return "the CA in " + c.CACert
}

// slow puts a timeout into words.
func (c Config) slow(err error) error {
	if err != nil && isTimeout(err) {
		return fmt.Errorf("connected, but no answer within %s", c.DialTimeout)
	}
	return err
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// askVersion asks over HTTP/1.1 for what every etcd answers since 2.0, its
// version, and says what else it found.
func askVersion(conn net.Conn, e Endpoint) (string, error) {
	request, err := http.NewRequest(http.MethodGet, "http://localhost/version", nil)
	if err != nil {
		return "", err
	}
	if e.Network != "unix" {
		request.Host = e.Address // etcd may want its name: --host-whitelist
	}
	if err := request.Write(conn); err != nil {
		return "", err
	}
	answer := bufio.NewReader(io.LimitReader(conn, 1<<16))
	if speaksHTTP2(answer) {
		return "", nil
	}
	response, err := http.ReadResponse(answer, request)
	if err != nil {
		if isTimeout(err) || strings.Contains(err.Error(), "remote error") {
			return "", err
		}
		return "", fmt.Errorf("this does not look like an etcd: it does not answer HTTP (%w)", err)
	}
	defer response.Body.Close()
	var version struct{ Etcdserver string }
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("this does not look like an etcd: it answers with HTTP status %d", response.StatusCode)
	}
	if json.NewDecoder(response.Body).Decode(&version) != nil || version.Etcdserver == "" {
		return "", fmt.Errorf("this does not look like an etcd: it answers with %q", response.Header.Get("Content-Type"))
	}
	return version.Etcdserver, nil
}

// speaksHTTP2 tells whether an answer begins with the frame that every HTTP/2 server
// sends first: SETTINGS, of the connection (RFC 9113, 3.4 and 6.5).
func speaksHTTP2(answer *bufio.Reader) bool {
	const kind = 3
	frame, err := answer.Peek(9)
	return err == nil && frame[kind] == 4 && bytes.Equal(frame[kind+2:], make([]byte, 4))
}

// speaksTLS tells whether a TLS server listens at an endpoint.
func (c Config) speaksTLS(ctx context.Context, e Endpoint) bool {
	conn, err := c.reach(ctx, e)
	if err != nil {
		return false
	}
	defer conn.Close()
	// Nothing is sent or believed, hence nothing is verified.
	err = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10}).HandshakeContext(ctx)
	if err != nil {
		var alert tls.AlertError
		return errors.As(err, &alert) || strings.Contains(err.Error(), "remote error: tls:")
	}
	return true
}

// speaksPlain tells whether a server without TLS listens at an endpoint.
func (c Config) speaksPlain(ctx context.Context, e Endpoint) bool {
	conn, err := c.reach(ctx, e)
	if err != nil {
		return false
	}
	defer conn.Close()
	_, err = askVersion(conn, e)
	return err == nil
}
