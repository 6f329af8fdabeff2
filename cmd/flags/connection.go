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
	own := pflag.NewFlagSet("connection", pflag.ContinueOnError)
	own.StringSliceVar(&c.endpoints, "endpoints", []string{defaultEndpoint}, "etcd endpoints, comma separated")
	own.StringVar(&c.caCert, "cacert", "", "CA bundle that the server's certificate is checked with")
	own.StringVar(&c.cert, "cert", "", "client certificate")
	own.StringVar(&c.key, "key", "", "key of the client certificate")
	own.StringVar(&c.user, "user", "", "etcd user name; the password comes from --password-file, KUBEFERRY_PASSWORD or a prompt")
	own.StringVar(&c.password, "password", "", "refused: everybody can read the command line; use --password-file")
	own.DurationVar(&c.dialTimeout, "dial-timeout", 5*time.Second, "time for the first answer of the cluster")
	own.DurationVar(&c.commandTimeout, "command-timeout", 10*time.Second, "time for each request")
	own.DurationVar(&c.keepaliveTime, "keepalive-time", 10*time.Second, "time between keepalive pings")
	own.DurationVar(&c.keepaliveLimit, "keepalive-timeout", 5*time.Second, "time for the answer to a keepalive ping")
	own.BoolVar(&c.skipVerify, "insecure-skip-tls-verify", false, "do not check the server's certificate; warns on each run")
	own.BoolVar(&c.insecure, "insecure-transport", false, "allow plain text to an endpoint that is not this machine")
	own.StringVar(&c.discovery.Domain, "discovery-srv", "", "domain whose SRV records name the endpoints, where nothing else does")
	own.StringVar(&c.discovery.Name, "discovery-srv-name", "", "name of the service in the SRV records")
	own.BoolVar(&c.discovery.Insecure, "insecure-discovery", false, "take endpoints over plain text from SRV records")
	own.VisitAll(func(f *pflag.Flag) { f.Annotations = map[string][]string{etcdctlFlag: nil} })
	Enum(set, &c.api, "api", "etcd API that holds the cluster",
		Choice[etcdwalk.API]{Word: "auto", Help: "look which of them holds it"},
		Choice[etcdwalk.API]{Word: "v3", Value: etcdwalk.V3, Help: "etcd 3"}, Choice[etcdwalk.API]{Word: "v2", Value: etcdwalk.V2, Help: "the API of etcd 2, up to etcd 3.5"})
	set.Int64Var(&c.maxAnswer, "max-v2-answer", etcd2.DefaultMaxAnswer, "most bytes that API v2 may answer at once; it has no pages")
	own.StringVar(&c.passwordFile, "password-file", "", "file with the etcd user's password, mode 0600")
	_ = own.MarkHidden("password") // the flag was defined above
	set.AddFlagSet(own)
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
