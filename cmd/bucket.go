package cmd

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/catalog"
	"github.com/kubeferry/kubeferry/remote/dir"
	"github.com/kubeferry/kubeferry/remote/s3"
)

// A bucket is the flags about how a place in S3 is reached.
type bucket struct {
	config s3.Config
}

func (b *bucket) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&b.config.Endpoint, "s3-endpoint", "", "URL of the S3 store (default AWS_ENDPOINT_URL_S3, the profile's, AWS)")
	flags.StringVar(&b.config.Region, "s3-region", "", "region of the bucket (default AWS_REGION, the profile's)")
	flags.StringVar(&b.config.CACert, "s3-cacert", "", "CA certificates of the S3 store, PEM (default AWS_CA_BUNDLE)")
	flags.StringVar(&b.config.Profile, "s3-profile", "", "profile of the AWS files with the credentials (default AWS_PROFILE)")
	flags.StringVar(&b.config.CredentialsFile, "s3-credentials-file", "", "file of credentials in AWS's form (default AWS_SHARED_CREDENTIALS_FILE)")
	flags.StringVar(&b.config.Addressing, "s3-addressing", "", "where the bucket's name stands in URLs: path or host (default host with AWS, else path)")
	flags.BoolVar(&b.config.AllowHTTP, "s3-allow-http", false, "speak plain http with an S3 store on another machine")
	flags.StringVar(&b.config.SpoolDir, "spool-dir", "", "folder for what is on its way to or from S3, encrypted as it is (default the system's temporary folder)")
}

// A publishing is the flags about what objects in S3 are to be like.
type publishing struct {
	retainUntil, retainMode string
	retainFor               catalog.Span
	tags                    map[string]string
}

func (f *publishing) addFlags(flags *pflag.FlagSet, b *bucket) {
	flags.StringVar(&b.config.Encryption, "s3-encryption", "", "encryption at the S3 store: AES256 or aws:kms (default the bucket's)")
	flags.StringVar(&b.config.KMSKey, "s3-kms-key", "", "key for --s3-encryption=aws:kms (default the bucket's)")
	flags.StringVar(&b.config.StorageClass, "s3-storage-class", "", "storage class of the objects (default the bucket's)")
	flags.StringToStringVar(&f.tags, "s3-tag", nil, "tag of the objects, as KEY=VALUE; repeatable")
	flags.StringVar(&f.retainUntil, "retain-until", "", "until when the S3 store must keep the archive, such as 2027-01-31 or 2027-01-31T12:00:00Z")
	flags.Var(&f.retainFor, "retain-for", "how long the S3 store must keep the archive, such as 30d or 1y")
	flags.StringVar(&f.retainMode, "retain-mode", "", "governance (who may bypass it can) or compliance (nobody can) (default governance)")
}

// resolve puts what the flags say into the configuration, as of now.
func (f *publishing) resolve(b *bucket, now time.Time) error {
	b.config.Tags = f.tags
	switch {
	case f.retainUntil != "" && f.retainFor != catalog.Span{}:
		return usagef("--retain-until and --retain-for both say how long; leave one of them out")
	case f.retainUntil != "":
		until, err := time.Parse(time.RFC3339, f.retainUntil)
		if err != nil {
			until, err = time.ParseInLocation(time.DateOnly, f.retainUntil, time.Local)
		}
		if err != nil || !until.After(now) {
			return usagef("--retain-until=%s: it takes a date in the future, such as 2027-01-31 or 2027-01-31T12:00:00Z", f.retainUntil)
		}
		b.config.RetainUntil = until.UTC().Truncate(time.Second)
	case f.retainFor != catalog.Span{}:
		b.config.RetainUntil = f.retainFor.After(now).UTC().Truncate(time.Second)
	case f.retainMode != "":
		return usagef("--retain-mode says how, but not how long: add --retain-for or --retain-until")
	default:
		return nil
	}
	switch f.retainMode {
	case "", "governance":
		b.config.LockMode = "GOVERNANCE"
	case "compliance":
		b.config.LockMode = "COMPLIANCE"
	default:
		return usagef("--retain-mode=%s: it takes governance or compliance", f.retainMode)
	}
	return nil
}

// locks tells whether a lock was asked for, which only S3 has.
func (f *publishing) locks() bool {
	return f.retainUntil != "" || f.retainFor != catalog.Span{} || f.retainMode != ""
}

const s3Scheme = "s3://"

// isS3 tells whether a word is the address of a place or object in S3.
func isS3(word string) bool { return strings.HasPrefix(word, s3Scheme) }

// store resolves a place that holds archives.
func (b *bucket) store(ctx context.Context, p *printer, place string) (remote.Store, error) {
	if isS3(place) {
		at, err := s3.Parse(place) // before it is shown: it may hold a secret
		switch {
		case err != nil:
			return nil, usagef("%w", err)
		case isArchiveName(place):
			return nil, usagef("%s is an archive; name the place that it is in", at)
		}
		return b.open(ctx, p, place)
	}
	if err := mustBeFolder(place); err != nil {
		return nil, err
	}
	return dir.New(place, dir.Options{}), nil
}

// open opens a place in S3.
func (b *bucket) open(ctx context.Context, p *printer, address string) (*s3.Store, error) {
	at, err := s3.Parse(address)
	if err != nil {
		return nil, usagef("%w", err)
	}
	config := b.config
	if config.Profile == "" && config.CredentialsFile == "" {
		if config.Keys, err = keysOfService(p.sh); err != nil {
			return nil, err
		}
	}
	config.Log = p.log()
	store, err := s3.Open(ctx, at, config)
	if errors.Is(err, fs.ErrInvalid) {
		return nil, usagef("%w", err)
	}
	return store, err
}

// keysOfService are the credentials that systemd hands over; none if it does not.
func keysOfService(sh *shell) (s3.Keys, error) {
	folder, ok := sh.getenv("CREDENTIALS_DIRECTORY")
	access, key := filepath.Join(folder, "s3-access-key"), filepath.Join(folder, "s3-secret-key")
	if !ok || !isFile(access) && !isFile(key) {
		return s3.Keys{}, nil
	}
	id, err := readSecretFile("S3 access key", access, sh)
	if err != nil {
		return s3.Keys{}, err
	}
	pass, err := readSecretFile("S3 secret key", key, sh)
	return s3.Keys{AccessKey: id.reveal(), SecretKey: pass.reveal}, err
}

// splitS3 takes the address of an archive apart: that of its place, and its name.
func splitS3(address string) (place, name string, err error) {
	at, err := s3.Parse(address)
	if err != nil {
		return "", "", usagef("%w", err)
	}
	bare, query, _ := strings.Cut(address, "?")
	place, name = path.Split(strings.TrimPrefix(bare, s3Scheme))
	if place == "" || name == "" {
		return "", "", usagef("%s names no archive in a bucket", at)
	}
	place = s3Scheme + strings.TrimSuffix(place, "/")
	if query != "" {
		place += "?" + query
	}
	return place, name, nil
}

// isArchiveName tells whether an address ends like the name of an archive.
func isArchiveName(address string) bool {
	bare, _, _ := strings.Cut(address, "?")
	return strings.HasSuffix(bare, catalog.EncryptedSuffix) || strings.HasSuffix(bare, catalog.PlainSuffix)
}

// warnOf tells what there is to know of what was published in S3.
func warnOf(p *printer, n s3.Notes) {
	if n.NotCreateOnly {
		p.warn("this S3 store does not keep two writers from one name; only the random part of an archive's name does")
	}
}
