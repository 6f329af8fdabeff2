package flags

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd2"
)

// A Connection is the flags that name a cluster, spelt as etcdctl spells them.
type Connection struct {
	s *Settings

	endpoints                     []string
	caCert, cert, key             string
	user                          string
	password                      string // refused: argv can be read by everybody
	passwordFile                  string
	dialTimeout, commandTimeout   time.Duration
	keepaliveTime, keepaliveLimit time.Duration
	skipVerify, insecure          bool
	discovery                     connect.Discovery

	api       etcdwalk.API // empty: auto
	maxAnswer int64        // bytes of an answer of API v2
}

const defaultEndpoint = "127.0.0.1:2379"

// AddFlags adds the flags.
func (c *Connection) AddFlags(set *pflag.FlagSet, s *Settings) {
	c.s = s
	group(set, titleConnection, "", func(own *pflag.FlagSet) {
		own.StringSliceVar(&c.endpoints, "endpoints", []string{defaultEndpoint}, "etcd endpoints `HOST:PORT`, comma separated")
		own.StringVar(&c.caCert, "cacert", "", "`FILE` with the CA certificates to check the server with")
		own.StringVar(&c.cert, "cert", "", "`FILE` with the client certificate")
		own.StringVar(&c.key, "key", "", "`FILE` with the key of the client certificate")
		own.StringVar(&c.user, "user", "", "etcd user `NAME`; its password is asked for")
		own.StringVar(&c.passwordFile, "password-file", "", "`FILE` with the password of the etcd user, mode 0600")
		own.StringVar(&c.password, "password", "", "refused: everybody can read the command line; use --password-file")
		_ = own.MarkHidden("password") // the flag was defined above
		etcdctls(own)
		own.Lookup("password-file").Annotations = nil // etcdctl has none
	})
	group(set, titleConnection, topicConnection, func(own *pflag.FlagSet) {
		own.DurationVar(&c.dialTimeout, "dial-timeout", 5*time.Second, "time for the first answer of the cluster")
		own.DurationVar(&c.commandTimeout, "command-timeout", 10*time.Second, "time for each request")
		own.DurationVar(&c.keepaliveTime, "keepalive-time", 10*time.Second, "time between keepalive pings")
		own.DurationVar(&c.keepaliveLimit, "keepalive-timeout", 5*time.Second, "time for the answer to a keepalive ping")
		own.BoolVar(&c.skipVerify, "insecure-skip-tls-verify", false, "do not check the server's certificate; warns on each run")
		own.BoolVar(&c.insecure, "insecure-transport", false, "allow plain text to an endpoint that is not this machine")
		own.StringVar(&c.discovery.Domain, "discovery-srv", "", "`DOMAIN` whose SRV records name the endpoints, if nothing else does")
		own.StringVar(&c.discovery.Name, "discovery-srv-name", "", "`NAME` of the service in the SRV records")
		own.BoolVar(&c.discovery.Insecure, "insecure-discovery", false, "accept plain-text endpoints from SRV records")
		etcdctls(own)
		Enum(own, &c.api, "api", "etcd API that holds the cluster",
			Choice[etcdwalk.API]{Word: "auto", Help: "look which of them holds it"},
			Choice[etcdwalk.API]{Word: "v3", Value: etcdwalk.V3, Help: "etcd 3"}, Choice[etcdwalk.API]{Word: "v2", Value: etcdwalk.V2, Help: "the API of etcd 2, served up to etcd 3.5"})
		own.Int64Var(&c.maxAnswer, "max-v2-answer", etcd2.DefaultMaxAnswer, "largest API v2 response to accept, in `BYTES` (v2 cannot paginate)")
	})
}

// typed is a flag that was typed to say which cluster is meant, or who asks it; empty: none was.
func (c *Connection) typed() string {
	for _, flag := range []string{"endpoints", "discovery-srv", "cacert", "cert", "key", "user", "password-file"} {
		if c.s.Typed(flag) {
			return flag
		}
	}
	return ""
}

// etcdctls marks flags that etcdctl has too.
func etcdctls(set *pflag.FlagSet) {
	set.VisitAll(func(f *pflag.Flag) { f.Annotations = map[string][]string{etcdctlFlag: nil} })
}

func (c *Connection) config(ctx context.Context) (connect.Config, error) {
	user, password, err := c.credentials(ctx)
	if err != nil {
		return connect.Config{}, err
	}
	for flag, d := range map[string]time.Duration{
		"dial-timeout": c.dialTimeout, "command-timeout": c.commandTimeout,
		"keepalive-time": c.keepaliveTime, "keepalive-timeout": c.keepaliveLimit,
	} {
		if d <= 0 {
			return connect.Config{}, console.Usagef("--%s=%s: it takes a time above 0", flag, d)
		}
	}
	if (c.cert == "") != (c.key == "") {
		return connect.Config{}, console.Usagef("--cert and --key go together")
	}
	endpoints, serverName := c.endpoints, ""
	if c.discovers() {
		if endpoints, err = c.discovery.Endpoints(ctx); err != nil {
			return connect.Config{}, err // DNS does not answer, or its records cannot be used
		}
		serverName = c.discovery.ServerName()
	}
	return connect.Config{
		Endpoints: endpoints,
		CACert:    c.caCert, Cert: c.cert, Key: c.key, ServerName: serverName,
		InsecureSkipTLSVerify: c.skipVerify, InsecureTransport: c.insecure,
		Username: user, Password: password.Reveal,
		DialTimeout: c.dialTimeout, CommandTimeout: c.commandTimeout,
		KeepaliveTime: c.keepaliveTime, KeepaliveTimeout: c.keepaliveLimit,
		Log: c.s.Log(), Warn: c.s.WarnOnce(),
	}, nil
}

// credentials finds the user's password. etcdctl takes name:password as one
// word; here that is allowed in the environment only.
func (c *Connection) credentials(ctx context.Context) (user string, password console.Secret, err error) {
	if c.password != "" && c.s.Origin("password") == "--password" {
		return "", console.Secret{}, console.Usagef("--password is refused: everybody on this machine can read it (ps); use --password-file, KUBEFERRY_PASSWORD or the prompt")
	}
	user, inline, both := strings.Cut(c.user, ":")
	switch origin := c.s.Origin("user"); {
	case both && (origin == "KUBEFERRY_USER" || origin == "ETCDCTL_USER"):
		return user, console.NewSecret(inline), nil
	case both && origin != "--user":
		return "", console.Secret{}, console.Configf("the user of %s takes the name alone; name a file with password_file", origin)
	case both:
		return "", console.Secret{}, console.Usagef("--user takes the name alone: everybody on this machine can read a password there (ps); use --password-file, KUBEFERRY_PASSWORD or the prompt")
	}
	switch {
	case user == "":
		return "", console.Secret{}, nil
	case c.passwordFile != "":
		password, err = console.ReadSecretFile("password", c.passwordFile, c.s.Shell)
	case c.password != "": // from KUBEFERRY_PASSWORD or ETCDCTL_PASSWORD
		password = console.NewSecret(c.password)
	default:
		password, err = c.s.AskSecret(ctx, console.Question{Subject: "password of etcd user " + user, Text: "Password of etcd user " + user + ":", Instead: "--password-file"})
	}
	return user, password, err
}
