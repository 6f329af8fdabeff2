package connect

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kubeferry/kubeferry/etcdwalk"
)

// ErrConfig: a configuration that cannot work.
var ErrConfig = errors.New("a configuration that cannot work")

// ErrInsecureTransport refuses to speak plain text to another machine without
// Config.InsecureTransport. It is an etcdwalk.ErrRefused.
var ErrInsecureTransport = fmt.Errorf("plain text to another machine is refused%.0w", etcdwalk.ErrRefused)

// wrong is an [ErrConfig].
func wrong(format string, args ...any) error {
	return fmt.Errorf("%w%.0w", fmt.Errorf(format, args...), ErrConfig)
}

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
	// Warn is told, in one line, of what a user should hear of although the run goes
	// on, such as an endpoint that is left out. It may be called by several at once;
	// nil: nobody is told.
	Warn func(warning string)
}

// WithDefaults fills in what was left out.
func (c Config) WithDefaults() Config {
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
	if c.Warn == nil {
		c.Warn = func(string) {}
	}
	return c
}

// UserPassword is the user's password; empty without a user.
func (c Config) UserPassword() (string, error) {
	if c.Username == "" {
		return "", nil
	}
	if c.Password != nil {
		if p := c.Password(); p != "" {
			return p, nil
		}
	}
	// etcd's clients would silently go on without authentication.
	return "", wrong("user %q needs a password, and there is none", c.Username)
}

// An Endpoint is one of Config.Endpoints, taken apart.
type Endpoint struct {
	Text             string // as it was given
	Network, Address string // to dial
	Host             string // to verify, and to name to the server
	Secure           bool   // TLS
}

// String is the endpoint with a scheme that leaves nothing to etcd's clients to
// guess.
func (e Endpoint) String() string {
	scheme := "http"
	if e.Network == "unix" {
		scheme = "unix"
	}
	if e.Secure {
		scheme += "s"
	}
	return scheme + "://" + e.Address
}

// LeftOut is the warning about an endpoint that does not serve beside others.
func (e Endpoint) LeftOut(reason string) string {
	return fmt.Sprintf("endpoint %s is left out: %s", e.Text, reason)
}

// local tells whether what is sent stays on this machine.
func (e Endpoint) local() bool {
	ip := net.ParseIP(e.Host)
	return e.Network == "unix" || e.Host == "localhost" || ip != nil && ip.IsLoopback()
}

// Exposed are the endpoints to which what is said can be read, and changed, by who
// is on the way: plain text to another machine.
func Exposed(endpoints []Endpoint) []Endpoint {
	return slices.DeleteFunc(slices.Clone(endpoints), func(e Endpoint) bool { return e.Secure || e.local() })
}

// Parse takes all endpoints apart and checks that they go together: plain text to
// another machine is an [ErrInsecureTransport].
func (c Config) Parse() ([]Endpoint, error) {
	if len(c.Endpoints) == 0 {
		return nil, wrong("no etcd endpoint is given")
	}
	var all []Endpoint
	for _, text := range c.Endpoints {
		e, err := c.endpoint(strings.TrimSpace(text))
		if err != nil {
			return nil, err
		}
		if !e.Secure && !e.local() && !c.InsecureTransport {
			return nil, fmt.Errorf("endpoint %s: %w", e.Text, ErrInsecureTransport)
		}
		if e.Secure != (len(all) > 0 && all[0].Secure) && len(all) > 0 {
			return nil, wrong("endpoints %s and %s: TLS and plain text do not mix", all[0].Text, e.Text)
		}
		all = append(all, e)
	}
	return all, nil
}

// zoned is an address with a zone, and nothing before it: what there is may be a
// secret, and is refused in its turn.
var zoned = regexp.MustCompile(`^\[[0-9A-Fa-f:.]+%[^\]]*\]`)

func (c Config) endpoint(text string) (Endpoint, error) {
	e := Endpoint{Text: text, Network: "tcp"}
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		scheme, rest = "", text
		e.Secure = c.CACert != "" || c.Cert != "" || c.Key != "" || c.ServerName != "" || c.InsecureSkipTLSVerify
	}
	switch scheme {
	case "unix", "unixs":
		e.Network, e.Address, e.Host, e.Secure = "unix", rest, "localhost", scheme == "unixs"
		return e, nil
	case "http", "https":
		e.Secure = scheme == "https"
	case "":
	default:
		// Not shown, since it may hold a password.
		return e, wrong("an endpoint has an unknown scheme; known are http, https and unix")
	}
	if zoned.MatchString(rest) {
		return e, wrong("an endpoint has an IPv6 zone, which cannot be used; name an address without one, or a host")
	}
	u, err := url.Parse("any://" + rest)
	if err != nil || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return e, wrong("an endpoint is not of the form host:port, http://host:port, https://host:port or unix://path")
	}
	if e.Host = u.Hostname(); e.Host == "" || u.Port() == "" {
		return e, wrong("endpoint %s: host and port are needed", text)
	}
	e.Address = u.Host
	return e, nil
}
