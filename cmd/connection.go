package cmd

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/kubeferry/kubeferry/etcdwalk/connect"
	"github.com/kubeferry/kubeferry/etcdwalk/etcd2"
)

// A connection is the flags that name a cluster, spelt as etcdctl spells them.
type connection struct {
	endpoints                     []string
	caCert, cert, key             string
	user                          string
	password                      string // refused: argv can be read by everybody
	passwordFile                  string
	dialTimeout, commandTimeout   time.Duration
	keepaliveTime, keepaliveLimit time.Duration
	skipVerify, insecure          bool
	discovery                     connect.Discovery

	api       string
	maxAnswer int64 // bytes of an answer of API v2
}

const defaultEndpoint = "127.0.0.1:2379"

func (c *connection) addFlags(flags *pflag.FlagSet) {
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
	flags.StringVar(&c.api, "api", apiAuto, "etcd API that holds the cluster: v3, v2, or auto, which looks")
	flags.Int64Var(&c.maxAnswer, "max-v2-answer", etcd2.DefaultMaxAnswer, "most bytes that API v2 may answer at once; it has no pages")
	own.StringVar(&c.passwordFile, "password-file", "", "file with the etcd user's password, mode 0600")
	_ = own.MarkHidden("password") // the flag was defined above
	flags.AddFlagSet(own)
}

func (c *connection) resolve(ctx context.Context, p *printer, s *settings) (connect.Config, error) {
	user, password, err := c.credentials(ctx, s)
	if err != nil {
		return connect.Config{}, err
	}
	for flag, d := range map[string]time.Duration{
		"dial-timeout": c.dialTimeout, "command-timeout": c.commandTimeout,
		"keepalive-time": c.keepaliveTime, "keepalive-timeout": c.keepaliveLimit,
	} {
		if d <= 0 {
			return connect.Config{}, usagef("--%s=%s: it takes a time above 0", flag, d)
		}
	}
	if (c.cert == "") != (c.key == "") {
		return connect.Config{}, usagef("--cert and --key go together")
	}
	serverName := ""
	if c.discovery.Domain != "" && s.origin("endpoints") == "default" {
		if c.endpoints, err = c.discovery.Endpoints(ctx); err != nil {
			return connect.Config{}, err // DNS does not answer, or its records cannot be used
		}
		s.origins["endpoints"] = "the SRV records of " + c.discovery.Domain
		serverName = c.discovery.ServerName()
	}
	return connect.Config{
		Endpoints: c.endpoints,
		CACert:    c.caCert, Cert: c.cert, Key: c.key, ServerName: serverName,
		InsecureSkipTLSVerify: c.skipVerify, InsecureTransport: c.insecure,
		Username: user, Password: password.reveal,
		DialTimeout: c.dialTimeout, CommandTimeout: c.commandTimeout,
		KeepaliveTime: c.keepaliveTime, KeepaliveTimeout: c.keepaliveLimit,
		Log: p.log(), Warn: p.once(),
	}, nil
}

// credentials finds the user's password. etcdctl takes name:password as one
// word; here that is allowed in the environment only.
func (c *connection) credentials(ctx context.Context, s *settings) (user string, password secret, err error) {
	if c.password != "" && s.origin("password") == "--password" {
		return "", secret{}, usagef("--password is refused: everybody on this machine can read it (ps); use --password-file, KUBEFERRY_PASSWORD or the prompt")
	}
	user, inline, both := strings.Cut(c.user, ":")
	switch origin := s.origin("user"); {
	case both && (origin == "KUBEFERRY_USER" || origin == "ETCDCTL_USER"):
		return user, secret{inline}, nil
	case both && origin != "--user":
		return "", secret{}, configf("the user of %s takes the name alone; name a file with password_file", origin)
	case both:
		return "", secret{}, usagef("--user takes the name alone: everybody on this machine can read a password there (ps); use --password-file, KUBEFERRY_PASSWORD or the prompt")
	}
	switch {
	case user == "":
		return "", secret{}, nil
	case c.passwordFile != "":
		password, err = readSecretFile("password", c.passwordFile, s.sh)
	case c.password != "": // from KUBEFERRY_PASSWORD or ETCDCTL_PASSWORD
		password = secret{c.password}
	default:
		password, err = s.askSecret(ctx, question{"password of etcd user " + user, "Password of etcd user " + user + ":", "--password-file"})
	}
	return user, password, err
}

// log is where drivers tell what they do: on stderr with -v, else nowhere.
func (p *printer) log() *slog.Logger {
	switch {
	case !p.verbose:
		return slog.New(slog.DiscardHandler)
	case p.logFormat == "json":
		return slog.New(slog.NewJSONHandler(p.sh.stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	default:
		return slog.New(slog.NewTextHandler(p.sh.stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
}
