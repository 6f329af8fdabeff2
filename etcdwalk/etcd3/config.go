package etcd3

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"
)

// ErrInsecureTransport refuses to speak plain text to another machine without
// Config.InsecureTransport.
var ErrInsecureTransport = errors.New("plain text to another machine is refused")

// Config says how to reach a cluster. Its names and meanings are etcdctl's. All
// but Endpoints may be left out.
type Config struct {
	// Endpoints are of the forms host:port, http://, https:// and unix://.
	// Without a scheme it is TLS that is spoken if any of the fields about TLS
	// is set.
	Endpoints []string

	CACert     string // PEM file; empty: the system's authorities
	Cert, Key  string // PEM files of the client certificate
	ServerName string // to verify instead of the endpoint's host

	InsecureSkipTLSVerify bool
	InsecureTransport     bool // allow plain text to other machines

	Username string
	Password func() string // a function, so that printing a Config cannot show it

	DialTimeout      time.Duration // for the first answer; 0: 2 s
	CommandTimeout   time.Duration // for any other answer; 0: 5 s
	KeepaliveTime    time.Duration // 0: 10 s, the least that gRPC allows
	KeepaliveTimeout time.Duration // 0: 5 s
	RetryBudget      time.Duration // for tries without progress; 0: 30 s

	MaxRecvBytes int          // per message, more for a single larger value; 0: 16 MiB
	Log          *slog.Logger // told of paths chosen and of retries; nil: nobody
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.DialTimeout, 2 * time.Second},
		{&c.CommandTimeout, 5 * time.Second},
		{&c.KeepaliveTime, 10 * time.Second},
		{&c.KeepaliveTimeout, 5 * time.Second},
		{&c.RetryBudget, 30 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.MaxRecvBytes == 0 {
		c.MaxRecvBytes = 16 << 20
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// password is the user's password; empty without a user.
func (c Config) password() (string, error) {
	if c.Username == "" {
		return "", nil
	}
	if c.Password != nil {
		if p := c.Password(); p != "" {
			return p, nil
		}
	}
	// etcd's client would silently go on without authentication.
	return "", fmt.Errorf("user %q needs a password, and there is none", c.Username)
}

// An endpoint is one of Config.Endpoints, taken apart.
type endpoint struct {
	text             string // as it was given
	network, address string // to dial
	host             string // to verify, and to name to the server
	secure           bool   // TLS
}

// String is the endpoint with a scheme that leaves nothing to etcd's client to
// guess.
func (e endpoint) String() string {
	scheme := "http"
	if e.network == "unix" {
		scheme = "unix"
	}
	if e.secure {
		scheme += "s"
	}
	return scheme + "://" + e.address
}

// local tells whether what is sent stays on this machine.
func (e endpoint) local() bool {
	ip := net.ParseIP(e.host)
	return e.network == "unix" || e.host == "localhost" || ip != nil && ip.IsLoopback()
}

// endpoints takes all endpoints apart and checks that they go together.
func (c Config) endpoints() ([]endpoint, error) {
	if len(c.Endpoints) == 0 {
		return nil, errors.New("no etcd endpoint is given")
	}
	var all []endpoint
	for _, text := range c.Endpoints {
		e, err := c.endpoint(strings.TrimSpace(text))
		if err != nil {
			return nil, err
		}
		if !e.secure && !e.local() && !c.InsecureTransport {
			return nil, fmt.Errorf("endpoint %s: %w", e.text, ErrInsecureTransport)
		}
		if e.secure != (len(all) > 0 && all[0].secure) && len(all) > 0 {
			return nil, fmt.Errorf("endpoints %s and %s: TLS and plain text do not mix", all[0].text, e.text)
		}
		all = append(all, e)
	}
	return all, nil
}

func (c Config) endpoint(text string) (endpoint, error) {
	e := endpoint{text: text, network: "tcp"}
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		scheme, rest = "", text
		e.secure = c.CACert != "" || c.Cert != "" || c.Key != "" || c.ServerName != "" || c.InsecureSkipTLSVerify
	}
	switch scheme {
	case "unix", "unixs":
		e.network, e.address, e.host, e.secure = "unix", rest, "localhost", scheme == "unixs"
		return e, nil
	case "http", "https":
		e.secure = scheme == "https"
	case "":
	default:
		// Not shown, since it may hold a password.
		return e, errors.New("an endpoint has an unknown scheme; known are http, https and unix")
	}
	u, err := url.Parse("any://" + rest)
	if err != nil || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return e, errors.New("an endpoint is not of the form host:port, http://host:port, https://host:port or unix://path")
	}
	if e.host = u.Hostname(); e.host == "" || u.Port() == "" {
		return e, fmt.Errorf("endpoint %s: host and port are needed", text)
	}
	e.address = u.Host
	return e, nil
}
