package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/minio/minio-go/v7"
)

// firstBudget is how long a store is tried that has never answered.
const firstBudget = 5 * time.Second

// connect makes the client. It sends nothing.
func (s *Store) connect(t target) (*minio.Core, error) {
	trusted, err := authorities(t.caCert)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment, // which leaves this machine out
		DialContext:         stalling(s.config.StallTimeout),
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: trusted},
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: 8,
		IdleConnTimeout:     30 * time.Second,
		DisableCompression:  true, // what is stored is what is read
	}
	return minio.NewCore(t.host, &minio.Options{
		Creds: s.credentials, Secure: t.secure, Region: t.region,
		Transport:    &answers{transport, s},
		BucketLookup: map[string]minio.BucketLookupType{"path": minio.BucketLookupPath, "host": minio.BucketLookupDNS}[t.addressing],
		MaxRetries:   1, // try is what tries again: it knows what is harmless to repeat
	})
}

// authorities are the system's and those of the file; nil: the system's.
func authorities(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the authorities: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read the authorities: %s holds no certificate%.0w", path, fs.ErrInvalid)
	}
	return pool, nil
}

// stalling dials connections that fail when they stand still.
func stalling(limit time.Duration) func(context.Context, string, string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: min(limit, 10*time.Second), KeepAlive: 30 * time.Second}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &stallingConn{conn, limit}, nil
	}
}

// A stallingConn puts the deadline of both directions off with each call, since an
// answer may be waited for while a body is still sent.
type stallingConn struct {
	net.Conn
	limit time.Duration
}

func (c *stallingConn) Read(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *stallingConn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// try makes a request until it succeeds, fails for good, or has failed for as long
// as the budget says, from the first failure on: a long request that breaks off is
// not the last one for having been long. The request must be harmless to repeat.
func (s *Store) try(ctx context.Context, what string, request func(ctx context.Context) error) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 50*time.Millisecond, 5*time.Second
	var once forgiven
	for begun, failed := time.Now(), false; ; failed = true {
		err := request(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !transient(err) && !s.forgive(err, &once):
			return err
		}
		budget := s.config.RetryBudget
		if !s.reached.Load() {
			budget = min(budget, firstBudget)
		} else if !failed {
			begun = time.Now()
		}
		wait := pause.NextBackOff()
		if time.Since(begun)+wait > budget {
			return err
		}
		s.config.Log.Info("trying again", "what", what, "in", wait.Round(time.Millisecond), "cause", reason(err))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// forgiven are the errors that are tried again once.
type forgiven struct{ expiry, damage, strange bool }

// forgive tells whether this error is one of them, for the first time.
func (s *Store) forgive(err error, once *forgiven) bool {
	switch {
	case expired(err) && !once.expiry:
		once.expiry = true
		s.credentials.Expire() // they are looked for again
		return true
	case errors.As(err, new(*damage)) && !once.damage:
		once.damage = true
		return true
	case errors.As(err, new(*strange)) && !once.strange:
		once.strange = true
		return true
	}
	return false
}

func expired(err error) bool {
	code := response(err).Code
	return code == "ExpiredToken" || code == "ExpiredTokenException"
}

// settling is a context of its own for what must be done though ctx has ended: to
// clear away.
func settling(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
}
