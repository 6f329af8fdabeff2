package s3

import (
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/encrypt"
	"github.com/minio/minio-go/v7/pkg/s3utils"
	"github.com/minio/minio-go/v7/pkg/tags"

	"github.com/kubeferry/kubeferry/remote"
)

// ErrPlainHTTP: the endpoint is not on this machine and has no TLS, so everybody
// on the way could read and alter what is sent.
var ErrPlainHTTP = fmt.Errorf("plain http is for this machine only%.0w", remote.ErrRefused)

// A Location is a bucket, and the prefix of the objects in it.
type Location struct {
	Bucket string
	Prefix string // without a slash at either end; empty: the whole bucket
	// Endpoint and Region are what the address says of them, or empty.
	Endpoint, Region string

	query string // as it was typed
}

// Scheme is what every address begins with.
const Scheme = "s3://"

// Parse takes an address apart: s3://bucket/prefix?endpoint=…&region=…. Bucket and
// prefix are taken as they are, without any escapes.
func Parse(address string) (Location, error) {
	rest, ok := strings.CutPrefix(address, Scheme)
	if !ok {
		return Location{}, fmt.Errorf("parse the address: it does not begin with s3://%.0w", fs.ErrInvalid)
	}
	var at Location
	rest, at.query, _ = strings.Cut(rest, "?")
	at.Bucket, at.Prefix, _ = strings.Cut(rest, "/")
	if strings.ContainsAny(at.Bucket, "@:") { // which is not shown: it may be a secret
		return Location{}, fmt.Errorf("parse the address: it begins with s3://BUCKET, and has no place for credentials%.0w", fs.ErrInvalid)
	}
	if err := s3utils.CheckValidBucketName(at.Bucket); err != nil {
		return Location{}, fmt.Errorf("parse the address: the bucket %q: %w%.0w", at.Bucket, err, fs.ErrInvalid)
	}
	at.Prefix = strings.TrimSuffix(at.Prefix, "/")
	if at.Prefix != "" {
		if err := checkName(at.Prefix, at.Prefix); err != nil {
			return Location{}, fmt.Errorf("parse the address: the prefix %q: %w", at.Prefix, err)
		}
	}
	return at, at.parseQuery()
}

func (at *Location) parseQuery() error {
	values, err := url.ParseQuery(at.query)
	if err != nil {
		return fmt.Errorf("parse the address: what follows the question mark is no query (name=value&…)%.0w", fs.ErrInvalid)
	}
	for name, value := range values {
		switch name {
		case "endpoint":
			if at.Endpoint = value[0]; strings.Contains(at.Endpoint, "@") { // which is not shown: it may be a secret
				return fmt.Errorf("parse the address: the endpoint has no place for credentials%.0w", fs.ErrInvalid)
			}
		case "region":
			at.Region = value[0]
		default:
			return fmt.Errorf("parse the address: %q is neither endpoint nor region%.0w", name, fs.ErrInvalid)
		}
	}
	return nil
}

// String is the address without endpoint and region.
func (at Location) String() string {
	return strings.TrimSuffix(Scheme+at.Bucket+"/"+at.Prefix, "/")
}

// Address is the whole address, with what it says of endpoint and region: Parse makes
// the same location of it.
func (at Location) Address() string {
	if at.query == "" {
		return at.String()
	}
	return at.String() + "?" + at.query
}

// Join is the location of what has that name here.
func (at Location) Join(name string) Location {
	at.Prefix = strings.TrimPrefix(at.Prefix+"/"+name, "/")
	return at
}

// Split is the location that this one lies in, and its name there; the name is empty
// for a whole bucket.
func (at Location) Split() (Location, string) {
	var name string
	at.Prefix, name = path.Split(at.Prefix)
	at.Prefix = strings.TrimSuffix(at.Prefix, "/")
	return at, name
}

// Keys are credentials that were given and not found. Functions tell the secret ones,
// so that they print under no verb; nil: there is none.
type Keys struct {
	AccessKey               string
	SecretKey, SessionToken func() string
}

// none tells whether no keys were given.
func (k Keys) none() bool { return k.AccessKey == "" && k.SecretKey == nil && k.SessionToken == nil }

// tell is what a function tells; nil tells nothing.
func tell(secret func() string) string {
	if secret == nil {
		return ""
	}
	return secret()
}

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

// minPart is the size in bytes of S3's smallest part.
const minPart = 5 << 20

// check finds what would else be found when the first object is published.
func (c Config) check() error {
	switch {
	case c.Addressing != "" && c.Addressing != "path" && c.Addressing != "host":
		return fmt.Errorf("the addressing %q is neither path nor host%.0w", c.Addressing, fs.ErrInvalid)
	case c.Encryption != "" && c.Encryption != "AES256" && c.Encryption != "aws:kms":
		return fmt.Errorf("the encryption %q is neither AES256 nor aws:kms%.0w", c.Encryption, fs.ErrInvalid)
	case c.KMSKey != "" && c.Encryption != "aws:kms":
		return fmt.Errorf("a KMS key without the encryption aws:kms%.0w", fs.ErrInvalid)
	case c.LockMode != "" && c.LockMode != "GOVERNANCE" && c.LockMode != "COMPLIANCE":
		return fmt.Errorf("the lock mode %q is neither GOVERNANCE nor COMPLIANCE%.0w", c.LockMode, fs.ErrInvalid)
	case (c.LockMode == "") != c.RetainUntil.IsZero():
		return fmt.Errorf("a lock has a mode and a time, and not one of them%.0w", fs.ErrInvalid)
	case c.PartSize < minPart:
		return fmt.Errorf("parts of %d bytes are smaller than S3's smallest, %d%.0w", c.PartSize, minPart, fs.ErrInvalid)
	}
	if _, err := tags.NewTags(c.Tags, true); err != nil { // else minio-go would drop them without a word
		return fmt.Errorf("the tags: %w%.0w", err, fs.ErrInvalid)
	}
	return nil
}

// encryption is what the store is asked for.
func (c Config) encryption() encrypt.ServerSide {
	if c.Encryption == "AES256" {
		return encrypt.NewSSE()
	}
	if c.Encryption == "aws:kms" {
		sse, _ := encrypt.NewSSEKMS(c.KMSKey, nil) // fails for contexts only, of which there is none
		return sse
	}
	return nil
}
