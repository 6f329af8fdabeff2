package s3

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/s3utils"
	"gopkg.in/ini.v1"
)

// ErrPlainHTTP: the endpoint is not on this machine and has no TLS, so everybody
// on the way could read and alter what is sent.
var ErrPlainHTTP = errors.New("plain http is for this machine only")

// A Location is a bucket, and the prefix of the objects in it.
type Location struct {
	Bucket string
	Prefix string // without a slash at either end; empty: the whole bucket
	// Endpoint and Region are what the address says of them, or empty.
	Endpoint, Region string
}

// Parse takes an address apart: s3://bucket/prefix?endpoint=…&region=…. Bucket and
// prefix are taken as they are, without any escapes.
func Parse(address string) (Location, error) {
	rest, ok := strings.CutPrefix(address, "s3://")
	if !ok {
		return Location{}, fmt.Errorf("parse the address: it does not begin with s3://: %w", fs.ErrInvalid)
	}
	rest, query, _ := strings.Cut(rest, "?")
	var at Location
	at.Bucket, at.Prefix, _ = strings.Cut(rest, "/")
	if strings.ContainsAny(at.Bucket, "@:") { // which is not shown: it may be a secret
		return Location{}, fmt.Errorf("parse the address: it begins with s3://BUCKET, and has no place for credentials: %w", fs.ErrInvalid)
	}
	if err := s3utils.CheckValidBucketName(at.Bucket); err != nil {
		return Location{}, fmt.Errorf("parse the address: the bucket %q: %w: %w", at.Bucket, fs.ErrInvalid, err)
	}
	at.Prefix = strings.TrimSuffix(at.Prefix, "/")
	if at.Prefix != "" {
		if err := checkName(at.Prefix, at.Prefix); err != nil {
			return Location{}, fmt.Errorf("parse the address: the prefix %q: %w", at.Prefix, err)
		}
	}
	return at, at.parseQuery(query)
}

func (at *Location) parseQuery(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return fmt.Errorf("parse the address: what follows the question mark: %w", fs.ErrInvalid)
	}
	for name, value := range values {
		switch name {
		case "endpoint":
			at.Endpoint = value[0]
		case "region":
			at.Region = value[0]
		default:
			return fmt.Errorf("parse the address: %q is neither endpoint nor region: %w", name, fs.ErrInvalid)
		}
	}
	return nil
}

// String is the address without endpoint and region.
func (at Location) String() string {
	return strings.TrimSuffix("s3://"+at.Bucket+"/"+at.Prefix, "/")
}

// Keys are credentials that were given and not found. They print as [redacted].
type Keys struct{ AccessKey, SecretKey, SessionToken string }

const redacted = "[redacted]"

// String does not tell.
func (Keys) String() string { return redacted }

// GoString does not tell.
func (Keys) GoString() string { return redacted }

// MarshalText does not tell.
func (Keys) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue does not tell.
func (Keys) LogValue() slog.Value { return slog.StringValue(redacted) }

// Config says how a store is reached and what its objects are to be like. The zero
// value is AWS, with what its environment variables and files say.
type Config struct {
	// Endpoint is https://HOST[:PORT]. Empty: the address's, AWS_ENDPOINT_URL_S3,
	// AWS_ENDPOINT_URL, the profile's, AWS itself.
	Endpoint string
	// Region is empty: the address's, AWS_REGION, AWS_DEFAULT_REGION, the profile's;
	// then AWS is asked, and another store is taken to be us-east-1.
	Region string
	// CACert is a PEM file of further authorities. Empty: AWS_CA_BUNDLE.
	CACert string
	// Addressing is "path" or "host"; empty: host with AWS, else path.
	Addressing string
	// AllowHTTP allows plain http to other machines.
	AllowHTTP bool

	// Keys, if there are any, are the credentials. Else Profile, CredentialsFile or
	// both say where they are; else they are looked for: see [Open].
	Keys                     Keys
	Profile, CredentialsFile string

	// SpoolDir is the folder of the spools. Empty: the system's temporary folder.
	SpoolDir string
	// Threshold is the size in bytes beyond which parts go up before Commit; 0:
	// 64 MiB.
	Threshold int64
	// PartSize is the size of a part in bytes, at least 5 MiB for AWS; 0: 16 MiB.
	// There are at most 10,000 parts.
	PartSize int64

	// Encryption is "AES256" or "aws:kms", with KMSKey or the bucket's own key.
	// Empty: what the bucket does.
	Encryption, KMSKey string
	// LockMode is "GOVERNANCE" or "COMPLIANCE", until RetainUntil. Empty: what the
	// bucket does.
	LockMode     string
	RetainUntil  time.Time
	StorageClass string
	Tags         map[string]string

	// RetryBudget is how long an operation is tried again; 0: a minute. Before the
	// store has answered for the first time it is five seconds at most.
	RetryBudget time.Duration
	// StallTimeout is how long a connection may stand still; 0: a minute.
	StallTimeout time.Duration
	// Log is told of what is tried again; nil: nobody is.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Threshold == 0 {
		c.Threshold = 64 << 20
	}
	if c.PartSize == 0 {
		c.PartSize = 16 << 20
	}
	if c.RetryBudget == 0 {
		c.RetryBudget = time.Minute
	}
	if c.StallTimeout == 0 {
		c.StallTimeout = time.Minute
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// A target is where the store is.
type target struct {
	host       string // with its port, if it has one
	secure     bool
	region     string
	caCert     string
	addressing string
	aws        bool
}

func (t target) String() string {
	if t.secure {
		return "https://" + t.host
	}
	return "http://" + t.host
}

const awsHost = "s3.amazonaws.com"

// resolve finds out where the store is: from the address, the configuration, the
// environment and the profile, in this order.
func (c Config) resolve(at Location) (target, error) {
	switch c.Addressing {
	case "", "path", "host":
	default:
		return target{}, fmt.Errorf("the addressing %q is neither path nor host: %w", c.Addressing, fs.ErrInvalid)
	}
	p, err := c.readProfile()
	if err != nil {
		return target{}, err
	}
	t := target{
		region:     first(at.Region, c.Region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"), p.region),
		caCert:     first(c.CACert, os.Getenv("AWS_CA_BUNDLE"), p.caCert),
		addressing: c.Addressing,
	}
	endpoint := first(at.Endpoint, c.Endpoint, os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL"), p.endpoint)
	if endpoint == "" {
		t.host, t.secure, t.aws = awsHost, true, true
		return t, nil
	}
	if err := t.setEndpoint(endpoint, c.AllowHTTP); err != nil {
		return target{}, err
	}
	t.aws = s3utils.IsAmazonEndpoint(url.URL{Host: t.host})
	if t.region == "" && !t.aws {
		t.region = "us-east-1"
	}
	return t, nil
}

func (t *target) setEndpoint(endpoint string, allowHTTP bool) error {
	if !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil, u.User != nil: // neither is shown: there may be a password in it
		return fmt.Errorf("the endpoint is not of the form https://HOST:PORT: %w", fs.ErrInvalid)
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "", strings.Trim(u.Path, "/") != "", u.RawQuery != "":
		return fmt.Errorf("the endpoint %q is not of the form https://HOST:PORT: %w", endpoint, fs.ErrInvalid)
	case u.Scheme == "http" && !allowHTTP && !loopback(u.Hostname()):
		return fmt.Errorf("the endpoint %q: %w", endpoint, ErrPlainHTTP)
	}
	t.host, t.secure = u.Host, u.Scheme == "https"
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// A profile is what AWS's files say of a store beside credentials.
type profile struct{ region, endpoint, caCert string }

// readProfile reads AWS's configuration file. That it is absent is no error.
func (c Config) readProfile() (profile, error) {
	path := awsFile("AWS_CONFIG_FILE", "config")
	file, err := ini.LoadSources(ini.LoadOptions{Loose: true, AllowNestedValues: true}, path)
	if err != nil {
		return profile{}, fmt.Errorf("read %s: %s: %w", path, unparsable(err), fs.ErrInvalid)
	}
	name := first(c.Profile, os.Getenv("AWS_PROFILE"), "default")
	section := file.Section("profile " + name)
	if name == "default" && file.HasSection(name) {
		section = file.Section(name)
	}
	p := profile{region: section.Key("region").String(), endpoint: section.Key("endpoint_url").String(), caCert: section.Key("ca_bundle").String()}
	if services := section.Key("services").String(); services != "" {
		for _, nested := range file.Section("services " + services).Key("s3").NestedValues() {
			key, value, _ := strings.Cut(nested, "=")
			if strings.TrimSpace(key) == "endpoint_url" {
				p.endpoint = strings.TrimSpace(value)
			}
		}
	}
	return p, nil
}

// unreadable tells why the file of credentials cannot be read; empty: it can, or is
// absent.
func (c Config) unreadable() string {
	path := first(c.CredentialsFile, awsFile("AWS_SHARED_CREDENTIALS_FILE", "credentials"))
	if _, err := ini.LoadSources(ini.LoadOptions{Loose: true}, path); err != nil {
		return path + ": " + unparsable(err)
	}
	return ""
}

// awsFile is the path of one of AWS's files.
func awsFile(variable, name string) string {
	home, err := os.UserHomeDir()
	if err != nil {
		home = string(filepath.Separator) // where there is no such file
	}
	return first(os.Getenv(variable), filepath.Join(home, ".aws", name))
}

// unparsable tells why a file of AWS's cannot be read, without quoting it: the
// line that is wrong may be a secret.
func unparsable(err error) string {
	var e *fs.PathError
	if errors.As(err, &e) {
		return e.Err.Error()
	}
	return "it is not an INI file"
}
