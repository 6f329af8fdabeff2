package connect

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/net/http/httpproxy"
)

// Dial connects to an endpoint, as every client and every search for a reason does:
// another machine through the proxy that HTTPS_PROXY and NO_PROXY name, as gRPC
// does; this machine never. The error names the proxy.
func (c Config) Dial(ctx context.Context, e Endpoint) (net.Conn, error) {
	proxy, err := e.proxy()
	switch {
	case err != nil:
		return nil, fmt.Errorf("HTTPS_PROXY: %w", err)
	case proxy == nil:
		return (&net.Dialer{KeepAlive: c.KeepaliveTime}).DialContext(ctx, e.Network, e.Address)
	}
	conn, err := through(ctx, proxy, e.Address)
	if err != nil {
		return nil, fmt.Errorf("through the proxy %s (HTTPS_PROXY): %w", name(proxy), err)
	}
	return conn, nil
}

// proxy is the one on the way to an endpoint; nil: none.
func (e Endpoint) proxy() (*url.URL, error) {
	if e.local() {
		return nil, nil //nolint:nilnil // none is an answer
	}
	return httpproxy.FromEnvironment().ProxyFunc()(&url.URL{Scheme: "https", Host: e.Address})
}

// name shows a proxy without what it may hold of a user and a password.
func name(proxy *url.URL) string { return proxy.Scheme + "://" + proxy.Host }

// through asks a proxy for a tunnel to an address.
func through(ctx context.Context, proxy *url.URL, address string) (_ net.Conn, err error) {
	port := map[string]string{"http": "80", "https": "443"}[proxy.Scheme]
	if port == "" {
		return nil, fmt.Errorf("a proxy of scheme %q cannot be used; http and https can", proxy.Scheme)
	}
	host := proxy.Host
	if proxy.Port() == "" {
		host = net.JoinHostPort(proxy.Hostname(), port)
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			conn.Close()
		}
	}()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	if proxy.Scheme == "https" {
		secure := tls.Client(conn, &tls.Config{ServerName: proxy.Hostname(), MinVersion: tls.VersionTLS12})
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		conn = secure
	}
	tunnel, err := tunnelled(conn, proxy, address)
	if !stop() && ctx.Err() != nil {
		return nil, fmt.Errorf("it does not answer: %w", ctx.Err())
	}
	return tunnel, err
}

// tunnelled asks for the tunnel over a connection to the proxy.
func tunnelled(conn net.Conn, proxy *url.URL, address string) (net.Conn, error) {
	request := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: http.Header{}}
	if user := proxy.User; user != nil {
		password, _ := user.Password()
		request.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}
	if err := request.Write(conn); err != nil {
		return nil, err
	}
	reader := bufio.NewReader(conn)
	answer, err := http.ReadResponse(reader, request)
	if err != nil {
		return nil, err
	}
	answer.Body.Close() // a tunnel has none
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers with HTTP status %d", answer.StatusCode)
	}
	return &buffered{conn, reader}, nil
}

// buffered is a connection of which the first bytes may have been read already: a
// server over HTTP/2 speaks first.
type buffered struct {
	net.Conn

	reader *bufio.Reader
}

func (b *buffered) Read(p []byte) (int, error) { return b.reader.Read(p) }
